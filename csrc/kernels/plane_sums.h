// Sums of whole planes, and one value for each element of a plane: global average pooling.
#pragma once

#include "../kernel_table.h"
#include "pad_rows.h"
#include "simd_lanes.h"

namespace convolt {
namespace CONVOLT_ISA {

// Blocks keep the chains short, which keeps the rounding error of a long sum small.
template <typename T>
static inline T plane_sum(const T* x, int64_t count, Lanes<T> tail) {
  constexpr int kChains = 4;
  constexpr int64_t kStep = kChains * kLanes<T>;
  constexpr int64_t kBlock = 64 * kStep;
  Vec<T> total[kChains] = {};
  int64_t i = 0;
  while (i + kStep <= count) {
    const int64_t end = i + kBlock < count ? i + kBlock : count;
    Vec<T> chain[kChains] = {};
    for (; i + kStep <= end; i += kStep) {
      for (int c = 0; c < kChains; ++c) chain[c] += load<T>(x + i + c * kLanes<T>);
    }
    for (int c = 0; c < kChains; ++c) total[c] += chain[c];
  }
  for (; i + kLanes<T> <= count; i += kLanes<T>) total[0] += load<T>(x + i);
  if (i < count) total[1] += load_lanes<T>(x + i, tail);
  return sum_lanes<T>((total[0] + total[1]) + (total[2] + total[3]));
}

template <typename T>
static void plane_sums(const T* x, int64_t planes, int64_t count, T* sums) {
  const Lanes<T> tail = lanes_between<T>(0, count % kLanes<T>);
  for (int64_t p = 0; p < planes; ++p) sums[p] = plane_sum(x + p * count, count, tail);
}

// Whole vectors: the next plane overwrites what is too much, and after the last there is none.
template <typename T>
static void fill_planes(const T* values, int64_t planes, int64_t count, T* y) {
  const T* const end = y + planes * count;
  for (int64_t p = 0; p < planes; ++p, y += count) {
    const Vec<T> value = broadcast(values[p]);
    const bool has_room = y + count + kLanes<T> <= end;
    const int64_t whole = has_room ? count : count - count % kLanes<T>;
    for (int64_t i = 0; i < whole; i += kLanes<T>) store<T>(y + i, value);
    if (!has_room) fill_elements(y + whole, count - whole, values[p]);
  }
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
