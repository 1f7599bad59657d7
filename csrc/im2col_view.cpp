#include "im2col_view.h"

#include <algorithm>

namespace convolt {
namespace {

// Planes that are gathered together, as if they were taps, where B is the image itself: as many as
// the first level of the TLB has pages.
constexpr int64_t kPlainRows = 64;

// Padded rows of `grid_rows` consecutive rows of one image when their taps share them.
int64_t shared_rows(const Im2colView& v, int64_t grid_rows) {
  return (grid_rows - 1) * v.stride_h + (v.taps_h - 1) * v.dilation_h + 1;
}

// Likewise along the width: the samples of a phase, and the phases in use.
int64_t shared_samples(const Im2colView& v, int64_t length) {
  return length + (v.taps_w - 1) * v.dilation_w / v.stride_w;
}

int64_t shared_phases(const Im2colView& v) { return std::min(v.stride_w, v.taps_w); }

int64_t row_elements(const Im2colView& v, int64_t length) {
  return std::min(v.taps_w * length, shared_phases(v) * shared_samples(v, length));
}

int64_t most_grid_rows(const Im2colView& v, const ColumnBlocks& blocks) {
  const int64_t all = v.batch * v.grid_h;
  return blocks.size <= v.grid_w && blocks.count >= all
             ? 1
             : std::min(all, (blocks.size - 1) / v.grid_w + 2);
}

int64_t most_padded_rows(const Im2colView& v, int64_t grid_rows) {
  const int64_t images = std::min(v.batch, (grid_rows - 1) / v.grid_h + 2);
  const int64_t shared = grid_rows * v.stride_h + images * ((v.taps_h - 1) * v.dilation_h + 1);
  return std::min(v.taps_h * grid_rows, shared);
}

}  // namespace

Im2colView forward_view(const Conv2dProblem& p) {
  Im2colView v{};
  v.channels = p.group_in_channels();
  v.in_h = p.in_h;
  v.in_w = p.in_w;
  v.batch_stride = p.in_channels * p.in_pixels();
  v.channel_stride = p.in_pixels();
  v.taps_h = p.kernel_h;
  v.taps_w = p.kernel_w;
  v.dilation_h = p.window.dilation_h;
  v.dilation_w = p.window.dilation_w;
  v.origin_h = -p.window.pad_top;
  v.origin_w = -p.window.pad_left;
  v.batch = p.batch;
  v.grid_h = p.out_h;
  v.grid_w = p.out_w;
  v.stride_h = p.window.stride_h;
  v.stride_w = p.window.stride_w;
  return v;
}

ColumnBlocks::ColumnBlocks(const ColumnGrid& grid, int64_t max_size, int64_t multiple)
    : count(0), size(0), columns_(grid.columns), row_length_(grid.row_length), blocks_per_row_(0) {
  if (columns_ == 0) return;
  max_size = round_up(max_size, multiple);
  if (row_length_ >= max_size) {
    size = round_up(ceil_div(row_length_, ceil_div(row_length_, max_size)), multiple);
    blocks_per_row_ = ceil_div(row_length_, size);
    count = columns_ / row_length_ * blocks_per_row_;
  } else {
    size = round_up(ceil_div(columns_, ceil_div(columns_, max_size)), multiple);
    count = ceil_div(columns_, size);
  }
  size = std::min(size, columns_);
}

int64_t ColumnBlocks::first(int64_t block) const {
  if (blocks_per_row_ == 0) return block * size;
  return block / blocks_per_row_ * row_length_ + block % blocks_per_row_ * size;
}

int64_t ColumnBlocks::columns(int64_t block) const {
  const int64_t end = blocks_per_row_ == 0 ? columns_ : (block / blocks_per_row_ + 1) * row_length_;
  return std::min(size, end - first(block));
}

int64_t ColumnBlock::padded_elements(const Im2colView& view, const ColumnBlocks& blocks,
                                     int64_t slack) {
  if (view.is_plain() || blocks.count == 0) return 0;
  const int64_t rows = most_padded_rows(view, most_grid_rows(view, blocks));
  return rows * row_elements(view, std::min(view.grid_w, blocks.size)) + slack;
}

ColumnBlock::ColumnBlock(const Im2colView& view, const ColumnBlocks& blocks, int64_t panel_width,
                         Slicer& scratch)
    : view_(view), panel_width_(panel_width) {
  const int64_t grid_rows = most_grid_rows(view, blocks);
  const int64_t panels = ceil_div(blocks.size, panel_width);
  row_offsets_ = scratch.take<int64_t>(most_padded_rows(view, grid_rows));
  row_base_ = scratch.take<int64_t>(grid_rows);
  samplings_ = scratch.take<RowSampling>(view.taps_w);
  tap_row_ = scratch.take<int64_t>(view.taps_h);
  tap_column_ = scratch.take<int64_t>(view.taps_w);
  tap_offsets_ = scratch.take<int64_t>(view.is_plain() ? kPlainRows : view.taps());
  runs_ = scratch.take<PixelRun>(panels + grid_rows);
  first_run_ = scratch.take<int64_t>(panels + 1);
}

// Which rows of the image, and for each vertical tap how far below a window's first padded row it
// lies. Windows that overlap share rows, unless the taps are so far apart that copies are fewer.
void ColumnBlock::sample_rows(int64_t first_row, int64_t row_count) {
  const Im2colView& v = view_;
  int64_t shared = 0;
  for (int64_t row = 0; row < row_count;) {
    const int64_t in_image = std::min(row_count - row, v.grid_h - (first_row + row) % v.grid_h);
    shared += shared_rows(v, in_image);
    row += in_image;
  }
  const bool share = shared < v.taps_h * row_count;
  const auto source = [&](int64_t image, int64_t y) {
    return y >= 0 && y < v.in_h ? image * v.batch_stride + y * v.in_w : -1;
  };

  int64_t* next = row_offsets_;
  if (share) {
    for (int64_t row = 0; row < row_count;) {
      const int64_t image = (first_row + row) / v.grid_h;
      const int64_t gy = (first_row + row) % v.grid_h;
      const int64_t in_image = std::min(row_count - row, v.grid_h - gy);
      for (int64_t r = 0; r < in_image; ++r)
        row_base_[row + r] = next - row_offsets_ + r * v.stride_h;
      const int64_t top = gy * v.stride_h + v.origin_h;
      for (int64_t r = 0; r < shared_rows(v, in_image); ++r) *next++ = source(image, top + r);
      row += in_image;
    }
    for (int64_t ty = 0; ty < v.taps_h; ++ty) tap_row_[ty] = ty * v.dilation_h;
  } else {
    for (int64_t ty = 0; ty < v.taps_h; ++ty) {
      tap_row_[ty] = ty * row_count;
      for (int64_t r = 0; r < row_count; ++r) {
        const int64_t gy = (first_row + r) % v.grid_h;
        *next++ =
            source((first_row + r) / v.grid_h, gy * v.stride_h + ty * v.dilation_h + v.origin_h);
      }
    }
    for (int64_t r = 0; r < row_count; ++r) row_base_[r] = r;
  }
  padded_.row_offsets = row_offsets_;
  padded_.rows = next - row_offsets_;
}

// Which samplings of a row: the phases of the stride, shared by all taps, or one for each tap.
void ColumnBlock::sample_columns(int64_t first_x, int64_t length) {
  const Im2colView& v = view_;
  const bool share = shared_phases(v) * shared_samples(v, length) < v.taps_w * length;
  const int64_t samples = share ? shared_samples(v, length) : length;
  int64_t count = 0;
  for (int64_t tx = 0; tx < v.taps_w; ++tx) {
    const int64_t offset = tx * v.dilation_w;
    const int64_t phase_start =
        first_x * v.stride_w + v.origin_w + (share ? offset % v.stride_w : offset);
    int64_t s = 0;
    while (s < count && samplings_[s].start != phase_start) ++s;
    if (s == count) {
      RowSampling& sampling = samplings_[count++];
      sampling.start = phase_start;
      sampling.begin = std::clamp<int64_t>(ceil_quotient(-phase_start, v.stride_w), 0, samples);
      sampling.end =
          std::clamp(ceil_quotient(v.in_w - phase_start, v.stride_w), sampling.begin, samples);
    }
    tap_column_[tx] = s * samples + (share ? offset / v.stride_w : 0);
  }
  padded_.samplings = samplings_;
  padded_.sampling_count = count;
  padded_.samples = samples;
  padded_.step = v.stride_w;
  padded_.row_pitch = count * samples;
}

void ColumnBlock::prepare(int64_t first, int64_t columns) {
  const Im2colView& v = view_;
  padded_plane_ = nullptr;
  const int64_t row_length = v.row_length();
  const int64_t first_row = first / row_length;
  const int64_t row_count = (first + columns - 1) / row_length - first_row + 1;
  const int64_t first_x = row_count == 1 && !v.is_plain() ? first % row_length : 0;
  if (v.is_plain()) {
    for (int64_t row = 0; row < kPlainRows; ++row) tap_offsets_[row] = row * v.channel_stride;
  } else {
    sample_rows(first_row, row_count);
    sample_columns(first_x, row_count == 1 ? columns : v.grid_w);
    for (int64_t ty = 0; ty < v.taps_h; ++ty) {
      for (int64_t tx = 0; tx < v.taps_w; ++tx) {
        tap_offsets_[ty * v.taps_w + tx] = tap_row_[ty] * padded_.row_pitch + tap_column_[tx];
      }
    }
  }
  PixelRun* run = runs_;
  int64_t panel_end = 0;
  for_each_run(first, columns, panel_width_, row_length,
               [&](int64_t panel, int64_t column, int64_t row, int64_t offset, int64_t length) {
                 const int64_t base = v.is_plain() ? row * v.batch_stride
                                                   : row_base_[row - first_row] * padded_.row_pitch;
                 if (column == 0) first_run_[panel] = run - runs_;
                 panel_end = panel + 1;
                 *run++ = {base + offset - first_x, column, length};
               });
  first_run_[panel_end] = run - runs_;
  panels_.runs = runs_;
  panels_.first_run = first_run_;
  panels_.panels = panel_end;
}

template <typename T>
PanelOfB<T> ColumnBlock::panel_in_place(const KernelTable<T>& kernels, const T* image, int64_t row,
                                        int64_t p) const {
  const PixelRun& run = runs_[first_run_[p]];
  const bool one_run = first_run_[p + 1] == first_run_[p] + 1;
  if (!view_.is_plain() || !one_run || run.length % kernels.lanes != 0) return {nullptr, 0};
  return {image + row * view_.channel_stride + run.source, view_.channel_stride};
}

template <typename T>
void ColumnBlock::pack(const KernelTable<T>& kernels, const T* image, int64_t row_begin,
                       int64_t row_end, T* padded, T* packed, const Packing& packing) {
  PixelPanels panels = panels_;
  panels.first_run += packing.first_panel;
  panels.panels = packing.end_panel - packing.first_panel;
  panels.panel_pitch = packing.panel_pitch;
  panels.row_pitch = packing.row_pitch;
  packed += packing.first_panel * packing.panel_pitch;
  const int64_t row_pitch = packing.row_pitch;
  if (view_.is_plain()) {
    for (int64_t row = row_begin; row < row_end; row += kPlainRows) {
      kernels.gather_taps_exact(image + row * view_.channel_stride, tap_offsets_,
                                std::min(kPlainRows, row_end - row), panels,
                                packed + (row - row_begin) * row_pitch);
    }
    return;
  }
  const int64_t taps = view_.taps();
  const auto gather = packing.exact ? kernels.gather_taps_exact : kernels.gather_taps;
  for (int64_t row = row_begin; row < row_end;) {
    const int64_t channel = row / taps;
    const int64_t tap = row % taps;
    const int64_t count = std::min(taps - tap, row_end - row);
    const T* const plane = image + channel * view_.channel_stride;
    if (plane != padded_plane_) {
      kernels.pad_rows(padded_, plane, T{0}, padded);
      std::fill_n(padded + padded_.rows * padded_.row_pitch, kernels.nr, T{0});
    }
    padded_plane_ = plane;
    gather(padded, tap_offsets_ + tap, count, panels, packed + (row - row_begin) * row_pitch);
    row += count;
  }
}

template PanelOfB<float> ColumnBlock::panel_in_place(const KernelTable<float>&, const float*,
                                                     int64_t, int64_t) const;
template PanelOfB<double> ColumnBlock::panel_in_place(const KernelTable<double>&, const double*,
                                                      int64_t, int64_t) const;
template void ColumnBlock::pack(const KernelTable<float>&, const float*, int64_t, int64_t, float*,
                                float*, const Packing&);
template void ColumnBlock::pack(const KernelTable<double>&, const double*, int64_t, int64_t,
                                double*, double*, const Packing&);

}  // namespace convolt
