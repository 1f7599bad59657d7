// The gradient of the weights of such convolutions (tap_rows.h): for each output and each tap
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
#include "simd_lanes.h"

namespace convolt {
namespace CONVOLT_ISA {

// Sums of a pass, in outputs x taps. 4 x 2 sums + 4 vectors of dy + 1 tap are 13 registers.
template <typename T, int Outputs, int Taps, bool Whole>
static inline void add_dots(const T* padded, const int64_t* tap_starts,
                            const PlaneRows<const T>& dy, int64_t column, Lanes<T> lanes,
                            Vec<T> (&sums)[Outputs][Taps]) {
  Vec<T> gradients[Outputs];
#pragma GCC unroll 8
  for (int m = 0; m < Outputs; ++m) {
    gradients[m] = load_if<T, Whole>(dy.data + m * dy.plane_pitch + column, lanes);
  }
#pragma GCC unroll 8
  for (int t = 0; t < Taps; ++t) {
    const Vec<T> x = load_if<T, Whole>(padded + tap_starts[t] + column, lanes);
#pragma GCC unroll 8
    for (int m = 0; m < Outputs; ++m) sums[m][t] = multiply_add<T>(x, gradients[m], sums[m][t]);
  }
}

template <typename T, int Outputs, int Taps>
[[gnu::noinline]] static void dots_of_taps(const RowWindow<T>& window, int64_t tap,
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
  const Lanes<T> rest = lanes_between<T>(0, window.columns % kLanes<T>);
  const T* padded = window.padded;
  for (int64_t r = 0; r < window.rows; ++r, padded += window.row_pitch, dy.data += dy.row_pitch) {
    int64_t i = 0;
    for (; i + kLanes<T> <= window.columns; i += kLanes<T>) {
      add_dots<T, Outputs, Taps, true>(padded, tap_starts, dy, i, Lanes<T>{}, sums);
    }
    if (i < window.columns) {
      add_dots<T, Outputs, Taps, false>(padded, tap_starts, dy, i, rest, sums);
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
static void dots_of_outputs(const RowWindow<T>& window, const PlaneRows<const T>& dy, T* totals) {
  int64_t tap = 0;
  for (; tap + Taps <= window.taps; tap += Taps)
    dots_of_taps<T, Outputs, Taps>(window, tap, dy, totals);
  for (; tap < window.taps; ++tap) dots_of_taps<T, Outputs, 1>(window, tap, dy, totals);
}

template <typename T>
static void tap_dots(const RowWindow<T>& window, const PlaneRows<const T>& dy, int64_t outputs,
                     T* totals) {
  for (int64_t m = 0; m < outputs;) {
    PlaneRows<const T> rows = dy;
    rows.data += m * dy.plane_pitch;
    T* const own = totals + m * window.taps * kLanes<T>;
    const int64_t left = outputs - m;
    if (left >= 4) {
      dots_of_outputs<T, 4, 2>(window, rows, own);
      m += 4;
    } else if (left >= 2) {
      dots_of_outputs<T, 2, 4>(window, rows, own);
      m += 2;
    } else {
      dots_of_outputs<T, 1, 5>(window, rows, own);
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
