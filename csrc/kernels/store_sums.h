// The way of the sums of a convolution without a product from registers to y.
#pragma once

#include "../kernel_table.h"
#include "simd_lanes.h"

namespace convolt {
namespace CONVOLT_ISA {

template <typename T, int Rows>
static inline void finish_sums(Vec<T>* sums, const Epilogue<T>& epilogue) {
  if (epilogue.bias != nullptr) {
    const Vec<T> bias = broadcast<T>(*epilogue.bias);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) sums[r] = sums[r] + bias;
  }
  if (epilogue.relu) {  // keeps a NaN
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) sums[r] = sums[r] < Vec<T>{} ? Vec<T>{} : sums[r];
  }
}

// Rows of y in ascending order. What a vector writes beyond a narrow row, the next rows write
// again; nothing is written from `end` on.
template <typename T, int Rows>
static inline void store_sums(const Vec<T>* sums, T* y, int64_t y_pitch, int64_t columns,
                              const T* end) {
  const bool spare = columns >= kLanes<T> || y + (Rows - 1) * y_pitch + kLanes<T> <= end;
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r, y += y_pitch) {
    if (spare) {
      store<T>(y, sums[r]);
    } else {
      store_first<T>(y, sums[r], columns);
    }
  }
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
