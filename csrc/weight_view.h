// A operand of the GEMM: the weight as each pass reads it, packed into panels of MR rows.
#pragma once

#include "kernel_table.h"

namespace convolt {

// A[row][(channel, ty, tx)] = data[row * row_stride + channel * channel_stride + first_tap
//                                  + ty * tap_stride_h + tx * tap_stride_w]
// forward: rows are output channels, taps ascend. backward_data: rows are input channels, channels
// are output channels, and the taps descend, every stride-th of them for one phase.
template <typename T>
struct WeightView {
  const T* data;
  int64_t rows, channels;
  int64_t row_stride, channel_stride;
  int64_t taps_h, taps_w;
  int64_t first_tap, tap_stride_h, tap_stride_w;

  int64_t taps() const { return taps_h * taps_w; }
  int64_t columns() const { return channels * taps(); }

  // Packs the rows [row_begin, row_end) and the columns [k_begin, k_begin + k_count):
  //     packed[(row panel) * MR * k_count + k * MR + row in the panel]
  void pack(const KernelTable<T>& kernels, int64_t row_begin, int64_t row_end, int64_t k_begin,
            int64_t k_count, T* packed) const;

 private:
  void pack_panel(const KernelTable<T>& kernels, int64_t row, int64_t row_count, int64_t k_begin,
                  int64_t k_count, T* packed) const;
};

}  // namespace convolt
