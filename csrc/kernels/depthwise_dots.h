// The gradient of the weights of such convolutions (depthwise_rows.h): for each output and each tap
// the dot product of the rows of dy with the shifted rows of the image.
//
//   sums[m][t][lane] += sum over r, i of  dy[m][r][i] * padded[tap_starts[t] + r * row_pitch + i]
//
// where column i counts for lane i % kLanes: the lanes stay apart until sum_dots adds them, so that
// a reduction over many rows and images is one chain of multiply-adds a lane, in an order that the
// shape alone decides. The lanes behind the last column take no part: what an image holds there,
// NaN included, belongs to other taps.
#pragma once

#include "../kernel_table.h"
#include "simd.h"

namespace convolt {
namespace CONVOLT_ISA {

// What a vector of columns may be: all of it, or the first `count` lanes of both operands.
template <typename T, bool Whole>
static inline Vec<T> load_dy(const T* dy, int64_t count) {
  return Whole ? load<T>(dy) : load_first<T>(dy, count);
}
template <typename T, bool Whole>
static inline Vec<T> load_tap(const T* tap, Mask<T> lanes) {
  return Whole ? load<T>(tap) : lanes ? load<T>(tap) : Vec<T>{};
}

// --- one channel, one output: rows that share their taps ----------------------------------------

// As in shared_rows: 9 sums, 4 rows of dy and a row of the image are 14 registers.
template <typename T, int KernelH, int KernelW, int Step, int Rows, bool Whole>
static inline void shared_dots_at(const RowWindow<T>& window, int64_t row, int64_t column,
                                  const T* dy, int64_t dy_pitch, Vec<T>* sums) {
  constexpr int kImageRows = (Rows - 1) * Step + KernelH;
  const int64_t count = window.columns - column;
  const Mask<T> lanes = first_lanes<T>(count);
  Vec<T> gradients[Rows];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
    gradients[r] = load_dy<T, Whole>(dy + (row + r) * dy_pitch + column, count);
  }
  const T* taps[Step];
#pragma GCC unroll 4
  for (int s = 0; s < Step; ++s) {
    taps[s] = window.padded + window.tap_starts[s * KernelW] + row * window.row_pitch + column;
  }
#pragma GCC unroll 16
  for (int q = 0; q < kImageRows; ++q) {
#pragma GCC unroll 8
    for (int k = 0; k < KernelW; ++k) {
      const Vec<T> x =
          load_tap<T, Whole>(taps[q % Step] + (window.tap_starts[k] - window.tap_starts[0]), lanes);
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) {
        const int tap_row = q - r * Step;
        if (tap_row < 0 || tap_row >= KernelH) continue;
        Vec<T>& sum = sums[tap_row * KernelW + k];
        sum = multiply_add<T>(x, gradients[r], sum);
      }
    }
    taps[q % Step] += window.row_pitch;
  }
}

template <typename T, int KernelH, int KernelW, int Step, int Rows>
[[gnu::noinline]] static int64_t shared_dots_rows(const RowWindow<T>& window, int64_t row,
                                                  const T* dy, int64_t dy_pitch, T* totals) {
  Vec<T> sums[KernelH * KernelW];
#pragma GCC unroll 32
  for (int t = 0; t < KernelH * KernelW; ++t) sums[t] = load<T>(totals + t * kLanes<T>);
  for (; row + Rows <= window.rows; row += Rows) {
    int64_t i = 0;
    for (; i + kLanes<T> <= window.columns; i += kLanes<T>) {
      shared_dots_at<T, KernelH, KernelW, Step, Rows, true>(window, row, i, dy, dy_pitch, sums);
    }
    if (i < window.columns) {
      shared_dots_at<T, KernelH, KernelW, Step, Rows, false>(window, row, i, dy, dy_pitch, sums);
    }
  }
#pragma GCC unroll 32
  for (int t = 0; t < KernelH * KernelW; ++t) store<T>(totals + t * kLanes<T>, sums[t]);
  return row;
}

template <typename T, int KernelH, int KernelW, int Step>
static void shared_dots(const RowWindow<T>& window, const T* dy, int64_t dy_pitch, T* totals) {
  const int64_t row =
      shared_dots_rows<T, KernelH, KernelW, Step, 4>(window, 0, dy, dy_pitch, totals);
  shared_dots_rows<T, KernelH, KernelW, Step, 1>(window, row, dy, dy_pitch, totals);
}

// --- any taps, any channels, several outputs ----------------------------------------------------

// Sums of a pass, in outputs x taps. 4 x 2 sums + 4 vectors of dy + 1 tap are 13 registers.
template <typename T, int Outputs, int Taps, bool Whole>
static inline void tap_dots_at(const T* padded, const int64_t* tap_starts,
                               const PlaneRows<const T>& dy, int64_t column, int64_t count,
                               Vec<T> (&sums)[Outputs][Taps]) {
  const Mask<T> lanes = first_lanes<T>(count);
  Vec<T> gradients[Outputs];
#pragma GCC unroll 8
  for (int m = 0; m < Outputs; ++m) {
    gradients[m] = load_dy<T, Whole>(dy.data + m * dy.plane_pitch + column, count);
  }
#pragma GCC unroll 8
  for (int t = 0; t < Taps; ++t) {
    const Vec<T> x = load_tap<T, Whole>(padded + tap_starts[t] + column, lanes);
#pragma GCC unroll 8
    for (int m = 0; m < Outputs; ++m) sums[m][t] = multiply_add<T>(x, gradients[m], sums[m][t]);
  }
}

template <typename T, int Outputs, int Taps>
[[gnu::noinline]] static void tap_dots(const RowWindow<T>& window, int64_t tap,
                                       PlaneRows<const T> dy, T* totals) {
  Vec<T> sums[Outputs][Taps];
#pragma GCC unroll 8
  for (int m = 0; m < Outputs; ++m) {
#pragma GCC unroll 8
    for (int t = 0; t < Taps; ++t) {
      sums[m][t] = load<T>(totals + (m * window.taps + tap + t) * kLanes<T>);
    }
  }
  const int64_t* const tap_starts = window.tap_starts + tap;
  const T* padded = window.padded;
  for (int64_t r = 0; r < window.rows; ++r, padded += window.row_pitch, dy.data += dy.row_pitch) {
    int64_t i = 0;
    for (; i + kLanes<T> <= window.columns; i += kLanes<T>) {
      tap_dots_at<T, Outputs, Taps, true>(padded, tap_starts, dy, i, kLanes<T>, sums);
    }
    if (i < window.columns) {
      tap_dots_at<T, Outputs, Taps, false>(padded, tap_starts, dy, i, window.columns - i, sums);
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < Outputs; ++m) {
#pragma GCC unroll 8
    for (int t = 0; t < Taps; ++t) {
      store<T>(totals + (m * window.taps + tap + t) * kLanes<T>, sums[m][t]);
    }
  }
}

// Taps in bunches, the rest one by one.
template <typename T, int Outputs, int Taps>
static void tap_dots_of_outputs(const RowWindow<T>& window, const PlaneRows<const T>& dy,
                                T* totals) {
  int64_t tap = 0;
  for (; tap + Taps <= window.taps; tap += Taps)
    tap_dots<T, Outputs, Taps>(window, tap, dy, totals);
  for (; tap < window.taps; ++tap) tap_dots<T, Outputs, 1>(window, tap, dy, totals);
}

template <typename T>
static void depthwise_dots(const RowWindow<T>& window, const PlaneRows<const T>& dy,
                           int64_t outputs, T* totals) {
  if (outputs == 1 && window.kernel_h == 3 && window.kernel_w == 3) {
    if (window.row_step == 1) return shared_dots<T, 3, 3, 1>(window, dy.data, dy.row_pitch, totals);
    if (window.row_step == 2) return shared_dots<T, 3, 3, 2>(window, dy.data, dy.row_pitch, totals);
  }
  for (int64_t m = 0; m < outputs;) {
    PlaneRows<const T> rows = dy;
    rows.data += m * dy.plane_pitch;
    T* const own = totals + m * window.taps * kLanes<T>;
    const int64_t left = outputs - m;
    if (left >= 4) {
      tap_dots_of_outputs<T, 4, 2>(window, rows, own);
      m += 4;
    } else if (left >= 2) {
      tap_dots_of_outputs<T, 2, 4>(window, rows, own);
      m += 2;
    } else {
      tap_dots_of_outputs<T, 1, 5>(window, rows, own);
      m += 1;
    }
  }
}

template <typename T>
static void sum_dots(const T* totals, int64_t count, T* sums) {
  for (int64_t i = 0; i < count; ++i) sums[i] = sum_lanes<T>(load<T>(totals + i * kLanes<T>));
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
