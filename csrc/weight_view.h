// The weight operand of the GEMM as each pass reads it, packed into panels of rows.
#pragma once

#include "common.h"
#include "kernel_table.h"

namespace convolt {

// A[row][(channel, ty, tx)] = data[row * row_stride + channel * channel_stride + first_tap
//                                  + ty * tap_stride_h + tx * tap_stride_w]
// forward: rows are output channels, and a row lies in memory as it is. backward_data: rows are
// input channels, channels are output channels, and the taps descend, every stride-th of them for
// one phase; several taps are read so only where the rows are consecutive, or all taps are taken.
template <typename T>
struct WeightView {
  const T* data;
  int64_t rows, channels;
  int64_t row_stride, channel_stride;
  int64_t taps_h, taps_w;
  int64_t first_tap, tap_stride_h, tap_stride_w;

  int64_t taps() const { return taps_h * taps_w; }
  int64_t columns() const { return channels * taps(); }
  // In k: a row lies in memory as it is.
  bool rows_are_consecutive() const { return channel_stride == taps() && tap_stride_w >= 0; }
  // The rows of one k lie side by side.
  bool is_panel() const { return row_stride == 1 && taps() == 1; }
  // Element (row, k) of either.
  const T* at(int64_t row, int64_t k) const {
    return data + first_tap + row * row_stride + (is_panel() ? k * channel_stride : k);
  }

  // Packs the rows [row_begin, row_end) and the columns [k_begin, k_begin + k_count) into panels of
  // `width` rows:
  //     packed[(row panel) * width * k_count + k * width + row in the panel]
  void pack(const KernelTable<T>& kernels, int64_t width, int64_t row_begin, int64_t row_end,
            int64_t k_begin, int64_t k_count, T* packed) const;

 private:
  void pack_panel(const KernelTable<T>& kernels, int64_t width, int64_t row, int64_t row_count,
                  int64_t k_begin, int64_t k_count, T* packed) const;
  void pack_consecutive_rows(const KernelTable<T>& kernels, int64_t width, int64_t row_begin,
                             int64_t row_end, int64_t k_begin, int64_t k_count, T* packed) const;
  void pack_flipped(const KernelTable<T>& kernels, int64_t width, const T* origin,
                    int64_t row_count, int64_t k_begin, int64_t k_count, T* packed) const;
};

// The length of a block of k: KC or a little less, so that the blocks are even. It depends on k
// alone, and with it the order of every sum.
inline int64_t even_block(int64_t total, int64_t largest) {
  return total <= largest ? total : ceil_div(total, ceil_div(total, largest));
}

// All of A packed: for each block of k the panels of `width` rows.
template <typename T>
struct PackedWeight {
  const T* data;  // null: not packed
  int64_t width;

  // Where the panel of `row`, a multiple of the width, begins in the block of k that starts at
  // k_begin.
  const T* panel(const WeightView<T>& a, int64_t k_begin, int64_t k_count, int64_t row) const {
    return data + k_begin * round_up(a.rows, width) + row * k_count;
  }
  static int64_t elements(const WeightView<T>& a, int64_t width) {
    return round_up(a.rows, width) * a.columns();
  }
};

// Packs all of A for each of `groups` weights, `weight_step` elements apart, one after the other.
template <typename T>
void pack_weights(const KernelTable<T>& kernels, const WeightView<T>& a, int64_t groups,
                  int64_t weight_step, int64_t width, T* packed);

}  // namespace convolt
