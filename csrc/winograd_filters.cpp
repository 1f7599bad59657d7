#include "winograd_filters.h"

#include <algorithm>

#include "parallel.h"
#include "workspace.h"

namespace convolt {

namespace {

template <typename T>
int threads_for_filters(const GroupedFilters<T>& filters) {
  constexpr double kOperationsPerFilter = 200;
  return threads_for(kOperationsPerFilter *
                     static_cast<double>(filters.groups * filters.first.rows) *
                     static_cast<double>(filters.first.channels));
}

}  // namespace

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
void transform_all_filters(const KernelTable<T>& kernels, const GroupedFilters<T>& filters,
                           const WinogradSize& size, const FilterLayout& layout, T* u) {
  constexpr int64_t kRowsAtOnce = 4;
  const int64_t rows = filters.first.rows, tasks = ceil_div(rows, kRowsAtOnce);
  const int threads = threads_for_filters(filters);
  parallel_for(filters.groups * tasks, threads, [&](int64_t task, int) {
    const int64_t group = task / tasks, row = task % tasks * kRowsAtOnce;
    winograd_kernels(kernels, size)
        .filter(filters.rows(group, row, std::min(row + kRowsAtOnce, rows)),
                {u + group * size.elements() * layout.step + row * layout.pitch, layout.step,
                 layout.pitch});
  });
}

template <typename T>
int64_t packed_filter_elements(const KernelTable<T>& kernels, const GroupedFilters<T>& filters) {
  return round_up(filters.first.rows, kernels.mr) * filters.first.channels;
}

template <typename T>
void pack_all_filters(const KernelTable<T>& kernels, const GroupedFilters<T>& filters,
                      const WinogradSize& size, T* packed) {
  const int64_t all_rows = filters.first.rows, channels = filters.first.channels;
  const int64_t panels = ceil_div(all_rows, kernels.mr), padded_rows = panels * kernels.mr;
  const int64_t elements = size.elements(), kc = even_block(channels, kernels.kc);
  const FilterLayout layout(kernels, kernels.mr, channels);
  const int threads = threads_for_filters(filters);
  const auto bytes = static_cast<std::size_t>(size.elements() * layout.step) * sizeof(T);
  const Scratch scratch(bytes * static_cast<std::size_t>(threads));
  parallel_for(filters.groups * panels, threads, [&](int64_t task, int thread) {
    auto* const u = reinterpret_cast<T*>(scratch.data() + bytes * static_cast<std::size_t>(thread));
    const int64_t group = task / panels, row = task % panels * kernels.mr;
    const WinogradFilters<T> own = filters.rows(group, row, std::min(row + kernels.mr, all_rows));
    winograd_kernels(kernels, size).filter(own, {u, layout.step, layout.pitch});
    for (int64_t e = 0; e < elements; ++e) {
      T* const to = packed + (group * elements + e) * padded_rows * channels;
      for (int64_t k = 0; k < channels; k += kc) {
        const int64_t count = std::min(kc, channels - k);
        kernels.interleave_rows(u + e * layout.step + k, layout.pitch, own.rows, count,
                                to + k * padded_rows + row * count, kernels.mr, 0);
      }
    }
  });
}

template FilterLayout::FilterLayout(const KernelTable<float>&, int64_t, int64_t);
template FilterLayout::FilterLayout(const KernelTable<double>&, int64_t, int64_t);
template void transform_all_filters(const KernelTable<float>&, const GroupedFilters<float>&,
                                    const WinogradSize&, const FilterLayout&, float*);
template void transform_all_filters(const KernelTable<double>&, const GroupedFilters<double>&,
                                    const WinogradSize&, const FilterLayout&, double*);

template int64_t packed_filter_elements(const KernelTable<float>&, const GroupedFilters<float>&);
template int64_t packed_filter_elements(const KernelTable<double>&, const GroupedFilters<double>&);
template void pack_all_filters(const KernelTable<float>&, const GroupedFilters<float>&,
                               const WinogradSize&, float*);
template void pack_all_filters(const KernelTable<double>&, const GroupedFilters<double>&,
                               const WinogradSize&, double*);

}  // namespace convolt
