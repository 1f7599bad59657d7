#include "weight_view.h"

#include <algorithm>

#include "parallel.h"

namespace convolt {

template <typename T>
void WeightView<T>::pack(const KernelTable<T>& kernels, int64_t width, int64_t row_begin,
                         int64_t row_end, int64_t k_begin, int64_t k_count, T* packed) const {
  for (int64_t row = row_begin; row < row_end; row += width, packed += width * k_count) {
    pack_panel(kernels, width, row, std::min(width, row_end - row), k_begin, k_count, packed);
  }
}

template <typename T>
void WeightView<T>::pack_panel(const KernelTable<T>& kernels, int64_t width, int64_t row,
                               int64_t row_count, int64_t k_begin, int64_t k_count,
                               T* packed) const {
  const T* const origin = data + row * row_stride + first_tap;
  if (channel_stride == taps() && tap_stride_w == 1) {  // a row is consecutive in memory
    // Next come the rows below, or more of the same rows where the product is narrow.
    const int64_t ahead = width == kernels.mr ? width * row_stride : k_count;
    kernels.interleave_rows(origin + k_begin, row_stride, row_count, k_count, packed, width, ahead);
  } else if (row_stride == 1) {
    pack_consecutive_rows(kernels, width, origin, row_count, k_begin, k_count, packed);
  } else {
    pack_flipped(kernels, width, origin, row_count, k_begin, k_count, packed);
  }
}

// A tap of all channels at a time.
template <typename T>
void WeightView<T>::pack_consecutive_rows(const KernelTable<T>& kernels, int64_t width,
                                          const T* origin, int64_t row_count, int64_t k_begin,
                                          int64_t k_count, T* packed) const {
  for (int64_t tap = 0; tap < taps(); ++tap) {
    const int64_t channel_begin = ceil_quotient(k_begin - tap, taps());
    const int64_t channel_end = ceil_quotient(k_begin + k_count - tap, taps());
    const T* const src = origin + channel_begin * channel_stride + tap / taps_w * tap_stride_h +
                         tap % taps_w * tap_stride_w;
    kernels.copy_rows(src, channel_stride, channel_end - channel_begin, row_count,
                      packed + (channel_begin * taps() + tap - k_begin) * width, taps() * width);
  }
}

// A channel at a time, all of whose taps are consecutive and taken from the last to the first.
template <typename T>
void WeightView<T>::pack_flipped(const KernelTable<T>& kernels, int64_t width, const T* origin,
                                 int64_t row_count, int64_t k_begin, int64_t k_count,
                                 T* packed) const {
  const T* channel = origin + k_begin / taps() * channel_stride;
  int64_t tap = k_begin % taps();
  for (const T* const end = packed + k_count * width; packed < end; channel += channel_stride) {
    const int64_t count = std::min(taps() - tap, (end - packed) / width);
    kernels.interleave_rows(channel - (tap + count - 1), row_stride, row_count, count,
                            packed + (count - 1) * width, -width, 2 * channel_stride);
    packed += count * width;
    tap = 0;
  }
}

template <typename T>
void pack_weights(const KernelTable<T>& kernels, const WeightView<T>& a, int64_t groups,
                  int64_t weight_step, int64_t width, T* packed) {
  const int64_t elements = PackedWeight<T>::elements(a, width);
  const int64_t kc = even_block(a.columns(), kernels.kc);
  const int64_t panels = ceil_div(a.rows, width);
  constexpr double kOperationsPerElement = 4;
  const int threads = threads_for(kOperationsPerElement * static_cast<double>(groups * elements));
  parallel_for(groups * panels, threads, [&](int64_t task, int) {
    const int64_t row = task % panels * width;
    WeightView<T> weight = a;
    weight.data += task / panels * weight_step;
    T* const own = packed + task / panels * elements;
    for (int64_t k = 0; k < a.columns(); k += kc) {
      const int64_t count = std::min(kc, a.columns() - k);
      T* const panel = own + k * round_up(a.rows, width) + row * count;
      weight.pack(kernels, width, row, std::min(row + width, a.rows), k, count, panel);
    }
  });
}

template struct WeightView<float>;
template struct WeightView<double>;
template void pack_weights(const KernelTable<float>&, const WeightView<float>&, int64_t, int64_t,
                           int64_t, float*);
template void pack_weights(const KernelTable<double>&, const WeightView<double>&, int64_t, int64_t,
                           int64_t, double*);

}  // namespace convolt
