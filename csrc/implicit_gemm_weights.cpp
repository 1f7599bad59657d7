// backward_weights: a product whose long side is the reduction, over all pixels of the batch. Both
// operands lie with their pixels consecutive: rows of A, which the micro-kernel can broadcast from
// where they lie, or columns of B, which are transposed while packing.
#include <algorithm>

#include "gemm.h"
#include "implicit_gemm.h"
#include "isa.h"
#include "parallel.h"

namespace convolt {
namespace {

// How the work is cut: dweight into tiles, and the reduction into `splits` runs of chunks whose
// sums are added in order afterwards. All of it follows from the shape, never from the threads, and
// so do the bits of the result.
//
// The rows of A are the outputs, dy, and the columns of B the taps, or the other way round; then
// the product is the transpose of dweight. With a bias one more tap sees 1 for every pixel.
struct WeightsPlan {
  int64_t m, n;
  bool rows_are_taps;
  ColumnBlocks chunks;  // of pixels
  int64_t rows_per_tile, row_tiles;
  int64_t columns_per_tile, column_tiles;
  int64_t chunks_per_split, splits;

  int64_t tiles() const { return row_tiles * column_tiles; }
};

// Rows of A can stay as they are, so they had better be the larger operand. Of a 1x1 layer on every
// pixel both are planes of pixels: 1.1 to 1.5 times as fast, unless the map is so small that rows
// are packed too and that turning dweight takes its time. Taps of a window have been gathered and
// need not be turned: up to 1.3 times as fast, unless dweight is as large as what they hold.
template <typename T>
bool has_taps_as_rows(const KernelTable<T>& kernels, const Conv2dProblem& p,
                      const Im2colView& view) {
  const int64_t outputs = p.group_out_channels();
  const bool pays = view.is_plain() ? p.out_pixels() >= kernels.kc : view.columns() >= 8 * outputs;
  return pays && outputs < view.rows();
}

template <typename T>
WeightsPlan plan_weights(const KernelTable<T>& kernels, const Conv2dProblem& p,
                         const Im2colView& view, int64_t taps) {
  // Enough tasks for many threads, few enough that the partial sums stay small.
  constexpr int64_t kTasks = 16;
  constexpr int64_t kLeastChunks = 4;  // so that adding the partial sums costs little
  constexpr int64_t kBlocksOfA = 4;    // B is packed anew for each tile of rows: make them tall
  const bool rows_are_taps = has_taps_as_rows(kernels, p, view);
  WeightsPlan plan = {rows_are_taps ? taps : p.group_out_channels(),
                      rows_are_taps ? p.group_out_channels() : taps,
                      rows_are_taps,
                      ColumnBlocks(view.grid(), kernels.kc, 8),
                      0,
                      0,
                      0,
                      0,
                      0,
                      0};
  plan.rows_per_tile = round_up(even_block(plan.m, kBlocksOfA * kernels.mc), kernels.mr);
  plan.row_tiles = ceil_div(plan.m, plan.rows_per_tile);
  plan.columns_per_tile = round_up(even_block(plan.n, kernels.nc), kernels.nr);
  plan.column_tiles = ceil_div(plan.n, plan.columns_per_tile);
  const int64_t wanted = ceil_div(kTasks, plan.tiles() * p.groups);
  plan.chunks_per_split =
      std::max(ceil_div(plan.chunks.count, wanted), std::min(kLeastChunks, plan.chunks.count));
  plan.splits = ceil_div(plan.chunks.count, plan.chunks_per_split);
  return plan;
}

// Planes of pixels, of dy or of x.
template <typename T>
struct Planes {
  const T* data;  // of the first plane in image 0
  int64_t pitch, batch_stride;

  const T* at(int64_t plane, int64_t pixel, int64_t pixels) const {
    return data + plane * pitch + pixel / pixels * batch_stride + pixel % pixels;
  }
};

template <typename T>
class WeightsWorker {
  // Shorter rows of dy gain nothing by being read where they lie.
  static constexpr int64_t kLeastPixelsInPlace = 128;

 public:
  WeightsWorker(const KernelTable<T>& kernels, const Im2colView& view, const WeightsPlan& plan,
                Slicer& scratch)
      : kernels_(kernels),
        view_(view),
        plan_(plan),
        row_pitch_(plan.chunks.size + kernels.nr),
        pixels_(view, plan.chunks, plan.chunks.size, scratch) {
    const int64_t panels = plan.columns_per_tile / kernels.nr;
    padded_ = scratch.take<T>(ColumnBlock::padded_elements(view, plan.chunks, kernels.nr));
    rows_ = scratch.take<T>((plan.rows_are_taps ? plan.rows_per_tile : kernels.nr) * row_pitch_);
    packed_a_ = scratch.take<T>(plan.rows_per_tile * plan.chunks.size);
    packed_b_ = scratch.take<T>(plan.columns_per_tile * plan.chunks.size);
    panels_ = scratch.take<PanelOfB<T>>(panels);
    tile_ = scratch.take<T>(kernels.mr * kernels.nr);
    store_runs_ = scratch.take<PixelRun>(panels);
    first_run_ = scratch.take<int64_t>(panels + 1);
  }

  // product[row .. , column ..] of one tile, from one split of the pixels; x and dy of one group.
  void run(const Conv2dProblem& p, const T* dy, const T* x, int64_t split, int64_t row,
           int64_t column, T* product) {
    const int64_t rows = std::min(plan_.rows_per_tile, plan_.m - row);
    const int64_t columns = std::min(plan_.columns_per_tile, plan_.n - column);
    const int64_t panels = ceil_div(columns, kernels_.nr);
    for (int64_t i = 0; i < panels; ++i) {
      store_runs_[i] = {i * kernels_.nr, 0, std::min(kernels_.nr, columns - i * kernels_.nr)};
    }
    for (int64_t i = 0; i <= panels; ++i) first_run_[i] = i;

    const Planes<T> outputs = {dy, p.out_pixels(), p.out_channels * p.out_pixels()};
    const Planes<T> channels = {x, view_.channel_stride, view_.batch_stride};
    const int64_t begin = split * plan_.chunks_per_split;
    const int64_t end = std::min(begin + plan_.chunks_per_split, plan_.chunks.count);
    for (int64_t chunk = begin; chunk < end && !stop_requested(); ++chunk) {
      const int64_t pixels = plan_.chunks.columns(chunk);
      const int64_t first = plan_.chunks.first(chunk);
      pixels_.prepare(first, pixels);
      for (int64_t i = 0; i < panels; ++i) {
        panels_[i] = {packed_b_ + i * kernels_.nr * pixels, kernels_.nr};
      }
      GemmBlocks<T> blocks = {nullptr, 0, 0, false, 0, panels_, panels, pixels};
      if (plan_.rows_are_taps) {
        view_.is_plain() ? take_planes(channels, row, rows, first, blocks)
                         : gather_taps(x, row, rows, blocks);
        pack_planes(outputs, column, columns, first, pixels, kernels_.nr, packed_b_);
      } else {
        take_planes(outputs, row, rows, first, blocks);
        if (view_.is_plain()) {
          pack_planes(channels, column, columns, first, pixels, kernels_.nr, packed_b_);
        } else {
          pack_columns(x, column, columns, pixels);
        }
      }
      const T* const a = blocks.a;
      for (int64_t r = 0; r < rows; r += kernels_.mc) {
        blocks.a = a + r * blocks.row_step;
        blocks.rows = std::min(kernels_.mc, rows - r);
        const TileTarget<T> target = {product + (row + r) * plan_.n + column, plan_.n, 1,
                                      store_runs_, first_run_};
        macro_kernel(kernels_, blocks, target, Epilogue<T>{nullptr, chunk > begin, false}, tile_);
      }
    }
  }

 private:
  // Rows of A from planes, where they lie or packed.
  void take_planes(const Planes<T>& planes, int64_t row, int64_t rows, int64_t first,
                   GemmBlocks<T>& blocks) {
    const int64_t plane_pixels = view_.grid_h * view_.grid_w;
    blocks.of_rows = blocks.kc >= kLeastPixelsInPlace &&
                     first / plane_pixels == (first + blocks.kc - 1) / plane_pixels &&
                     rows_in_reach(kernels_, planes.pitch);
    if (blocks.of_rows) {
      blocks.a = planes.at(row, first, plane_pixels);
      blocks.lda = blocks.row_step = planes.pitch;
      return;
    }
    pack_planes(planes, row, rows, first, blocks.kc, kernels_.mr, packed_a_);
    blocks.a = packed_a_;
    blocks.lda = kernels_.mr;
    blocks.row_step = blocks.kc;
  }

  // Rows of A from taps, the 1 of the bias behind them.
  void gather_taps(const T* x, int64_t row, int64_t rows, GemmBlocks<T>& blocks) {
    gather_rows(x, row, rows, blocks.kc);
    blocks.of_rows = true;
    blocks.a = rows_;
    blocks.lda = blocks.row_step = row_pitch_;
  }

  // Panels of `width` planes: packed[panel][pixel][plane].
  void pack_planes(const Planes<T>& planes, int64_t plane, int64_t count, int64_t first,
                   int64_t pixels, int64_t width, T* packed) {
    const int64_t ragged = count % width;
    if (ragged != 0 && width == kernels_.nr)
      clear_panel(packed + (count - ragged) * pixels, pixels);
    for_each_run(first, pixels, pixels, view_.grid_h * view_.grid_w,
                 [&](int64_t, int64_t pixel, int64_t image, int64_t offset, int64_t length) {
                   const T* const src =
                       planes.data + plane * planes.pitch + image * planes.batch_stride + offset;
                   for (int64_t i = 0; i < count; i += width) {
                     kernels_.interleave_rows(src + i * planes.pitch, planes.pitch,
                                              std::min(width, count - i), length,
                                              packed + i * pixels + pixel * width, width, length);
                   }
                 });
  }

  // As in GemmWorker: no denormals in the lanes beyond.
  void clear_panel(T* panel, int64_t pixels) { std::fill_n(panel, pixels * kernels_.nr, T{0}); }

  // Panels of NR taps: gathered as rows of pixels, then turned.
  void pack_columns(const T* x, int64_t column, int64_t columns, int64_t pixels) {
    for (int64_t j = 0; j < columns; j += kernels_.nr) {
      const int64_t count = std::min(kernels_.nr, columns - j);
      if (count < kernels_.nr) clear_panel(packed_b_ + j * pixels, pixels);
      gather_rows(x, column + j, count, pixels);
      kernels_.interleave_rows(rows_, row_pitch_, count, pixels, packed_b_ + j * pixels,
                               kernels_.nr, 0);
    }
  }

  void gather_rows(const T* x, int64_t tap, int64_t count, int64_t pixels) {
    const int64_t taps = std::min(count, view_.rows() - tap);
    pixels_.pack(kernels_, x, tap, tap + taps, padded_, rows_,
                 {0, row_pitch_, 0, pixels_.panel_count()});
    if (taps < count) std::fill_n(rows_ + taps * row_pitch_, pixels, T{1});  // of the bias
  }

  const KernelTable<T>& kernels_;
  const Im2colView& view_;
  const WeightsPlan& plan_;
  int64_t row_pitch_;
  ColumnBlock pixels_;
  T* padded_;
  T* rows_;
  T* packed_a_;
  T* packed_b_;
  PanelOfB<T>* panels_;
  T* tile_;
  PixelRun* store_runs_;
  int64_t* first_run_;
};

// product = the partial sums of all splits, added in their order.
template <typename T>
void add_partial_sums(const T* partial, int64_t splits, int64_t elements, T* product) {
  constexpr int64_t kSlice = 4096;
  const double work = static_cast<double>(splits) * static_cast<double>(elements);
  parallel_for(ceil_div(elements, kSlice), threads_for(work), [&](int64_t task, int) {
    const int64_t begin = task * kSlice;
    const int64_t end = std::min(elements, begin + kSlice);
    std::copy(partial + begin, partial + end, product + begin);
    for (int64_t s = 1; s < splits; ++s) {
      for (int64_t i = begin; i < end; ++i) product[i] += partial[s * elements + i];
    }
  });
}

// dweight, and dbias unless it is null, of each group from a product that has them all.
template <typename T>
void split_product(const KernelTable<T>& kernels, const Conv2dProblem& p, const WeightsPlan& plan,
                   const T* product, T* dweight, T* dbias) {
  const int64_t outputs = p.group_out_channels();
  const int64_t taps = p.group_in_channels() * p.taps();
  for (int64_t group = 0; group < p.groups; ++group, product += plan.m * plan.n) {
    T* const weights = dweight + group * outputs * taps;
    if (plan.rows_are_taps) {
      kernels.interleave_rows(product, outputs, taps, outputs, weights, taps, 0);
      if (dbias != nullptr) std::copy_n(product + taps * outputs, outputs, dbias + group * outputs);
      continue;
    }
    for (int64_t row = 0; row < outputs; ++row) {
      std::copy_n(product + row * plan.n, taps, weights + row * taps);
      if (dbias != nullptr) dbias[group * outputs + row] = product[row * plan.n + taps];
    }
  }
}

}  // namespace

template <typename T>
bool gemm_has_room_for_bias(const Conv2dProblem& p) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  const Im2colView view = forward_view(p);
  const int64_t tile = has_taps_as_rows(kernels, p, view) ? kernels.mr : kernels.nr;
  return p.batch > 0 && p.out_channels > 0 && !view.is_plain() && view.rows() % tile != 0;
}

template <typename T>
void gemm_backward_weights(const Conv2dProblem& p, const T* dy, const T* x, T* dweight, T* dbias) {
  const int64_t weights = p.out_channels * p.group_in_channels() * p.taps();
  if (weights == 0) return;
  if (p.batch == 0) {
    std::fill(dweight, dweight + weights, T{0});
    return;
  }
  const KernelTable<T>& kernels = selected_kernels<T>();
  const Im2colView view = forward_view(p);
  const WeightsPlan plan = plan_weights(kernels, p, view, view.rows() + (dbias == nullptr ? 0 : 1));
  const bool is_dweight = !plan.rows_are_taps && dbias == nullptr;
  const int64_t elements = p.groups * plan.m * plan.n;
  const int threads =
      threads_for(2.0 * static_cast<double>(elements) * static_cast<double>(view.columns()));

  Slicer size;
  size.take<T>(is_dweight ? 0 : elements);
  const std::size_t before_partial = size.used();
  size.take<T>(plan.splits > 1 ? plan.splits * elements : 0);
  const std::size_t shared = size.used();
  WeightsWorker<T>(kernels, view, plan, size);
  const std::size_t per_thread = size.used() - shared;
  const Scratch scratch(shared + per_thread * static_cast<std::size_t>(threads));
  T* const product = is_dweight ? dweight : reinterpret_cast<T*>(scratch.data());
  T* const partial =
      plan.splits > 1 ? reinterpret_cast<T*>(scratch.data() + before_partial) : product;

  parallel_for(p.groups * plan.splits * plan.tiles(), threads, [&](int64_t task, int thread) {
    const int64_t column_tile = task % plan.column_tiles;
    const int64_t row_tile = task / plan.column_tiles % plan.row_tiles;
    const int64_t split = task / plan.tiles() % plan.splits;
    const int64_t group = task / plan.tiles() / plan.splits;
    Slicer slice(scratch.data() + shared + per_thread * static_cast<std::size_t>(thread));
    WeightsWorker<T> worker(kernels, view, plan, slice);
    worker.run(p, dy + group * p.group_out_channels() * p.out_pixels(),
               x + group * p.group_in_channels() * p.in_pixels(), split,
               row_tile * plan.rows_per_tile, column_tile * plan.columns_per_tile,
               partial + split * elements + group * plan.m * plan.n);
  });
  if (plan.splits > 1) add_partial_sums(partial, plan.splits, elements, product);
  if (!is_dweight) split_product(kernels, p, plan, product, dweight, dbias);
}

template bool gemm_has_room_for_bias<float>(const Conv2dProblem&);
template bool gemm_has_room_for_bias<double>(const Conv2dProblem&);
template void gemm_backward_weights(const Conv2dProblem&, const float*, const float*, float*,
                                    float*);
template void gemm_backward_weights(const Conv2dProblem&, const double*, const double*, double*,
                                    double*);

}  // namespace convolt
