// The gradient of filters, F(3 x 3, 4 x 4) and F(5 x 5, 2 x 2): csrc/winograd.h has the method. It
// correlates as a convolution does, with some pixels of dy for the filter and the taps for the
// outputs; points and input tiles are the same.
#pragma once

#include "winograd_tiles.h"

namespace convolt {
namespace CONVOLT_ISA {

// As the tiles of an image: those of dy.
template <typename T, typename Pixels, int kTaps>
struct GradientTiles : Pixels {
  static constexpr int kSide = SixPoints<T>::kSide, kOutput = kTaps;

  static void input(const Vec<T>* g, Vec<T>* u) {
    SixPoints<T>::template filter_of<Pixels::kInput>(g, u);
  }
  static void output(const Vec<T>* m, Vec<T>* w) {
    SixPoints<T>::template output_of<kOutput>(m, w);
  }
};

template <typename T>
struct Gradient3x3 : GradientTiles<T, QuadsOfPixels<T, 4>, 3> {};
template <typename T>
struct Gradient5x5 : GradientTiles<T, PairsOfPixels<T, 2>, 5> {};

// dweight[channel * taps + tap] of one row of filters, from m[element * step + channel], which has
// whole vectors of channels.
template <typename T, typename Tiles>
static void winograd_taps(const T* m, int64_t step, int64_t channels, T* dweight) {
  constexpr int kSide = Tiles::kOutput, kTaps = kSide * kSide;
  for (int64_t c = 0; c < channels; c += kLanes<T>) {
    Vec<T> taps[kSide][kSide];
    transform_output<T, Tiles>(m + c, step, taps);
    const int64_t count = channels - c < kLanes<T> ? channels - c : kLanes<T>;
    for (int64_t lane = 0; lane < count; ++lane) {
      T* const filter = dweight + (c + lane) * kTaps;
      for (int t = 0; t < kTaps; ++t) filter[t] = taps[t / kSide][t % kSide][lane];
    }
  }
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
