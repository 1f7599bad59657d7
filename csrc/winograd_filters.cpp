#include "winograd_filters.h"

#include <algorithm>

#include "parallel.h"
#include "workspace.h"

namespace convolt {

template <typename T>
FilterLayout::FilterLayout(const KernelTable<T>& kernels, int64_t rows, int64_t channels) {
  // No two rows of a tile of the product, and no two elements of a filter, in the same set of the
  // first level of the cache: not a multiple of 4 KiB apart.
  const int64_t line = static_cast<int64_t>(kCacheLine / sizeof(T));
  pitch = round_up(channels, kernels.lanes);
  if (pitch % (8 * line) == 0) pitch += line;
  step = round_up(rows * pitch, line);
  if (step % (8 * line) == 0) step += line;
}

template <typename T>
void transform_filters(const WinogradKernels<T>& kernels, const FilterView<T>& filters,
                       int64_t group, int64_t row_begin, int64_t row_end,
                       const FilterLayout& layout, T* u) {
  const T* w = filters.data + group * filters.group_step + row_begin * filters.row_step;
  for (int64_t row = row_begin; row < row_end && !stop_requested(); ++row) {
    kernels.filter(w, filters.channel_step, filters.flipped, filters.channels, layout.step, u);
    w += filters.row_step;
    u += layout.pitch;
  }
}

template <typename T>
void transform_all_filters(const KernelTable<T>& kernels, const FilterView<T>& filters,
                           int64_t tile, const FilterLayout& layout, T* u) {
  constexpr int64_t kRowsAtOnce = 4;
  constexpr double kOperationsPerFilter = 200;
  const int64_t tasks = ceil_div(filters.rows, kRowsAtOnce);
  const int threads =
      threads_for(kOperationsPerFilter * static_cast<double>(filters.groups * filters.rows) *
                  static_cast<double>(filters.channels));
  parallel_for(filters.groups * tasks, threads, [&](int64_t task, int) {
    const int64_t group = task / tasks, row = task % tasks * kRowsAtOnce;
    transform_filters(winograd_kernels(kernels, tile), filters, group, row,
                      std::min(row + kRowsAtOnce, filters.rows), layout,
                      u + group * layout.elements(tile) + row * layout.pitch);
  });
}

template <typename T>
int64_t packed_filter_elements(const KernelTable<T>& kernels, const FilterView<T>& filters) {
  return round_up(filters.rows, kernels.mr) * filters.channels;
}

template <typename T>
void pack_all_filters(const KernelTable<T>& kernels, const FilterView<T>& filters, int64_t tile,
                      T* packed) {
  const FilterLayout layout(kernels, kernels.mr, filters.channels);
  const int64_t panels = ceil_div(filters.rows, kernels.mr), elements = (tile + 2) * (tile + 2);
  const int64_t kc = even_block(filters.channels, kernels.kc);
  const int64_t step = packed_filter_elements(kernels, filters);
  const int threads = num_threads();
  const auto bytes = static_cast<std::size_t>(layout.elements(tile)) * sizeof(T);
  const Scratch scratch(bytes * static_cast<std::size_t>(threads));
  parallel_for(filters.groups * panels, threads, [&](int64_t task, int thread) {
    auto* const u = reinterpret_cast<T*>(scratch.data() + bytes * static_cast<std::size_t>(thread));
    const int64_t group = task / panels, row = task % panels * kernels.mr;
    const int64_t rows = std::min(kernels.mr, filters.rows - row);
    transform_filters(winograd_kernels(kernels, tile), filters, group, row, row + rows, layout, u);
    for (int64_t e = 0; e < elements; ++e) {
      T* const to = packed + (group * elements + e) * step;
      for (int64_t k = 0; k < filters.channels; k += kc) {
        const int64_t count = std::min(kc, filters.channels - k);
        kernels.interleave_rows(u + e * layout.step + k, layout.pitch, rows, count,
                                to + k * (step / filters.channels) + row * count, kernels.mr, 0);
      }
    }
  });
}

template FilterLayout::FilterLayout(const KernelTable<float>&, int64_t, int64_t);
template FilterLayout::FilterLayout(const KernelTable<double>&, int64_t, int64_t);
template void transform_filters(const WinogradKernels<float>&, const FilterView<float>&, int64_t,
                                int64_t, int64_t, const FilterLayout&, float*);
template void transform_filters(const WinogradKernels<double>&, const FilterView<double>&, int64_t,
                                int64_t, int64_t, const FilterLayout&, double*);
template void transform_all_filters(const KernelTable<float>&, const FilterView<float>&, int64_t,
                                    const FilterLayout&, float*);
template void transform_all_filters(const KernelTable<double>&, const FilterView<double>&, int64_t,
                                    const FilterLayout&, double*);

template int64_t packed_filter_elements(const KernelTable<float>&, const FilterView<float>&);
template int64_t packed_filter_elements(const KernelTable<double>&, const FilterView<double>&);
template void pack_all_filters(const KernelTable<float>&, const FilterView<float>&, int64_t,
                               float*);
template void pack_all_filters(const KernelTable<double>&, const FilterView<double>&, int64_t,
                               double*);

}  // namespace convolt
