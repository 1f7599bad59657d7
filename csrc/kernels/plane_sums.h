// Sums and means of whole planes, one value for each element of a plane: global average pooling.
#pragma once

#include "../kernel_table.h"
#include "pad_rows.h"
#include "simd_lanes.h"

namespace convolt {
namespace CONVOLT_ISA {

// Blocks keep the chains short, which keeps the rounding error of a long sum small.
template <typename T>
[[gnu::noinline]] static T plane_sum(const T* x, int64_t count, Lanes<T> tail) {
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

// Planes of at most so many vectors have one chain each, and as many planes as a vector has lanes
// share the additions of lanes, which for a plane alone take longer than to read it. The chains of
// a few planes at a time hide each other's latency; of all eight, in AVX2, they were slower.
constexpr int64_t kShortPlane = 12;
template <typename T>
constexpr int kShortPlanesAtOnce = kLanes<T> < 4 ? kLanes<T> : 4;

// Where there are fewer planes, the last one again.
template <typename T>
static inline void sum_short_planes(const T* x, int64_t planes, int64_t count, Lanes<T> tail,
                                    Vec<T>* sums) {
  constexpr int kPlanes = kShortPlanesAtOnce<T>;
  const T* plane[kPlanes];
  for (int p = 0; p < kPlanes; ++p) plane[p] = x + (p < planes ? p : planes - 1) * count;
  Vec<T> sum[kPlanes] = {};
  int64_t i = 0;
  for (; i + kLanes<T> <= count; i += kLanes<T>) {
#pragma GCC unroll 4
    for (int p = 0; p < kPlanes; ++p) sum[p] += load<T>(plane[p] + i);
  }
#pragma GCC unroll 4
  for (int p = 0; p < kPlanes; ++p) {
    if (i < count) sum[p] += load_lanes<T>(plane[p] + i, tail);
    sums[p] = sum[p];
  }
}

// Lane i: the sum of the lanes of v[i], pairs first.
template <typename T>
static inline Vec<T> sums_of_lanes(Vec<T>* v) {
#pragma GCC unroll 4
  for (int half = kLanes<T> / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < half; ++i) {
      const Vec<T> a = v[2 * i], b = v[2 * i + 1];
      v[i] = in_pair_order<T>(even_places(a, b) + odd_places(a, b));
    }
  }
  return v[0];
}

// How a plane is summed depends on its size alone, not on the planes beside it.
template <typename T>
static void plane_means(const T* x, int64_t planes, int64_t count, T* means) {
  const Lanes<T> tail = lanes_between<T>(0, count % kLanes<T>);
  const T divisor = static_cast<T>(count);
  if (count > kShortPlane * kLanes<T>) {
    for (int64_t p = 0; p < planes; ++p) means[p] = plane_sum(x + p * count, count, tail) / divisor;
    return;
  }
  for (int64_t first = 0; first < planes; first += kLanes<T>) {
    const int64_t some = planes - first < kLanes<T> ? planes - first : kLanes<T>;
    Vec<T> sums[kLanes<T>] = {};
    for (int64_t p = 0; p < some; p += kShortPlanesAtOnce<T>) {
      sum_short_planes(x + (first + p) * count, some - p, count, tail, sums + p);
    }
    store_first<T>(means + first, sums_of_lanes<T>(sums) / broadcast(divisor), some);
  }
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
