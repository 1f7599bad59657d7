// The gradient of the image of depthwise 3 x 3 windows with stride 2, straight over the planes.
// Along each axis two taps, 2 and 0, meet every second element of dx, and tap 1 alone those
// between:
//
//   padding odd     dx[2 t]     = w1 dy[t + o]                         o = (pad - 1) / 2
//                   dx[2 t + 1] = w2 dy[t + o] + w0 dy[t + o + 1]
//   padding even    dx[2 t]     = w2 dy[t + o] + w0 dy[t + o + 1]      o = pad / 2 - 1
//                   dx[2 t + 1] = w1 dy[t + o + 1]
//
// A tile is a vector of positions t: two rows of dy, loaded at two shifts each, make two rows and
// two columns of dx, 9 multiply-adds for 4 loads. The columns meet in an interleaved store.
#pragma once

#include "plane_windows.h"

namespace convolt {
namespace CONVOLT_ISA {

// The taps that meet the elements 2 t + phase of an axis.
template <bool OddPadding, int Phase>
struct SpreadTaps {
  static constexpr bool kPair = (Phase == 1) == OddPadding;
  static constexpr int kCount = kPair ? 2 : 1;
  static constexpr int weight(int n) { return kPair ? 2 - 2 * n : 1; }
  static constexpr int shift(int n) { return kPair ? n : OddPadding ? 0 : 1; }
};

template <typename T, typename Vertical, typename Horizontal>
static inline Vec<T> spread_sum(const Vec<T> (&dy)[2][2], const Vec<T>* weights) {
  Vec<T> sum{};
#pragma GCC unroll 2
  for (int u = 0; u < Vertical::kCount; ++u) {
#pragma GCC unroll 2
    for (int v = 0; v < Horizontal::kCount; ++v) {
      sum = multiply_add<T>(dy[Vertical::shift(u)][Horizontal::shift(v)],
                            weights[Vertical::weight(u) * 3 + Horizontal::weight(v)], sum);
    }
  }
  return sum;
}

template <typename T>
static inline void store_up_to(T* y, Vec<T> v, int64_t count) {
  if (count >= kLanes<T>) {
    store<T>(y, v);
  } else if (count > 0) {
    store_first<T>(y, v, count);
  }
}

// Row 2 t + Phase of dx, from column 2 t of the tile on.
template <typename T, bool OddV, bool OddH, int Phase>
static inline void spread_row_tile(const Vec<T> (&dy)[2][2], const Vec<T>* weights, const T* bias,
                                   T* dx, int64_t columns) {
  using Vertical = SpreadTaps<OddV, Phase>;
  Vec<T> even = spread_sum<T, Vertical, SpreadTaps<OddH, 0>>(dy, weights);
  Vec<T> odd = spread_sum<T, Vertical, SpreadTaps<OddH, 1>>(dy, weights);
  if (bias != nullptr) {
    even = even + broadcast<T>(*bias);
    odd = odd + broadcast<T>(*bias);
  }
  store_up_to<T>(dx, first_interleaved(even, odd), columns);
  store_up_to<T>(dx + kLanes<T>, last_interleaved(even, odd), columns - kLanes<T>);
}

template <typename T>
struct SpreadPlane {
  const PlaneWindow<T>& window;
  TileLanes<T, 2, 1> first, last;  // of the first and the last tile of a row
  int64_t origin_h, origin_w;
  const T* dy;
  const T* weight;
  const T* bias;
  T* dx;
};

template <typename T, bool OddV, bool OddH>
[[gnu::noinline]] static void spread_rows(const SpreadPlane<T>& plane) {
  const PlaneWindow<T>& w = plane.window;
  Vec<T> weights[9];
#pragma GCC unroll 9
  for (int t = 0; t < 9; ++t) weights[t] = broadcast<T>(plane.weight[t]);
  const int64_t positions = (w.out_w + 1) / 2, last = positions - kLanes<T>;
  for (int64_t t = w.row_begin; t < w.row_end; ++t) {
    const T* rows[2];
    for (int s = 0; s < 2; ++s) {
      const int64_t y = t + plane.origin_h + s;
      rows[s] = y >= 0 && y < w.in_h ? plane.dy + y * w.in_w : w.zeros;
    }
    T* const dx = plane.dx + 2 * t * w.out_w;
    for (int64_t i = 0;; i = i + kLanes<T> < last ? i + kLanes<T> : last) {
      const int64_t column = i + plane.origin_w;
      Vec<T> dy[2][2];
      if (is_inside<T, 2, 1>(column, w.in_w)) {
        for (int s = 0; s < 2; ++s) {
          for (int k = 0; k < 2; ++k) dy[s][k] = load<T>(rows[s] + column + k);
        }
      } else {
        const TileLanes<T, 2, 1> lanes = i == 0 ? plane.first
                                         : i == last
                                             ? plane.last
                                             : tile_lanes<T, 2, 1>(column, w.in_w, kLanes<T>);
        for (int s = 0; s < 2; ++s) {
          for (int k = 0; k < 2; ++k)
            dy[s][k] = load_lanes<T>(rows[s] + column + k, lanes.loads[k]);
        }
      }
      const int64_t columns = w.out_w - 2 * i;
      spread_row_tile<T, OddV, OddH, 0>(dy, weights, plane.bias, dx + 2 * i, columns);
      if (2 * t + 1 < w.out_h) {
        spread_row_tile<T, OddV, OddH, 1>(dy, weights, plane.bias, dx + w.out_w + 2 * i, columns);
      }
      if (i >= last) break;
    }
  }
}

template <typename T>
static void plane_spread(const PlaneWindow<T>& w, const T* weight, const T* bias, T* dx) {
  const bool odd_h = w.pad_top % 2 != 0, odd_w = w.pad_left % 2 != 0;
  const int64_t origin_w = odd_w ? (w.pad_left - 1) / 2 : w.pad_left / 2 - 1;
  const int64_t positions = (w.out_w + 1) / 2;
  const int64_t last = positions > kLanes<T> ? positions - kLanes<T> : 0;
  SpreadPlane<T> plane = {w,
                          tile_lanes<T, 2, 1>(origin_w, w.in_w, kLanes<T>),
                          tile_lanes<T, 2, 1>(origin_w + last, w.in_w, kLanes<T>),
                          odd_h ? (w.pad_top - 1) / 2 : w.pad_top / 2 - 1,
                          origin_w,
                          w.image,
                          weight,
                          bias,
                          dx};
  for (int64_t c = 0; c < w.channels; ++c) {
    if (odd_h) {
      odd_w ? spread_rows<T, true, true>(plane) : spread_rows<T, true, false>(plane);
    } else {
      odd_w ? spread_rows<T, false, true>(plane) : spread_rows<T, false, false>(plane);
    }
    plane.dy += w.in_h * w.in_w;
    plane.weight += 9;
    if (plane.bias != nullptr) ++plane.bias;
    plane.dx += w.out_h * w.out_w;
  }
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
