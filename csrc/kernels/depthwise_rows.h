// Convolutions with few channels in a group, over padded rows (pad_rows.h): no column is packed,
// each tap is a row of the image, shifted.
//
//   y[m][r][i] = epilogue(sum over t of  weight[t][m] * padded[tap_starts[t] + r * row_pitch + i])
//
// for m < outputs, r < rows, i < columns. Stride, dilation and padding are settled in the padded
// rows and the starts of the taps; those of all channels of the group are one list of taps, in the
// order of the reference: channel, row, column. Whatever the tile, t ascends in every sum, so every
// tile gives the same bits. Columns that do not fill a vector: the last vector begins earlier and
// computes some elements twice; narrower rows are stored in part. The padded rows are scratch, and
// readable for a whole vector from any tap of an output.
#pragma once

#include "../kernel_table.h"
#include "simd.h"

namespace convolt {
namespace CONVOLT_ISA {

template <typename T>
static inline void store_columns(T* y, Vec<T> sum, int64_t count, const T* bias, bool relu) {
  if (bias != nullptr) sum = sum + broadcast<T>(*bias);
  if (relu) sum = sum < Vec<T>{} ? Vec<T>{} : sum;  // keeps a NaN
  if (count >= kLanes<T>) {
    store<T>(y, sum);
  } else {
    store_first<T>(y, sum, count);
  }
}

// --- one channel, one output: rows that share their taps ----------------------------------------

// Output rows of one pass. A row of the image, loaded at its KernelW shifts, serves every output
// row that sees it, so that 3 x 3 taps at stride 1 do 36 multiply-adds for 18 loads: 9 weights, 4
// sums and a row are 14 registers.
constexpr int kSharedRows = 4;

template <typename T>
using SharedRows = void (*)(const RowWindow<T>& window, const T* weight, int64_t weight_pitch,
                            int64_t row, T* y, int64_t y_pitch, const Epilogue<T>& epilogue);

// Step: how many image rows lie between two output rows. Image row q of the pass is row q / Step of
// the taps (q % Step, ..), and tap row q - r * Step of output row r.
template <typename T, int KernelH, int KernelW, int Step, int Rows>
[[gnu::noinline]] static void shared_rows(const RowWindow<T>& window, const T* weight,
                                          int64_t weight_pitch, int64_t row, T* y, int64_t y_pitch,
                                          const Epilogue<T>& epilogue) {
  constexpr int kImageRows = (Rows - 1) * Step + KernelH;
  Vec<T> weights[KernelH * KernelW];
#pragma GCC unroll 32
  for (int t = 0; t < KernelH * KernelW; ++t) weights[t] = broadcast<T>(weight[t * weight_pitch]);
  const T* const padded = window.padded + row * window.row_pitch;
  const int64_t last = window.columns - kLanes<T>;
  for (int64_t i = 0;; i = i + kLanes<T> < last ? i + kLanes<T> : last) {
    Vec<T> sums[Rows] = {};
    const T* taps[Step];
#pragma GCC unroll 4
    for (int s = 0; s < Step; ++s) taps[s] = padded + window.tap_starts[s * KernelW] + i;
#pragma GCC unroll 16
    for (int q = 0; q < kImageRows; ++q) {
#pragma GCC unroll 8
      for (int k = 0; k < KernelW; ++k) {
        const Vec<T> x = load<T>(taps[q % Step] + (window.tap_starts[k] - window.tap_starts[0]));
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) {
          const int tap_row = q - r * Step;
          if (tap_row < 0 || tap_row >= KernelH) continue;
          sums[r] = multiply_add<T>(x, weights[tap_row * KernelW + k], sums[r]);
        }
      }
      taps[q % Step] += window.row_pitch;
    }
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      store_columns<T>(y + r * y_pitch + i, sums[r], window.columns, epilogue.bias, epilogue.relu);
    }
    if (i >= last) break;
  }
}

template <typename T, int KernelH, int KernelW, int Step>
static void shared_planes(const RowWindow<T>& window, const T* weight, int64_t outputs,
                          const PlaneRows<T>& y, const Epilogue<T>& epilogue) {
  constexpr SharedRows<T> kKernels[kSharedRows] = {
      shared_rows<T, KernelH, KernelW, Step, 1>, shared_rows<T, KernelH, KernelW, Step, 2>,
      shared_rows<T, KernelH, KernelW, Step, 3>, shared_rows<T, KernelH, KernelW, Step, 4>};
  for (int64_t m = 0; m < outputs; ++m) {
    Epilogue<T> own = epilogue;
    if (own.bias != nullptr) own.bias += m;
    for (int64_t row = 0; row < window.rows; row += kSharedRows) {
      const int64_t rows = window.rows - row < kSharedRows ? window.rows - row : kSharedRows;
      kKernels[rows - 1](window, weight + m, outputs, row,
                         y.data + m * y.plane_pitch + row * y.row_pitch, y.row_pitch, own);
    }
  }
}

// The kernel of a window whose taps output rows share; null where there is none.
template <typename T>
using SharedPlanes = void (*)(const RowWindow<T>& window, const T* weight, int64_t outputs,
                              const PlaneRows<T>& y, const Epilogue<T>& epilogue);

template <typename T>
static SharedPlanes<T> shared_kernel(const RowWindow<T>& window) {
  const int64_t size = window.kernel_h == window.kernel_w ? window.kernel_h : 0;
  if (size == 3 && window.row_step == 1) return shared_planes<T, 3, 3, 1>;
  if (size == 3 && window.row_step == 2) return shared_planes<T, 3, 3, 2>;
  if (size == 5 && window.row_step == 1) return shared_planes<T, 5, 5, 1>;
  if (size == 5 && window.row_step == 2) return shared_planes<T, 5, 5, 2>;
  return nullptr;
}

// --- any taps, any channels, several outputs ----------------------------------------------------

// The tile of a pass, in outputs x vectors: a loaded vector serves all outputs, a broadcast weight
// all vectors. 4 x 3 sums + 3 vectors + 1 weight are 16 registers.
constexpr int kTapOutputs = 4;
constexpr int kTapVectors = 3;

// The columns of the last vector need not follow those of the others: it ends where the row ends.
template <typename T, int Outputs, int Vectors>
static inline void tap_tile(const RowWindow<T>& window, const T* weight, int64_t weight_pitch,
                            const T* padded, const PlaneRows<T>& y, int64_t last_column,
                            const Epilogue<T>& epilogue) {
  Vec<T> sums[Outputs][Vectors] = {};
  for (int64_t t = 0; t < window.taps; ++t, weight += weight_pitch) {
    const T* const tap = padded + window.tap_starts[t];
    Vec<T> x[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      x[v] = load<T>(tap + (v < Vectors - 1 ? v * kLanes<T> : last_column));
    }
#pragma GCC unroll 4
    for (int m = 0; m < Outputs; ++m) {
      const Vec<T> factor = broadcast<T>(weight[m]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) {
        sums[m][v] = multiply_add<T>(factor, x[v], sums[m][v]);
      }
    }
  }
#pragma GCC unroll 4
  for (int m = 0; m < Outputs; ++m) {
    const T* const bias = epilogue.bias == nullptr ? nullptr : epilogue.bias + m;
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      const int64_t column = v < Vectors - 1 ? v * kLanes<T> : last_column;
      store_columns<T>(y.data + m * y.plane_pitch + column, sums[m][v], window.columns, bias,
                       epilogue.relu);
    }
  }
}

// All rows of some outputs, in tiles of as even a width as can be.
template <typename T, int Outputs>
[[gnu::noinline]] static void tap_rows(const RowWindow<T>& window, const T* weight,
                                       int64_t weight_pitch, PlaneRows<T> y,
                                       const Epilogue<T>& epilogue) {
  const int64_t vectors = (window.columns + kLanes<T> - 1) / kLanes<T>;
  const int64_t overlap = vectors == 1 ? 0 : vectors * kLanes<T> - window.columns;
  const T* padded = window.padded;
  for (int64_t r = 0; r < window.rows; ++r, padded += window.row_pitch, y.data += y.row_pitch) {
    for (int64_t done = 0; done < vectors;) {
      const int64_t left = vectors - done;
      const int64_t tiles = (left + kTapVectors - 1) / kTapVectors;
      const int64_t used = (left + tiles - 1) / tiles;
      const int64_t last = (used - 1) * kLanes<T> - (used == left ? overlap : 0);
      const T* const from = padded + done * kLanes<T>;
      PlaneRows<T> target = y;
      target.data += done * kLanes<T>;
      if (used == 3) {
        tap_tile<T, Outputs, 3>(window, weight, weight_pitch, from, target, last, epilogue);
      } else if (used == 2) {
        tap_tile<T, Outputs, 2>(window, weight, weight_pitch, from, target, last, epilogue);
      } else {
        tap_tile<T, Outputs, 1>(window, weight, weight_pitch, from, target, last, epilogue);
      }
      done += used;
    }
  }
}

template <typename T>
static void depthwise_rows(const RowWindow<T>& window, const T* weight, int64_t outputs,
                           const PlaneRows<T>& y, const Epilogue<T>& epilogue) {
  if (const SharedPlanes<T> shared = shared_kernel(window)) {
    return shared(window, weight, outputs, y, epilogue);
  }
  for (int64_t m = 0; m < outputs;) {
    PlaneRows<T> target = y;
    target.data += m * y.plane_pitch;
    Epilogue<T> own = epilogue;
    if (own.bias != nullptr) own.bias += m;
    const int64_t left = outputs - m;
    if (left >= 4) {
      tap_rows<T, 4>(window, weight + m, outputs, target, own);
      m += 4;
    } else if (left >= 2) {
      tap_rows<T, 2>(window, weight + m, outputs, target, own);
      m += 2;
    } else {
      tap_rows<T, 1>(window, weight + m, outputs, target, own);
      m += 1;
    }
  }
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
