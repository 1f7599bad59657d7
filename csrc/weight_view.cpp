#include "weight_view.h"

#include <algorithm>

#include "parallel.h"

namespace convolt {
namespace {

constexpr int64_t kPanelsAtOnce = 8;

}  // namespace

template <typename T>
void WeightView<T>::pack(const KernelTable<T>& kernels, int64_t width, int64_t row_begin,
                         int64_t row_end, int64_t k_begin, int64_t k_count, T* packed) const {
  if (row_stride == 1 && columns() > 1) {
    pack_consecutive_rows(kernels, width, row_begin, row_end, k_begin, k_count, packed);
    return;
  }
  for (int64_t row = row_begin; row < row_end; row += width, packed += width * k_count) {
    pack_panel(kernels, width, row, std::min(width, row_end - row), k_begin, k_count, packed);
  }
}

template <typename T>
void WeightView<T>::pack_panel(const KernelTable<T>& kernels, int64_t width, int64_t row,
                               int64_t row_count, int64_t k_begin, int64_t k_count,
                               T* packed) const {
  const T* const origin = data + row * row_stride + first_tap;
  if (rows_are_consecutive()) {
    // Next come the rows below, or more of the same rows where the product is narrow.
    const int64_t ahead = width == kernels.mr ? width * row_stride : k_count;
    kernels.interleave_rows(origin + k_begin, row_stride, row_count, k_count, packed, width, ahead);
  } else {
    pack_flipped(kernels, width, origin, row_count, k_begin, k_count, packed);
  }
}

// A tap of all channels at a time, for a few panels.
template <typename T>
void WeightView<T>::pack_consecutive_rows(const KernelTable<T>& kernels, int64_t width,
                                          int64_t row_begin, int64_t row_end, int64_t k_begin,
                                          int64_t k_count, T* packed) const {
  const int64_t most_rows = kPanelsAtOnce * width;
  for (int64_t row = row_begin; row < row_end; row += most_rows, packed += most_rows * k_count) {
    for (int64_t tap = 0; tap < taps(); ++tap) {
      const int64_t channel_begin = ceil_quotient(k_begin - tap, taps());
      const int64_t channel_end = ceil_quotient(k_begin + k_count - tap, taps());
      const T* const src = data + row + first_tap + channel_begin * channel_stride +
                           tap / taps_w * tap_stride_h + tap % taps_w * tap_stride_w;
      kernels.copy_panels(src, channel_stride, channel_end - channel_begin,
                          std::min(most_rows, row_end - row), width,
                          packed + (channel_begin * taps() + tap - k_begin) * width, taps() * width,
                          width * k_count);
    }
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
  const int64_t rows_per_task = kPanelsAtOnce * width;
  const int64_t tasks = ceil_div(a.rows, rows_per_task);
  constexpr double kOperationsPerElement = 4;
  const int threads = threads_for(kOperationsPerElement * static_cast<double>(groups * elements));
  parallel_for(groups * tasks, threads, [&](int64_t task, int) {
    const int64_t row = task % tasks * rows_per_task;
    WeightView<T> weight = a;
    weight.data += task / tasks * weight_step;
    T* const own = packed + task / tasks * elements;
    for (int64_t k = 0; k < a.columns(); k += kc) {
      const int64_t count = std::min(kc, a.columns() - k);
      T* const panel = own + k * round_up(a.rows, width) + row * count;
      weight.pack(kernels, width, row, std::min(row + rows_per_task, a.rows), k, count, panel);
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
