#include "winograd_products.h"

#include <algorithm>

#include "parallel.h"

namespace convolt {
namespace {

constexpr int64_t kStripBytes = int64_t{1} << 20;  // of transformed input: half of L2
constexpr int64_t kLeastStrip = 64;                // tiles to share the filters read from memory,
constexpr int64_t kRowsPerTile = 2;  // or, to transform filters only when they are used
constexpr int64_t kProductBytes = int64_t{256} << 10;
// Of filters that a task transforms for itself: they stay in L2 beside the strip; where that lies
// in L3 already, more of them read it less often.
constexpr int64_t kFilterBytes = int64_t{512} << 10;
constexpr int64_t kFilterBytesBesideL3 = int64_t{4} << 20;
constexpr int64_t kL2Bytes = int64_t{2} << 20;
constexpr int64_t kOwnStripBytes = int64_t{5} << 20;  // larger ones are in L3 for all threads

}  // namespace

template <typename T>
WinogradPlan::WinogradPlan(const KernelTable<T>& kernels, const WinogradProblem<T>& p,
                           const TileGrid& grid, bool prepared) {
  const auto bytes = static_cast<int64_t>(sizeof(T));
  const int64_t elements = grid.elements();
  const int64_t channels = std::max(p.filters.first.channels, int64_t{1});  // dx may sum over none
  const int64_t all_rows = p.filters.first.rows;
  threads = threads_for(2.0 * static_cast<double>(elements * p.filters.groups * all_rows) *
                        static_cast<double>(channels) * static_cast<double>(grid.count));
  const int64_t fit = kStripBytes / (elements * channels * bytes);
  const int64_t wanted = std::max({fit, kLeastStrip, prepared ? 0 : all_rows / kRowsPerTile});
  strips = std::max<int64_t>((grid.count + wanted / 2) / wanted, 1);
  filters_first = prepared || strips > 1;
  strip_by_thread = filters_first && p.filters.groups * strips >= threads &&
                    wanted * elements * channels * bytes <= kOwnStripBytes;
  const bool even = strip_by_thread && threads > 1 && p.filters.groups % threads != 0;
  if (even) strips = round_up(strips, threads);
  strip = round_up(ceil_div(grid.count, strips), even ? kernels.lanes : kernels.nr);
  strips = ceil_div(grid.count, strip);
  constexpr int64_t kPanels = 3;
  block = round_up(ceil_div(strip, ceil_div(strip, kPanels * kernels.nr)), kernels.nr);
  int64_t most_rows = kProductBytes / (elements * block * bytes);
  if (!filters_first) {
    const int64_t channel_bytes = elements * channels * bytes;
    const int64_t room = strip * channel_bytes <= kL2Bytes ? kFilterBytes : kFilterBytesBesideL3;
    most_rows = std::min(most_rows, room / channel_bytes);
  }
  most_rows = std::clamp(most_rows, kernels.mr, kernels.mc);
  parts = ceil_div(all_rows, most_rows);
  if (!strip_by_thread) parts = round_up(parts, threads);
  rows = round_up(ceil_div(all_rows, parts), kernels.mr);
  parts = ceil_div(all_rows, rows);
}

template <typename T>
WinogradWorker<T>::WinogradWorker(const KernelTable<T>& kernels, const WinogradProblem<T>& p,
                                  const TileGrid& grid, const WinogradPlan& plan, Slicer& scratch)
    : kernels_(kernels),
      transforms_(winograd_kernels(kernels, grid.size)),
      p_(p),
      grid_(grid),
      plan_(plan),
      elements_(grid.elements()),
      kc_(even_block(p.filters.first.channels, kernels.kc)),
      layout_(kernels, plan.rows, p.filters.first.channels) {
  const int64_t pitch = round_up(plan.block, kernels.lanes);
  m_ = {scratch.take<T>(plan.rows * elements_ * pitch + kernels.lanes), pitch, elements_ * pitch};
  own_filters_ = scratch.take<T>(plan.filters_first ? 0 : elements_ * layout_.step);
  const int64_t panels = ceil_div(plan.block, kernels.nr);
  panels_ = scratch.take<PanelOfB<T>>(panels);
  store_runs_ = scratch.take<PixelRun>(panels);
  first_store_run_ = scratch.take<int64_t>(panels + 1);
  runs_ = scratch.take<WinogradRun>(grid.most_runs(plan.block));
}

template <typename T>
void WinogradWorker<T>::run(const WinogradTask<T>& task, const SharedFilters<T>& shared) {
  ProductFilters<T> u = shared.first;
  u.data += task.group * shared.group_step;
  if (!plan_.filters_first) {
    transforms_.filter(p_.filters.rows(task.group, task.row_begin, task.row_end),
                       {own_filters_, layout_.step, layout_.pitch});
    u = {own_filters_ - task.row_begin * layout_.pitch, layout_.step, layout_.pitch, 0};
  }
  for (int64_t done = 0; done < task.tiles && !stop_requested(); done += plan_.block) {
    WinogradTask<T> block = task;
    block.first += done;
    block.tiles = std::min(plan_.block, task.tiles - done);
    block.v.data += done;
    multiply(block, u);
    transform_output(block);
  }
}

// M[e] = U[e] V[e] for every element e of a tile.
template <typename T>
void WinogradWorker<T>::multiply(const WinogradTask<T>& task, const ProductFilters<T>& u) {
  const int64_t columns = round_up(task.tiles, kernels_.lanes);
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
      const WinogradMatrices<const T>& v = task.v;
      for (int64_t j = 0; j < panels; ++j) {
        panels_[j] = {v.data + e * v.step + k * v.pitch + j * kernels_.nr, v.pitch};
      }
      const int64_t kc = std::min(kc_, channels - k);
      GemmBlocks<T> blocks = u.blocks(kernels_, e, task.row_begin, k, kc);
      blocks.rows = task.row_end - task.row_begin;
      blocks.b = panels_;
      blocks.panels = panels;
      macro_kernel<T>(kernels_, blocks, target, {nullptr, k > 0, false}, nullptr);
      k += kc;
    } while (k < channels);
  }
}

template <typename T>
void WinogradWorker<T>::transform_output(const WinogradTask<T>& task) {
  const WinogradPlanes<T>& all = p_.output;
  const int64_t plane = all.h * all.w, channel = task.group * all.channels + task.row_begin;
  const int64_t image_step = p_.filters.groups * all.channels * plane;
  const WinogradRuns runs = grid_.find_runs(task.first, task.tiles, image_step, 0, 0, runs_);
  const T* const bias = p_.bias == nullptr ? nullptr : p_.bias + channel;
  transforms_.output({m_.data, m_.step, m_.pitch}, runs, bias, p_.relu,
                     {all.data + channel * plane, task.row_end - task.row_begin, all.h, all.w});
}

template WinogradPlan::WinogradPlan(const KernelTable<float>&, const WinogradProblem<float>&,
                                    const TileGrid&, bool);
template WinogradPlan::WinogradPlan(const KernelTable<double>&, const WinogradProblem<double>&,
                                    const TileGrid&, bool);
template class WinogradWorker<float>;
template class WinogradWorker<double>;

}  // namespace convolt
