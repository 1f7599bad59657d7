#include "im2col.h"

#include <algorithm>

#include "im2col_view.h"
#include "isa.h"
#include "parallel.h"

namespace convolt {
namespace {

constexpr int64_t kBlockPixels = 512;  // windows of one task
constexpr int64_t kBlockRows = 32;     // of the column matrix, turned at a time

// The columns of a single image; the batch is a loop of the caller.
Im2colView image_view(const Conv2dProblem& p) {
  Im2colView view = forward_view(p);
  view.batch = 1;
  return view;
}

template <typename T>
class Im2colWorker {
 public:
  Im2colWorker(const KernelTable<T>& kernels, const Im2colView& view, const ColumnBlocks& blocks,
               Slicer& scratch)
      : kernels_(kernels),
        view_(view),
        row_pitch_(blocks.size + kernels.nr),
        columns_(view, blocks, blocks.size, scratch) {
    padded_ = scratch.take<T>(ColumnBlock::padded_elements(view, blocks, kernels.nr));
    rows_ = scratch.take<T>(std::min(kBlockRows, view.rows()) * row_pitch_);
  }

  void run(ColumnLayout layout, const T* image, int64_t first, int64_t columns, T* col) {
    columns_.prepare(first, columns);
    if (layout == ColumnLayout::kTaps) {
      columns_.pack(kernels_, image, 0, view_.rows(), padded_, col + first,
                    {0, view_.columns(), 0, columns_.panel_count(), true});
      return;
    }
    T* const windows = col + first * view_.rows();
    for (int64_t row = 0; row < view_.rows(); row += kBlockRows) {
      const int64_t end = std::min(row + kBlockRows, view_.rows());
      columns_.pack(kernels_, image, row, end, padded_, rows_,
                    {0, row_pitch_, 0, columns_.panel_count()});
      kernels_.interleave_rows(rows_, row_pitch_, end - row, columns, windows + row, view_.rows(),
                               0);
    }
  }

 private:
  const KernelTable<T>& kernels_;
  const Im2colView& view_;
  int64_t row_pitch_;
  ColumnBlock columns_;
  T* padded_;
  T* rows_;
};

// x[..] += col[..] for one tap and the windows [offset, offset + length) of one row of windows.
template <typename T>
void add_tap(const Conv2dProblem& p, int64_t kh, int64_t kw, int64_t window_row, int64_t offset,
             int64_t length, const T* col, T* plane) {
  const WindowParams& w = p.window;
  const int64_t y = window_row * w.stride_h + kh * w.dilation_h - w.pad_top;
  if (y < 0 || y >= p.in_h) return;
  const int64_t start = offset * w.stride_w + kw * w.dilation_w - w.pad_left;
  const int64_t begin = std::clamp<int64_t>(ceil_quotient(-start, w.stride_w), 0, length);
  const int64_t end = std::clamp(ceil_quotient(p.in_w - start, w.stride_w), begin, length);
  T* const row = plane + y * p.in_w + start;
  for (int64_t i = begin; i < end; ++i) row[i * w.stride_w] += col[i];
}

// One plane of x from its rows of the column matrix, taps and windows in a fixed order.
template <typename T>
void gather_plane(const KernelTable<T>& kernels, const Conv2dProblem& p, const Im2colView& view,
                  const ColumnBlocks& blocks, ColumnLayout layout, const T* col, int64_t channel,
                  T* rows, T* plane) {
  std::fill(plane, plane + p.in_pixels(), T{0});
  for (int64_t block = 0; block < blocks.count; ++block) {
    const int64_t first = blocks.first(block);
    const int64_t columns = blocks.columns(block);
    const T* tap_rows = col + channel * p.taps() * view.columns() + first;
    int64_t row_pitch = view.columns();
    if (layout == ColumnLayout::kWindows) {
      row_pitch = blocks.size;
      kernels.interleave_rows(col + first * view.rows() + channel * p.taps(), view.rows(), columns,
                              p.taps(), rows, row_pitch, 0);
      tap_rows = rows;
    }
    for (int64_t kh = 0; kh < p.kernel_h; ++kh) {
      for (int64_t kw = 0; kw < p.kernel_w; ++kw, tap_rows += row_pitch) {
        for_each_run(first, columns, columns, p.out_w,
                     [&](int64_t, int64_t column, int64_t row, int64_t offset, int64_t length) {
                       add_tap(p, kh, kw, row, offset, length, tap_rows + column, plane);
                     });
      }
    }
  }
}

}  // namespace

template <typename T>
void im2col(const Conv2dProblem& p, ColumnLayout layout, const T* x, T* col) {
  const Im2colView view = image_view(p);
  if (p.batch == 0 || view.rows() == 0) return;
  const KernelTable<T>& kernels = selected_kernels<T>();
  const ColumnBlocks blocks(view.grid(), kBlockPixels, kernels.lanes);
  const int64_t image_elements = view.rows() * view.columns();
  const int threads =
      threads_for(static_cast<double>(p.batch) * static_cast<double>(image_elements));

  Slicer size;
  Im2colWorker<T>(kernels, view, blocks, size);
  const Scratch scratch(size.used() * static_cast<std::size_t>(threads));
  parallel_for(p.batch * blocks.count, threads, [&](int64_t task, int thread) {
    Slicer slice(scratch.data() + size.used() * static_cast<std::size_t>(thread));
    Im2colWorker<T> worker(kernels, view, blocks, slice);
    const int64_t image = task / blocks.count;
    const int64_t block = task % blocks.count;
    worker.run(layout, x + image * view.batch_stride, blocks.first(block), blocks.columns(block),
               col + image * image_elements);
  });
}

template <typename T>
void col2im(const Conv2dProblem& p, ColumnLayout layout, const T* col, T* x) {
  const Im2colView view = image_view(p);
  const KernelTable<T>& kernels = selected_kernels<T>();
  const ColumnBlocks blocks(view.grid(), kBlockPixels, kernels.lanes);
  const int64_t image_elements = view.rows() * view.columns();
  const int threads =
      threads_for(static_cast<double>(p.batch) * static_cast<double>(image_elements));

  Slicer size;
  size.take<T>(layout == ColumnLayout::kWindows ? p.taps() * blocks.size : 0);
  const Scratch scratch(size.used() * static_cast<std::size_t>(threads));
  parallel_for(p.batch * p.in_channels, threads, [&](int64_t task, int thread) {
    const int64_t image = task / p.in_channels;
    T* const rows =
        reinterpret_cast<T*>(scratch.data() + size.used() * static_cast<std::size_t>(thread));
    gather_plane(kernels, p, view, blocks, layout, col + image * image_elements,
                 task % p.in_channels, rows, x + task * p.in_pixels());
  });
}

template void im2col(const Conv2dProblem&, ColumnLayout, const float*, float*);
template void im2col(const Conv2dProblem&, ColumnLayout, const double*, double*);
template void col2im(const Conv2dProblem&, ColumnLayout, const float*, float*);
template void col2im(const Conv2dProblem&, ColumnLayout, const double*, double*);

}  // namespace convolt
