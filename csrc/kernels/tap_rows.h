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

#include "store_sums.h"

namespace convolt {
namespace CONVOLT_ISA {

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
    Epilogue<T> own = epilogue;
    if (own.bias != nullptr) own.bias += m;
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      const int64_t column = v < Vectors - 1 ? v * kLanes<T> : last_column;
      T* const target = y.data + m * y.plane_pitch + column;
      finish_sums<T, 1>(&sums[m][v], own);
      store_sums<T, 1>(&sums[m][v], target, 0, window.columns, target);
    }
  }
}

// All rows of some outputs, in tiles of as even a width as can be.
template <typename T, int Outputs>
[[gnu::noinline]] static void rows_of_outputs(const RowWindow<T>& window, const T* weight,
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
static void tap_rows(const RowWindow<T>& window, const T* weight, int64_t outputs,
                     const PlaneRows<T>& y, const Epilogue<T>& epilogue) {
  for (int64_t m = 0; m < outputs;) {
    PlaneRows<T> target = y;
    target.data += m * y.plane_pitch;
    Epilogue<T> own = epilogue;
    if (own.bias != nullptr) own.bias += m;
    const int64_t left = outputs - m;
    if (left >= 4) {
      rows_of_outputs<T, 4>(window, weight + m, outputs, target, own);
      m += 4;
    } else if (left >= 2) {
      rows_of_outputs<T, 2>(window, weight + m, outputs, target, own);
      m += 2;
    } else {
      rows_of_outputs<T, 1>(window, weight + m, outputs, target, own);
      m += 1;
    }
  }
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
