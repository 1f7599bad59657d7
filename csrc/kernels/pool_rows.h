// Pooling over padded rows (pad_rows.h): one output row, all of its taps, in whole vectors.
//
//   tap (r, k) of output column i  =  padded[row_starts[r] + tap_starts[k] + i]
//
// Stride and dilation are settled in the starts, padding in the fill value: -inf loses every
// comparison, 0 adds nothing. Taps are visited row by row, so the first of equal values wins. State
// comes in and goes out, so that a tall window can be pooled in several calls. All of it is scratch
// with a vector of slack: lanes behind the last column hold anything.
#pragma once

#include "../kernel_table.h"
#include "extremum_rule.h"
#include "simd.h"

namespace convolt {
namespace CONVOLT_ISA {

// Output columns of one pass over the taps, in vectors: enough independent chains of comparisons to
// hide their latency, few enough for 16 registers.
constexpr int kPoolVectors = 4;

template <typename T, bool kMinimum, bool kOffsets, int kVectors>
static inline void extremum_columns(const PoolTaps<T>& taps, int64_t column,
                                    const PoolState<T>& from, const PoolState<T>& to) {
  using Offset = PoolOffset<T>;
  Vec<T> best[kVectors];
  Vec<Offset> offset[kVectors] = {};
  for (int v = 0; v < kVectors; ++v) {
    best[v] = load<T>(from.values + column + v * kLanes<T>);
    if constexpr (kOffsets) offset[v] = load<Offset>(from.offsets + column + v * kLanes<T>);
  }
  for (int64_t r = 0; r < taps.rows; ++r) {
    const T* const row = taps.padded + taps.row_starts[r] + column;
    uint64_t tap_offset = static_cast<uint64_t>(taps.first_offset + r * taps.row_offset);
    for (int64_t k = 0; k < taps.taps; ++k) {
      const T* const tap = row + taps.tap_starts[k];
      const Vec<Offset> here = broadcast<Offset>(static_cast<Offset>(tap_offset));
      for (int v = 0; v < kVectors; ++v) {
        const Vec<T> x = load<T>(tap + v * kLanes<T>);
        const Mask<T> take = replaces<kMinimum>(x, best[v]);
        best[v] = take ? x : best[v];
        if constexpr (kOffsets) offset[v] = take ? here : offset[v];
      }
      tap_offset += static_cast<uint64_t>(taps.tap_offset);
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    store<T>(to.values + column + v * kLanes<T>, best[v]);
    if constexpr (kOffsets) store<Offset>(to.offsets + column + v * kLanes<T>, offset[v]);
  }
}

template <typename T, bool kMinimum, bool kOffsets>
static void extremum_row(const PoolTaps<T>& taps, const PoolState<T>& from,
                         const PoolState<T>& to) {
  constexpr int64_t kStep = kPoolVectors * kLanes<T>;
  int64_t i = 0;
  for (; i + kStep <= taps.columns; i += kStep) {
    extremum_columns<T, kMinimum, kOffsets, kPoolVectors>(taps, i, from, to);
  }
  for (; i < taps.columns; i += kLanes<T>) {
    extremum_columns<T, kMinimum, kOffsets, 1>(taps, i, from, to);
  }
}

template <typename T, int kVectors>
static inline void sum_columns(const PoolTaps<T>& taps, int64_t column, const PoolState<T>& from,
                               const PoolState<T>& to) {
  Vec<T> sum[kVectors];
  for (int v = 0; v < kVectors; ++v) sum[v] = load<T>(from.values + column + v * kLanes<T>);
  for (int64_t r = 0; r < taps.rows; ++r) {
    const T* const row = taps.padded + taps.row_starts[r] + column;
    for (int64_t k = 0; k < taps.taps; ++k) {
      const T* const tap = row + taps.tap_starts[k];
      for (int v = 0; v < kVectors; ++v) sum[v] += load<T>(tap + v * kLanes<T>);
    }
  }
  for (int v = 0; v < kVectors; ++v) store<T>(to.values + column + v * kLanes<T>, sum[v]);
}

template <typename T>
static void sum_row(const PoolTaps<T>& taps, const PoolState<T>& from, const PoolState<T>& to) {
  constexpr int64_t kStep = kPoolVectors * kLanes<T>;
  int64_t i = 0;
  for (; i + kStep <= taps.columns; i += kStep) sum_columns<T, kPoolVectors>(taps, i, from, to);
  for (; i < taps.columns; i += kLanes<T>) sum_columns<T, 1>(taps, i, from, to);
}

// Offsets count modulo 2^32 or 2^64, and so do `shift` and `step`; their sum is the true distance.
template <typename T>
static void widen_offsets(const PoolOffset<T>* offsets, int64_t count, int64_t base, int64_t shift,
                          int64_t step, int64_t* indices) {
  using Offset = PoolOffset<T>;
  const Offset stride = static_cast<Offset>(step);
  Offset column = static_cast<Offset>(shift);
  for (int64_t i = 0; i < count; ++i) {
    indices[i] = base + static_cast<int64_t>(static_cast<Offset>(offsets[i] + column));
    column = static_cast<Offset>(column + stride);
  }
}

// A true division: the product with a reciprocal would round twice.
template <typename T>
static void divide_row(const T* x, int64_t count, T row_divisor, const T* column_divisors, T* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] / (row_divisor * column_divisors[i]);
}

template <typename T>
static void add_row(const T* x, int64_t count, T* y) {
  for (int64_t i = 0; i < count; ++i) y[i] += x[i];
}

// The transpose of a row of windows: every output hands its value to each of its taps.
template <typename T>
static void spread_row(const T* values, const RowSampling* taps, int64_t tap_count, int64_t step,
                       T* row) {
  for (int64_t k = 0; k < tap_count; ++k) {
    const RowSampling& tap = taps[k];
    if (step == 1) {
      add_row(values + tap.begin, tap.end - tap.begin, row + tap.start + tap.begin);
    } else {
      for (int64_t i = tap.begin; i < tap.end; ++i) row[tap.start + i * step] += values[i];
    }
  }
}

template <typename T>
static inline bool exceeds(T v, T best) {
  return !(v <= best) && best == best;
}

// The largest element, or NaN if there is one. Of equal zeros it may be either.
template <typename T>
static T maximum(const T* x, int64_t count) {
  constexpr int kChains = 4;
  constexpr int64_t kStep = kChains * kLanes<T>;
  T best = x[0];
  int64_t i = 0;
  if (count >= kStep) {
    Vec<T> chain[kChains];
    for (int c = 0; c < kChains; ++c) chain[c] = load<T>(x + c * kLanes<T>);
    for (i = kStep; i + kStep <= count; i += kStep) {
      for (int c = 0; c < kChains; ++c) {
        const Vec<T> v = load<T>(x + i + c * kLanes<T>);
        chain[c] = replaces<false>(v, chain[c]) ? v : chain[c];
      }
    }
    for (int c = 0; c < kChains; ++c) {
      for (int lane = 0; lane < kLanes<T>; ++lane) {
        if (exceeds<T>(chain[c][lane], best)) best = chain[c][lane];
      }
    }
  }
  for (; i < count; ++i) {
    if (exceeds(x[i], best)) best = x[i];
  }
  return best;
}

// The index of the first largest element, or of the first NaN. Only the block that holds it is
// searched element by element.
template <typename T>
static int64_t first_maximum(const T* x, int64_t count) {
  constexpr int64_t kBlock = 1024;
  T best = maximum(x, count < kBlock ? count : kBlock);
  int64_t index = 0;
  for (int64_t start = kBlock; start < count; start += kBlock) {
    const T candidate = maximum(x + start, count - start < kBlock ? count - start : kBlock);
    if (exceeds(candidate, best)) {
      best = candidate;
      index = start;
    }
  }
  if (best == best) {
    while (x[index] != best) ++index;
  } else {
    while (x[index] == x[index]) ++index;
  }
  return index;
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
