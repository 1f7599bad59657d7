// backward_weights: a product whose long side is the reduction, over all pixels of the batch. Both
// operands lie with their pixels consecutive, so both are transposed while packing.
#include <algorithm>
#include <utility>

#include "gemm.h"
#include "implicit_gemm.h"
#include "isa.h"
#include "parallel.h"

namespace convolt {
namespace {

// How the work is cut: dweight into tiles, and the reduction into `splits` runs of chunks whose
// sums are added in order afterwards. All of it follows from the shape, never from the threads, and
// so do the bits of the result.
struct WeightsPlan {
  int64_t m, n;
  bool with_bias;       // the last column of the n sees 1 for every pixel: its sums are dbias
  ColumnBlocks chunks;  // of pixels
  int64_t rows_per_tile, row_tiles;
  int64_t columns_per_tile, column_tiles;
  int64_t chunks_per_split, splits;

  int64_t tiles() const { return row_tiles * column_tiles; }
};

template <typename T>
WeightsPlan plan_weights(const KernelTable<T>& kernels, const Conv2dProblem& p,
                         const Im2colView& view, bool with_bias) {
  // Enough tasks for many threads, few enough that the partial sums stay small.
  constexpr int64_t kTasks = 16;
  constexpr int64_t kLeastChunks = 4;  // so that adding the partial sums costs little
  constexpr int64_t kBlocksOfA = 4;    // B is packed anew for each tile of rows: make them tall
  WeightsPlan plan = {p.group_out_channels(),
                      view.rows() + (with_bias ? 1 : 0),
                      with_bias,
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
    rows_ = scratch.take<T>(kernels.nr * row_pitch_);
    packed_a_ = scratch.take<T>(plan.rows_per_tile * plan.chunks.size);
    packed_b_ = scratch.take<T>(plan.columns_per_tile * plan.chunks.size);
    panels_ = scratch.take<PanelOfB<T>>(panels);
    tile_ = scratch.take<T>(kernels.mr * kernels.nr);
    store_runs_ = scratch.take<PixelRun>(panels);
    first_run_ = scratch.take<int64_t>(panels + 1);
  }

  // dweight[row .. , column ..] of one tile, from one split of the pixels; x and dy of one group.
  void run(const Conv2dProblem& p, const T* dy, const T* x, int64_t split, int64_t row,
           int64_t column, T* dweight) {
    const int64_t rows = std::min(plan_.rows_per_tile, plan_.m - row);
    const int64_t columns = std::min(plan_.columns_per_tile, plan_.n - column);
    const int64_t panels = ceil_div(columns, kernels_.nr);
    for (int64_t i = 0; i < panels; ++i) {
      store_runs_[i] = {i * kernels_.nr, 0, std::min(kernels_.nr, columns - i * kernels_.nr)};
    }
    for (int64_t i = 0; i <= panels; ++i) first_run_[i] = i;

    const Planes<T> channels_of_dy = {dy, p.out_pixels(), p.out_channels * p.out_pixels()};
    const int64_t begin = split * plan_.chunks_per_split;
    const int64_t end = std::min(begin + plan_.chunks_per_split, plan_.chunks.count);
    for (int64_t chunk = begin; chunk < end && !stop_requested(); ++chunk) {
      const int64_t pixels = plan_.chunks.columns(chunk);
      pixels_.prepare(plan_.chunks.first(chunk), pixels);
      for (int64_t i = 0; i < panels; ++i) {
        panels_[i] = {packed_b_ + i * kernels_.nr * pixels, kernels_.nr};
      }
      const int64_t first = plan_.chunks.first(chunk);
      const bool in_place = pixels >= kLeastPixelsInPlace &&
                            first / p.out_pixels() == (first + pixels - 1) / p.out_pixels() &&
                            rows_in_reach(kernels_, p.out_pixels());
      const T* a = packed_a_;
      if (in_place) {
        a = channels_of_dy.at(row, first, p.out_pixels());
      } else {
        pack_planes(channels_of_dy, row, rows, first, pixels, kernels_.mr, packed_a_);
      }
      if (view_.is_plain()) {
        pack_planes({x, view_.channel_stride, view_.batch_stride}, column, columns, first, pixels,
                    kernels_.nr, packed_b_);
      } else {
        pack_columns(x, column, columns, pixels);
      }
      for (int64_t r = 0; r < rows; r += kernels_.mc) {
        const int64_t row_step = in_place ? p.out_pixels() : pixels;
        const GemmBlocks<T> blocks = {a + r * row_step,
                                      in_place ? p.out_pixels() : kernels_.mr,
                                      row_step,
                                      in_place,
                                      std::min(kernels_.mc, rows - r),
                                      panels_,
                                      panels,
                                      pixels};
        const TileTarget<T> target = {dweight + (row + r) * plan_.n + column, plan_.n, 1,
                                      store_runs_, first_run_};
        macro_kernel(kernels_, blocks, target, Epilogue<T>{nullptr, chunk > begin, false}, tile_);
      }
    }
  }

 private:
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
      const int64_t taps = std::min(count, view_.rows() - column - j);
      pixels_.pack(kernels_, x, column + j, column + j + taps, padded_, rows_,
                   {0, row_pitch_, 0, pixels_.panel_count()});
      if (taps < count) std::fill_n(rows_ + taps * row_pitch_, pixels, T{1});
      kernels_.interleave_rows(rows_, row_pitch_, count, pixels, packed_b_ + j * pixels,
                               kernels_.nr, 0);
    }
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

// Of a 1x1 layer on every pixel both operands are planes of pixels: rows of A, broadcast from where
// they lie, or columns of B, which are packed. Better the fewer are packed: 1.1 to 1.5 times as
// fast, unless the map is so small that rows are packed too and that turning dweight takes its
// time.
template <typename T>
bool exchanges_operands(const KernelTable<T>& kernels, const Conv2dProblem& p) {
  return forward_view(p).is_plain() && p.out_pixels() >= kernels.kc &&
         p.group_out_channels() < p.group_in_channels();
}

// The layer whose x is our dy, and the other way round: its dweight is the transpose of ours.
Conv2dProblem exchanged(const Conv2dProblem& p) {
  Conv2dProblem q = p;
  q.in_channels = p.out_channels;
  q.out_channels = p.in_channels;
  return q;
}

// dweight of each group from its transpose.
template <typename T>
void transpose_groups(const KernelTable<T>& kernels, const Conv2dProblem& p, const T* product,
                      T* dweight) {
  const int64_t rows = p.group_in_channels(), columns = p.group_out_channels();
  for (int64_t group = 0; group < p.groups; ++group) {
    const int64_t offset = group * rows * columns;
    kernels.interleave_rows(product + offset, columns, rows, columns, dweight + offset, rows, 0);
  }
}

// Rows of a product with dbias in their last column.
template <typename T>
void split_off_bias(const T* product, int64_t rows, int64_t taps, T* dweight, T* dbias) {
  for (int64_t row = 0; row < rows; ++row, product += taps + 1) {
    std::copy(product, product + taps, dweight + row * taps);
    dbias[row] = product[taps];
  }
}

}  // namespace

template <typename T>
bool gemm_has_room_for_bias(const Conv2dProblem& p) {
  const Im2colView view = forward_view(p);
  return p.batch > 0 && p.out_channels > 0 && !view.is_plain() && view.rows() % selected_kernels<T>().nr != 0;
}

template <typename T>
void gemm_backward_weights(const Conv2dProblem& problem, const T* dy, const T* x, T* dweight,
                           T* dbias) {
  const int64_t weights = problem.out_channels * problem.group_in_channels() * problem.taps();
  if (weights == 0) return;
  if (problem.batch == 0) {
    std::fill(dweight, dweight + weights, T{0});
    return;
  }
  const KernelTable<T>& kernels = selected_kernels<T>();
  const bool exchange = exchanges_operands(kernels, problem);
  const Conv2dProblem p = exchange ? exchanged(problem) : problem;
  if (exchange) std::swap(dy, x);

  const Im2colView view = forward_view(p);
  const WeightsPlan plan = plan_weights(kernels, p, view, dbias != nullptr);
  const int64_t elements = p.groups * plan.m * plan.n;
  const int threads =
      threads_for(2.0 * static_cast<double>(elements) * static_cast<double>(view.columns()));

  const bool in_place = !exchange && dbias == nullptr;
  Slicer size;
  size.take<T>(in_place ? 0 : elements);
  const std::size_t before_partial = size.used();
  size.take<T>(plan.splits > 1 ? plan.splits * elements : 0);
  const std::size_t shared = size.used();
  WeightsWorker<T>(kernels, view, plan, size);
  const std::size_t per_thread = size.used() - shared;
  const Scratch scratch(shared + per_thread * static_cast<std::size_t>(threads));
  T* const product = in_place ? dweight : reinterpret_cast<T*>(scratch.data());
  T* const partial =
      plan.splits > 1 ? reinterpret_cast<T*>(scratch.data() + before_partial) : product;

  parallel_for(p.groups * plan.splits * plan.tiles(), threads, [&](int64_t task, int thread) {
    const int64_t column_tile = task % plan.column_tiles;
    const int64_t row_tile = task / plan.column_tiles % plan.row_tiles;
    const int64_t split = task / plan.tiles() % plan.splits;
    const int64_t group = task / plan.tiles() / plan.splits;
    Slicer slice(scratch.data() + shared + per_thread * static_cast<std::size_t>(thread));
    WeightsWorker<T> worker(kernels, view, plan, slice);
    worker.run(p, dy + group * plan.m * p.out_pixels(),
               x + group * p.group_in_channels() * p.in_pixels(), split,
               row_tile * plan.rows_per_tile, column_tile * plan.columns_per_tile,
               partial + split * elements + group * plan.m * plan.n);
  });
  if (plan.splits > 1) add_partial_sums(partial, plan.splits, elements, product);
  if (exchange) transpose_groups(kernels, problem, product, dweight);
  if (dbias != nullptr) split_off_bias(product, p.out_channels, view.rows(), dweight, dbias);
}

template bool gemm_has_room_for_bias<float>(const Conv2dProblem&);
template bool gemm_has_room_for_bias<double>(const Conv2dProblem&);
template void gemm_backward_weights(const Conv2dProblem&, const float*, const float*, float*,
                                    float*);
template void gemm_backward_weights(const Conv2dProblem&, const double*, const double*, double*,
                                    double*);

}  // namespace convolt
