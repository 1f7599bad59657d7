// The filters of a convolution, transformed for Winograd's products.
#pragma once

#include "isa.h"
#include "prepared_weight.h"

namespace convolt {

// F(tile x tile, taps x taps): tiles of outputs from tiles of so many elements, pixels or products.
struct WinogradSize {
  int64_t tile, taps;

  int64_t side() const { return tile + taps - 1; }
  int64_t elements() const { return side() * side(); }
};

template <typename T>
const WinogradKernels<T>& winograd_kernels(const KernelTable<T>& kernels,
                                           const WinogradSize& size) {
  if (size.taps == 5) return kernels.winograd_2x2_of_5x5;
  return size.tile == 2 ? kernels.winograd_2x2 : kernels.winograd_4x4;
}

// The filters of all groups; the first ones, and the step from group to group.
template <typename T>
struct GroupedFilters {
  WinogradFilters<T> first;
  int64_t groups, group_step;

  // The rows [begin, end) of a group.
  WinogradFilters<T> rows(int64_t group, int64_t begin, int64_t end) const {
    WinogradFilters<T> part = first;
    part.data += group * group_step + begin * first.row_step;
    part.rows = end - begin;
    return part;
  }
};

// Where the transformed filters of `rows` rows lie: a matrix rows x channels for each of the
// elements of a tile.
struct FilterLayout {
  int64_t pitch, step;  // from row to row and from element to element

  template <typename T>
  FilterLayout(const KernelTable<T>& kernels, int64_t rows, int64_t channels);
};

// All filters, group by group, on all threads.
template <typename T>
void transform_all_filters(const KernelTable<T>& kernels, const GroupedFilters<T>& filters,
                           const WinogradSize& size, const FilterLayout& layout, T* u);

// The same as panels of MR rows, which stream best from memory: element e of group g as
// PackedWeight would have the matrix rows x channels, one after the other.
template <typename T>
int64_t packed_filter_elements(const KernelTable<T>& kernels, const GroupedFilters<T>& filters);
template <typename T>
void pack_all_filters(const KernelTable<T>& kernels, const GroupedFilters<T>& filters,
                      const WinogradSize& size, T* packed);

}  // namespace convolt
