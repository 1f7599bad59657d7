// The transforms of F(3 x 3, 4 x 4), the gradient of 3 x 3 filters: csrc/winograd_weights.h has the
// method. It correlates as F(4 x 4, 3 x 3) does, with 4 x 4 pixels of dy for the filter and 3 x 3
// taps for the outputs; points and input tiles are the same.
#pragma once

#include "winograd_tiles.h"

namespace convolt {
namespace CONVOLT_ISA {

template <typename T>
struct GradientTiles {
  static constexpr int kTile = 4, kInput = 4, kSide = 6, kOutput = 3;
  static constexpr double kRootOfTwo = Tiles4x4<T>::kRootOfTwo;
  static constexpr T kRoot = Tiles4x4<T>::kRoot, kHalfRoot = Tiles4x4<T>::kHalfRoot;

  // G: as Tiles4x4's, with a^3 / m'(a) for the fourth pixel.
  static void input(const Vec<T>* g, Vec<T>* u) {
    constexpr T kThird = T(1. / 3), kTwoThirds = T(2. / 3), kSixth = T(1. / 6);
    const Vec<T> outer_even = multiply_add<T>(broadcast<T>(kThird), g[2], g[0] * kSixth);
    const Vec<T> outer_odd =
        multiply_add<T>(broadcast<T>(T(kRootOfTwo / 3)), g[3], g[1] * T(kRootOfTwo / 6));
    const Vec<T> inner_even = multiply_add<T>(broadcast<T>(-kThird), g[2], g[0] * -kTwoThirds);
    const Vec<T> inner_odd =
        multiply_add<T>(broadcast<T>(T(-kRootOfTwo / 6)), g[3], g[1] * T(-kRootOfTwo / 3));
    u[0] = g[0];
    u[1] = outer_even + outer_odd;
    u[2] = outer_even - outer_odd;
    u[3] = inner_even + inner_odd;
    u[4] = inner_even - inner_odd;
    u[5] = g[3];
  }
  // A^T: as Tiles4x4's, but for the last row, which is a square.
  static void output(const Vec<T>* m, Vec<T>* w) {
    const Vec<T> outer_even = m[1] + m[2], outer_odd = m[1] - m[2];
    const Vec<T> inner_even = m[3] + m[4], inner_odd = m[3] - m[4];
    w[0] = m[0] + (outer_even + inner_even);
    w[1] = multiply_add<T>(broadcast<T>(kHalfRoot), inner_odd, outer_odd * kRoot);
    w[2] = multiply_add<T>(broadcast<T>(T(0.5)), inner_even, outer_even + outer_even) + m[5];
  }
  // g[j][lane] = pixel 4 * lane + j
  static void load_columns(const TileRow<T>& row, Vec<T>* g) {
    T copy[4 * kLanes<T>];
    load_quads(row.template first<4 * kLanes<T>>(copy), 4, g);
  }
};

// dweight[channel * 9 + tap] of one row of filters, from m[element * step + channel], which has
// whole vectors of channels.
template <typename T>
static void winograd_taps(const T* m, int64_t step, int64_t channels, T* dweight) {
  constexpr int kTaps = 3;
  for (int64_t c = 0; c < channels; c += kLanes<T>) {
    Vec<T> taps[kTaps][kTaps];
    transform_output<T, GradientTiles<T>>(m + c, step, taps);
    const int64_t count = channels - c < kLanes<T> ? channels - c : kLanes<T>;
    for (int64_t lane = 0; lane < count; ++lane) {
      T* const filter = dweight + (c + lane) * kTaps * kTaps;
      for (int t = 0; t < kTaps * kTaps; ++t) filter[t] = taps[t / kTaps][t % kTaps][lane];
    }
  }
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
