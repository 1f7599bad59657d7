#include "winograd.h"

#include <algorithm>

#include "gemm.h"
#include "parallel.h"
#include "winograd_filters.h"
#include "workspace.h"

namespace convolt {
namespace {

// The operands as both passes see them; planes and bias are those of group 0.
template <typename T>
struct WinogradProblem {
  int64_t batch;
  GroupedFilters<T> filters;
  WinogradPlanes<const T> image;
  WinogradPlanes<T> output;
  int64_t pad_top, pad_left;  // negative: so many rows or columns are left out
  const T* bias;
  bool relu;
};

// The tiles of all images in one row: the columns of the products.
struct TileGrid {
  int64_t tile;
  int64_t h, w;  // tiles of an image
  int64_t count;

  TileGrid(int64_t tile_size, int64_t batch, int64_t out_h, int64_t out_w)
      : tile(tile_size), h(ceil_div(out_h, tile)), w(ceil_div(out_w, tile)), count(batch * h * w) {}

  int64_t most_runs(int64_t tiles) const { return w == 0 ? 0 : tiles / w + 2; }

  // The runs of the tiles [first, first + tiles) of images that lie `image_step` apart.
  WinogradRuns find_runs(int64_t first, int64_t tiles, int64_t image_step, int64_t shift_y,
                         int64_t shift_x, WinogradRun* runs) const {
    WinogradRun* run = runs;
    int64_t column = 0;
    for_each_run(first, tiles, tiles, w,
                 [&](int64_t, int64_t, int64_t row, int64_t offset, int64_t length) {
                   *run++ = {row / h * image_step, row % h * tile - shift_y,
                             offset * tile - shift_x, column, length};
                   column += length;
                 });
    return {runs, run - runs};
  }
};

// The transformed filters that a task multiplies with: rows, or panels of MR rows.
template <typename T>
struct ProductFilters {
  const T* data;
  int64_t step;         // from element to element
  int64_t pitch;        // from row to row; 0: packed
  int64_t padded_rows;  // of all panels

  // The rows from `row` on, a multiple of MR, of the channels [k, k + kc).
  GemmBlocks<T> blocks(const KernelTable<T>& kernels, int64_t e, int64_t row, int64_t k,
                       int64_t kc) const {
    const T* const u = data + e * step;
    if (pitch == 0) {
      return {u + k * padded_rows + row * kc, kernels.mr, kc, false, 0, nullptr, 0, kc};
    }
    return {u + row * pitch + k, pitch, pitch, true, 0, nullptr, 0, kc};
  }
};

// How the products are cut. Transformed input is kept for `strip` tiles, which all threads share;
// a task multiplies `rows` rows of filters with `block` tiles at a time.
struct WinogradPlan {
  int threads;
  int64_t strips, strip;
  int64_t block;
  int64_t parts, rows;
  bool filters_first;  // else each task transforms its own, for one strip is all there is

  template <typename T>
  WinogradPlan(const KernelTable<T>& kernels, const WinogradProblem<T>& p, const TileGrid& grid,
               bool prepared);
};

constexpr int64_t kStripBytes = int64_t{1} << 20;  // of transformed input: half of L2
constexpr int64_t kLeastStrip = 64;                // tiles to share the filters read from memory,
constexpr int64_t kRowsPerTile = 2;  // or, to transform filters only when they are used
constexpr int64_t kProductBytes = int64_t{256} << 10;
// Of filters that a task transforms for itself: they stay in L2 beside the strip; where that lies
// in L3 already, more of them read it less often.
constexpr int64_t kFilterBytes = int64_t{512} << 10;
constexpr int64_t kFilterBytesBesideL3 = int64_t{4} << 20;
constexpr int64_t kL2Bytes = int64_t{2} << 20;

template <typename T>
WinogradPlan::WinogradPlan(const KernelTable<T>& kernels, const WinogradProblem<T>& p,
                           const TileGrid& grid, bool prepared) {
  const auto bytes = static_cast<int64_t>(sizeof(T));
  const int64_t elements = (grid.tile + 2) * (grid.tile + 2);
  const int64_t channels = std::max(p.filters.first.channels, int64_t{1});  // dx may sum over none
  const int64_t all_rows = p.filters.first.rows;
  threads = threads_for(2.0 * static_cast<double>(elements * p.filters.groups * all_rows) *
                        static_cast<double>(channels) * static_cast<double>(grid.count));
  const int64_t fit = kStripBytes / (elements * channels * bytes);
  const int64_t wanted = std::max({fit, kLeastStrip, prepared ? 0 : all_rows / kRowsPerTile});
  strips = std::max<int64_t>((grid.count + wanted / 2) / wanted, 1);
  strip = round_up(ceil_div(grid.count, strips), kernels.nr);
  strips = ceil_div(grid.count, strip);
  constexpr int64_t kPanels = 3;
  block = round_up(ceil_div(strip, ceil_div(strip, kPanels * kernels.nr)), kernels.nr);
  filters_first = prepared || strips > 1;
  int64_t most_rows = kProductBytes / (elements * block * bytes);
  if (!filters_first) {
    const int64_t channel_bytes = elements * channels * bytes;
    const int64_t room = strip * channel_bytes <= kL2Bytes ? kFilterBytes : kFilterBytesBesideL3;
    most_rows = std::min(most_rows, room / channel_bytes);
  }
  most_rows = std::clamp(most_rows, kernels.mr, kernels.mc);
  parts = round_up(ceil_div(all_rows, most_rows), threads);
  rows = round_up(ceil_div(all_rows, parts), kernels.mr);
  parts = ceil_div(all_rows, rows);
}

// The scratch of one thread, and the work it is for.
template <typename T>
class WinogradWorker {
 public:
  WinogradWorker(const KernelTable<T>& kernels, const WinogradProblem<T>& p, const TileGrid& grid,
                 const WinogradPlan& plan, Slicer& scratch)
      : kernels_(kernels),
        transforms_(winograd_kernels(kernels, grid.tile)),
        p_(p),
        grid_(grid),
        plan_(plan),
        elements_((grid.tile + 2) * (grid.tile + 2)),
        kc_(even_block(p.filters.first.channels, kernels.kc)),
        layout_(kernels, plan.rows, p.filters.first.channels) {
    const int64_t pitch = round_up(plan.block, kernels.lanes);
    m_ = {scratch.take<T>(plan.rows * elements_ * pitch + kernels.lanes), pitch, elements_ * pitch};
    own_filters_ = scratch.take<T>(plan.filters_first ? 0 : layout_.elements(grid.tile));
    const int64_t panels = ceil_div(plan.block, kernels.nr);
    panels_ = scratch.take<PanelOfB<T>>(panels);
    store_runs_ = scratch.take<PixelRun>(panels);
    first_store_run_ = scratch.take<int64_t>(panels + 1);
    runs_ = scratch.take<WinogradRun>(grid.most_runs(plan.block));
  }

  // Of the rows [row_begin, row_end).
  ProductFilters<T> transform_own_filters(int64_t group, int64_t row_begin, int64_t row_end) {
    transforms_.filter(p_.filters.rows(group, row_begin, row_end),
                       {own_filters_, layout_.step, layout_.pitch});
    return {own_filters_ - row_begin * layout_.pitch, layout_.step, layout_.pitch, 0};
  }

  // The outputs of `tiles` tiles from `first` on, of the rows [row_begin, row_end); v begins with
  // the first tile.
  void run(int64_t group, int64_t first, int64_t tiles, int64_t row_begin, int64_t row_end,
           const ProductFilters<T>& u, const WinogradMatrices<const T>& v) {
    multiply(tiles, row_begin, row_end, u, v);
    const int64_t plane = p_.output.h * p_.output.w;
    const int64_t channel = group * p_.output.channels + row_begin;
    const WinogradRuns runs =
        grid_.find_runs(first, tiles, p_.filters.groups * p_.output.channels * plane, 0, 0, runs_);
    const WinogradPlanes<T> planes = {p_.output.data + channel * plane, row_end - row_begin,
                                      p_.output.h, p_.output.w};
    transforms_.output({m_.data, m_.step, m_.pitch}, runs,
                       p_.bias == nullptr ? nullptr : p_.bias + channel, p_.relu, planes);
  }

 private:
  // M[e] = U[e] V[e] for every element e of a tile.
  void multiply(int64_t tiles, int64_t row_begin, int64_t row_end, const ProductFilters<T>& u,
                const WinogradMatrices<const T>& v) {
    const int64_t columns = round_up(tiles, kernels_.lanes);
    const int64_t panels = ceil_div(columns, kernels_.nr);
    for (int64_t j = 0; j < panels; ++j) {
      store_runs_[j] = {j * kernels_.nr, 0, std::min(kernels_.nr, columns - j * kernels_.nr)};
      first_store_run_[j] = j;
    }
    first_store_run_[panels] = panels;
    const int64_t channels = p_.filters.first.channels;
    for (int64_t e = 0; e < elements_ && !stop_requested(); ++e) {
      const TileTarget<T> target = {m_.data + e * m_.step, m_.pitch, 1, store_runs_,
                                    first_store_run_};
      int64_t k = 0;
      do {  // once for no channels as well: their sum is 0
        for (int64_t j = 0; j < panels; ++j) {
          panels_[j] = {v.data + e * v.step + k * v.pitch + j * kernels_.nr, v.pitch};
        }
        const int64_t kc = std::min(kc_, channels - k);
        GemmBlocks<T> blocks = u.blocks(kernels_, e, row_begin, k, kc);
        blocks.rows = row_end - row_begin;
        blocks.b = panels_;
        blocks.panels = panels;
        macro_kernel<T>(kernels_, blocks, target, {nullptr, k > 0, false}, nullptr);
        k += kc;
      } while (k < channels);
    }
  }

  const KernelTable<T>& kernels_;
  const WinogradKernels<T>& transforms_;
  const WinogradProblem<T>& p_;
  const TileGrid& grid_;
  const WinogradPlan& plan_;
  int64_t elements_, kc_;
  FilterLayout layout_;
  WinogradMatrices<T> m_;
  T* own_filters_;
  PanelOfB<T>* panels_;
  PixelRun* store_runs_;
  int64_t* first_store_run_;
  WinogradRun* runs_;
};

// The transformed input of a strip: rows of an odd number of cache lines, and elements a line apart
// from a multiple of 4 KiB, so that neither share a set of the first level of the cache.
template <typename T>
WinogradMatrices<T> take_input(const TileGrid& grid, int64_t strip, int64_t channels,
                               Slicer& scratch) {
  const int64_t line = static_cast<int64_t>(kCacheLine / sizeof(T));
  const int64_t pitch = (ceil_div(strip, line) | 1) * line;
  const int64_t step = channels * pitch + line;
  return {scratch.take<T>((grid.tile + 2) * (grid.tile + 2) * step), step, pitch};
}

template <typename T>
void transform_strip(const WinogradKernels<T>& transforms, const WinogradProblem<T>& p,
                     const WinogradRuns& runs, int64_t group, int64_t columns, int threads,
                     const WinogradMatrices<T>& v) {
  constexpr int64_t kChannelsAtOnce = 4;
  const int64_t channels = p.image.channels, plane = p.image.h * p.image.w;
  parallel_for(ceil_div(channels, kChannelsAtOnce), threads, [&](int64_t task, int) {
    const int64_t channel = task * kChannelsAtOnce;
    const WinogradPlanes<const T> planes = {p.image.data + (group * channels + channel) * plane,
                                            std::min(kChannelsAtOnce, channels - channel),
                                            p.image.h, p.image.w};
    transforms.input(planes, runs, columns, {v.data + channel * v.pitch, v.step, v.pitch});
  });
}

template <typename T>
void run_winograd(const WinogradProblem<T>& p, int64_t tile, const PreparedWeight<T>* prepared) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  const TileGrid grid(tile, p.batch, p.output.h, p.output.w);
  if (grid.count == 0 || p.filters.first.rows == 0) return;
  const WinogradPlan plan(kernels, p, grid, prepared != nullptr);
  const FilterLayout layout(kernels, p.filters.first.rows, p.filters.first.channels);

  Slicer size;
  take_input<T>(grid, plan.strip, p.image.channels, size);
  size.take<WinogradRun>(grid.most_runs(plan.strip));
  const bool transforms_first = plan.filters_first && prepared == nullptr;
  size.take<T>(transforms_first ? p.filters.groups * layout.elements(tile) : 0);
  const std::size_t shared = size.used();
  WinogradWorker<T>(kernels, p, grid, plan, size);
  const std::size_t per_thread = size.used() - shared;
  const Scratch scratch(shared + per_thread * static_cast<std::size_t>(plan.threads));

  Slicer slice(scratch.data());
  const WinogradMatrices<T> v = take_input<T>(grid, plan.strip, p.image.channels, slice);
  auto* const strip_runs = slice.take<WinogradRun>(grid.most_runs(plan.strip));
  ProductFilters<T> u{};
  int64_t group_step = 0;
  if (prepared != nullptr) {
    u.step = packed_filter_elements(kernels, p.filters);
    u.padded_rows = round_up(p.filters.first.rows, kernels.mr);
    group_step = u.step * (tile + 2) * (tile + 2);
    u.data = prepared->get(kernels, {0, tile}, p.filters.groups * group_step,
                           [&](T* packed) { pack_all_filters(kernels, p.filters, tile, packed); });
  } else if (transforms_first) {
    group_step = layout.elements(tile);
    T* const filters = slice.take<T>(p.filters.groups * group_step);
    transform_all_filters(kernels, p.filters, tile, layout, filters);
    u = {filters, layout.step, layout.pitch, 0};
  }

  const int64_t image_step = p.filters.groups * p.image.channels * p.image.h * p.image.w;
  for (int64_t task = 0; task < p.filters.groups * plan.strips; ++task) {
    const int64_t group = task / plan.strips, first = task % plan.strips * plan.strip;
    const int64_t tiles = std::min(plan.strip, grid.count - first);
    const WinogradRuns runs =
        grid.find_runs(first, tiles, image_step, p.pad_top, p.pad_left, strip_runs);
    transform_strip(winograd_kernels(kernels, tile), p, runs, group, round_up(tiles, kernels.lanes),
                    plan.threads, v);
    parallel_for(plan.parts, plan.threads, [&](int64_t part, int thread) {
      Slicer own(scratch.data() + shared + per_thread * static_cast<std::size_t>(thread));
      WinogradWorker<T> worker(kernels, p, grid, plan, own);
      const int64_t row = part * plan.rows,
                    row_end = std::min(row + plan.rows, p.filters.first.rows);
      ProductFilters<T> filters = u;
      filters.data += group * group_step;
      if (!plan.filters_first) filters = worker.transform_own_filters(group, row, row_end);
      for (int64_t t = 0; t < tiles && !stop_requested(); t += plan.block) {
        worker.run(group, first + t, std::min(plan.block, tiles - t), row, row_end, filters,
                   {v.data + t, v.step, v.pitch});
      }
    });
  }
}

}  // namespace

template <typename T>
void winograd_forward(const Conv2dProblem& p, int64_t tile, const T* x, const T* weight,
                      const PreparedWeight<T>* prepared, const T* bias, bool relu, T* y) {
  const int64_t rows = p.group_out_channels(), channels = p.group_in_channels();
  WinogradProblem<T> problem{};
  problem.batch = p.batch;
  problem.filters = {
      {weight, rows, channels, channels * 9, 9, false}, p.groups, rows * channels * 9};
  problem.image = {x, channels, p.in_h, p.in_w};
  problem.output = {y, rows, p.out_h, p.out_w};
  problem.pad_top = p.window.pad_top;
  problem.pad_left = p.window.pad_left;
  problem.bias = bias;
  problem.relu = relu;
  run_winograd(problem, tile, prepared);
}

template <typename T>
void winograd_backward_data(const Conv2dProblem& p, int64_t tile, const T* dy, const T* weight,
                            const T* bias, T* dx) {
  const int64_t rows = p.group_in_channels(), channels = p.group_out_channels();
  WinogradProblem<T> problem{};
  problem.batch = p.batch;
  problem.filters = {{weight, rows, channels, 9, rows * 9, true}, p.groups, rows * channels * 9};
  problem.image = {dy, channels, p.out_h, p.out_w};
  problem.output = {dx, rows, p.in_h, p.in_w};
  problem.pad_top = 2 - p.window.pad_top;
  problem.pad_left = 2 - p.window.pad_left;
  problem.bias = bias;
  run_winograd<T>(problem, tile, nullptr);
}

template void winograd_forward(const Conv2dProblem&, int64_t, const float*, const float*,
                               const PreparedWeight<float>*, const float*, bool, float*);
template void winograd_forward(const Conv2dProblem&, int64_t, const double*, const double*,
                               const PreparedWeight<double>*, const double*, bool, double*);
template void winograd_backward_data(const Conv2dProblem&, int64_t, const float*, const float*,
                                     const float*, float*);
template void winograd_backward_data(const Conv2dProblem&, int64_t, const double*, const double*,
                                     const double*, double*);

}  // namespace convolt
