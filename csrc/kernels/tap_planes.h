// The column matrix with a row for each tap: unfold and fold from and to padded rows.
//
//   col[t * tap_pitch + r * col_pitch + i]  <->  padded[tap_offsets[t] + r * row_pitch + i]
//
// for taps t, rows r of windows and i < length, the windows of a row.
#pragma once

#include "../kernel_table.h"
#include "simd.h"
#include "simd_lanes.h"
#include "stage_rows.h"

namespace convolt {
namespace CONVOLT_ISA {

template <typename T>
[[gnu::noinline]] static void copy_exact_rows(const TapRows& t, int64_t first, const T* src,
                                              T* col) {
  for (int64_t r = first; r < t.rows; ++r) {
    copy_row(src + r * t.row_pitch, t.length, col + r * t.col_pitch);
  }
}

// Rows of some vectors, the last of them not whole, that follow each other in col: what a row
// writes too much is overwritten by those behind it, of which the last ones must be exact.
template <typename T, int Vectors>
static inline void copy_short_rows(const TapRows& t, const T* src, T* col) {
  const int64_t exact = (Vectors * kLanes<T> - 1) / t.length;
  const int64_t loose = exact < t.rows ? t.rows - exact : 0;
  for (int64_t r = 0; r < loose; ++r) {
    const T* const from = src + r * t.row_pitch;
    T* const to = col + r * t.length;
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      store<T>(to + v * kLanes<T>, load<T>(from + v * kLanes<T>));
    }
  }
  copy_exact_rows(t, loose, src, col);
}

template <typename T>
static void copy_tap_rows(const TapRows& t, const T* padded, T* col) {
  const int64_t vectors = (t.length + kLanes<T> - 1) / kLanes<T>;
  const bool follow = t.col_pitch == t.length;
  for (int64_t tap = 0; tap < t.taps; ++tap, col += t.tap_pitch) {
    const T* const src = padded + t.tap_offsets[tap];
    if (follow && vectors == 1) {
      copy_short_rows<T, 1>(t, src, col);
    } else if (follow && vectors == 2) {
      copy_short_rows<T, 2>(t, src, col);
    } else if (follow && vectors == 3) {
      copy_short_rows<T, 3>(t, src, col);
    } else if (follow && vectors == 4) {
      copy_short_rows<T, 4>(t, src, col);
    } else {
      copy_exact_rows(t, 0, src, col);
    }
  }
}

// y[i] += x[i] for i < count; y may be read and written as far as a whole number of vectors.
template <typename T>
static inline void add_short(const T* x, int64_t count, Lanes<T> lanes, T* y) {
  if constexpr (kVectorBytes >= 32) {
    store<T>(y, load<T>(y) + load_lanes<T>(x, lanes));
  } else {
    for (int64_t i = 0; i < count; ++i) y[i] += x[i];
  }
}

template <typename T>
static void add_tap_rows(const TapRows& t, const T* col, T* padded) {
  const int64_t whole = t.length - t.length % kLanes<T>;
  const int64_t rest = t.length - whole;
  const Lanes<T> lanes = lanes_between<T>(0, rest);
  for (int64_t tap = 0; tap < t.taps; ++tap, col += t.tap_pitch) {
    const T* src = col;
    T* dst = padded + t.tap_offsets[tap];
    for (int64_t r = 0; r < t.rows; ++r, src += t.col_pitch, dst += t.row_pitch) {
      for (int64_t i = 0; i < whole; i += kLanes<T>) {
        store<T>(dst + i, load<T>(dst + i) + load<T>(src + i));
      }
      if (rest > 0) add_short(src + whole, rest, lanes, dst + whole);
    }
  }
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
