#include "weight_view.h"

#include <algorithm>

namespace convolt {

template <typename T>
void WeightView<T>::pack(const KernelTable<T>& kernels, int64_t row_begin, int64_t row_end,
                         int64_t k_begin, int64_t k_count, T* packed) const {
  for (int64_t row = row_begin; row < row_end; row += kernels.mr, packed += kernels.mr * k_count) {
    pack_panel(kernels, row, std::min(kernels.mr, row_end - row), k_begin, k_count, packed);
  }
}

template <typename T>
void WeightView<T>::pack_panel(const KernelTable<T>& kernels, int64_t row, int64_t row_count,
                               int64_t k_begin, int64_t k_count, T* packed) const {
  const int64_t mr = kernels.mr;
  const bool ascending = tap_stride_w == 1 && tap_stride_h == taps_w;
  const bool descending = tap_stride_w == -1 && tap_stride_h == -taps_w;
  const T* const origin = data + row * row_stride + first_tap;
  if (ascending && channel_stride == taps()) {  // whole rows are consecutive
    kernels.interleave_rows(origin + k_begin, row_stride, row_count, k_count, packed, mr);
    return;
  }
  const T* channel = origin + k_begin / taps() * channel_stride;
  int64_t tap = k_begin % taps();
  for (const T* const end = packed + k_count * mr; packed < end; channel += channel_stride) {
    const int64_t count = std::min(taps() - tap, (end - packed) / mr);
    if (descending && taps() > 1) {
      kernels.interleave_rows(channel - (tap + count - 1), row_stride, row_count, count,
                              packed + (count - 1) * mr, -mr);
    } else {
      int64_t ty = tap / taps_w, tx = tap % taps_w;
      for (int64_t t = 0; t < count; ++t) {
        const T* const column = channel + ty * tap_stride_h + tx * tap_stride_w;
        for (int64_t r = 0; r < row_count; ++r) packed[t * mr + r] = column[r * row_stride];
        if (++tx == taps_w) {
          tx = 0;
          ++ty;
        }
      }
    }
    packed += count * mr;
    tap = 0;
  }
}

template struct WeightView<float>;
template struct WeightView<double>;

}  // namespace convolt
