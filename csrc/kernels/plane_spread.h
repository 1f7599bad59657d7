// The gradient of the image of depthwise windows with stride 2, straight over the planes. Along
// each axis the even taps meet every second element of dx, and the odd taps those between; for 3
// taps
//
//   padding odd     dx[2 t]     = w1 dy[t + o]                         o = (pad - 1) / 2
//                   dx[2 t + 1] = w2 dy[t + o] + w0 dy[t + o + 1]
//   padding even    dx[2 t]     = w2 dy[t + o] + w0 dy[t + o + 1]      o = pad / 2 - 1
//                   dx[2 t + 1] = w1 dy[t + o + 1]
//
// A tile is a vector of positions t: two rows of dy (three for 5 taps), loaded at as many shifts,
// make two rows and two columns of dx. The columns meet in an interleaved store.
#pragma once

#include "plane_windows.h"

namespace convolt {
namespace CONVOLT_ISA {

// How many elements of dy a position sees along an axis.
template <int Kernel>
constexpr int kSpreadShifts = (Kernel + 1) / 2;

// The taps that meet the elements 2 t + Phase of an axis: their weights, and the shifts of dy.
template <int Kernel, bool OddPadding, int Phase>
struct SpreadTaps {
  static constexpr bool kEvenTaps = (Phase == 1) == OddPadding;
  static constexpr int kCount = kEvenTaps ? kSpreadShifts<Kernel> : kSpreadShifts<Kernel> - 1;
  static constexpr int weight(int n) { return Kernel - (kEvenTaps ? 1 : 2) - 2 * n; }
  static constexpr int shift(int n) { return n + (kEvenTaps || OddPadding ? 0 : 1); }
};

template <typename T, int Kernel>
struct SpreadTile {
  Vec<T> dy[kSpreadShifts<Kernel>][kSpreadShifts<Kernel>];
};

template <typename T, int Kernel, typename Vertical, typename Horizontal>
static inline Vec<T> spread_sum(const SpreadTile<T, Kernel>& tile, const Vec<T>* weights) {
  Vec<T> sum{};
#pragma GCC unroll 4
  for (int u = 0; u < Vertical::kCount; ++u) {
#pragma GCC unroll 4
    for (int v = 0; v < Horizontal::kCount; ++v) {
      sum = multiply_add<T>(tile.dy[Vertical::shift(u)][Horizontal::shift(v)],
                            weights[Vertical::weight(u) * Kernel + Horizontal::weight(v)], sum);
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

// Row 2 t + Phase of dx, from the first column of the tile on.
template <typename T, int Kernel, bool OddV, bool OddH, int Phase>
static inline void store_spread_row(const SpreadTile<T, Kernel>& tile, const Vec<T>* weights,
                                    const T* bias, T* dx, int64_t columns) {
  using Vertical = SpreadTaps<Kernel, OddV, Phase>;
  Vec<T> even = spread_sum<T, Kernel, Vertical, SpreadTaps<Kernel, OddH, 0>>(tile, weights);
  Vec<T> odd = spread_sum<T, Kernel, Vertical, SpreadTaps<Kernel, OddH, 1>>(tile, weights);
  if (bias != nullptr) {
    even = even + broadcast<T>(*bias);
    odd = odd + broadcast<T>(*bias);
  }
  store_up_to<T>(dx, first_interleaved(even, odd), columns);
  store_up_to<T>(dx + kLanes<T>, last_interleaved(even, odd), columns - kLanes<T>);
}

// What the rows of one plane share.
template <typename T, int Kernel>
struct SpreadPlane {
  const PlaneWindow<T>& window;
  int64_t origin_h, origin_w;                          // of dy, at position 0
  TileLanes<T, kSpreadShifts<Kernel>, 1> first, last;  // of the first and the last tile of a row
  const T* dy;
  const T* weight;
  const T* bias;
  T* dx;
};

template <typename T, int Kernel, bool Inside>
static inline void load_spread_tile(const T* const* rows, int64_t column, const Lanes<T>* lanes,
                                    SpreadTile<T, Kernel>& tile) {
#pragma GCC unroll 4
  for (int s = 0; s < kSpreadShifts<Kernel>; ++s) {
#pragma GCC unroll 4
    for (int k = 0; k < kSpreadShifts<Kernel>; ++k) {
      tile.dy[s][k] = load_tap<T, 1, Inside>(rows[s] + column, k, lanes);
    }
  }
}

template <typename T, int Kernel, bool OddV, bool OddH>
[[gnu::noinline]] static void spread_rows(const SpreadPlane<T, Kernel>& plane) {
  constexpr int kShifts = kSpreadShifts<Kernel>;
  const PlaneWindow<T>& w = plane.window;
  Vec<T> weights[Kernel * Kernel];
#pragma GCC unroll 32
  for (int t = 0; t < Kernel * Kernel; ++t) weights[t] = broadcast<T>(plane.weight[t]);
  const int64_t positions = (w.out_w + 1) / 2, last = positions - kLanes<T>;
  for (int64_t t = w.row_begin; t < w.row_end; ++t) {
    const T* rows[kShifts];
    for (int s = 0; s < kShifts; ++s) {
      const int64_t y = t + plane.origin_h + s;
      rows[s] = y >= 0 && y < w.in_h ? plane.dy + y * w.in_w : w.zeros;
    }
    T* const dx = plane.dx + 2 * t * w.out_w;
    for (int64_t i = 0;; i = i + kLanes<T> < last ? i + kLanes<T> : last) {
      const int64_t column = i + plane.origin_w;
      SpreadTile<T, Kernel> tile;
      if (is_inside<T, kShifts, 1>(column, w.in_w)) {
        load_spread_tile<T, Kernel, true>(rows, column, nullptr, tile);
      } else {
        const TileLanes<T, kShifts, 1> lanes =
            i == 0      ? plane.first
            : i == last ? plane.last
                        : tile_lanes<T, kShifts, 1>(column, w.in_w, kLanes<T>);
        load_spread_tile<T, Kernel, false>(rows, column, lanes.loads, tile);
      }
      const int64_t columns = w.out_w - 2 * i;
      store_spread_row<T, Kernel, OddV, OddH, 0>(tile, weights, plane.bias, dx + 2 * i, columns);
      if (2 * t + 1 < w.out_h) {
        store_spread_row<T, Kernel, OddV, OddH, 1>(tile, weights, plane.bias, dx + w.out_w + 2 * i,
                                                   columns);
      }
      if (i >= last) break;
    }
  }
}

// floor((pad - Kernel + 2) / 2), for a padding that is not negative.
template <int Kernel>
static inline int64_t spread_origin(int64_t pad) {
  return (pad + Kernel) / 2 - (Kernel - 1);
}

template <typename T, int Kernel>
static void spread_planes(const PlaneWindow<T>& w, const T* weight, const T* bias, T* dx) {
  constexpr int kShifts = kSpreadShifts<Kernel>;
  const bool odd_h = w.pad_top % 2 != 0, odd_w = w.pad_left % 2 != 0;
  const auto rows =
      odd_h ? (odd_w ? spread_rows<T, Kernel, true, true> : spread_rows<T, Kernel, true, false>)
            : (odd_w ? spread_rows<T, Kernel, false, true> : spread_rows<T, Kernel, false, false>);
  const int64_t origin_w = spread_origin<Kernel>(w.pad_left);
  const int64_t positions = (w.out_w + 1) / 2;
  const int64_t last = positions > kLanes<T> ? positions - kLanes<T> : 0;
  SpreadPlane<T, Kernel> plane = {w,
                                  spread_origin<Kernel>(w.pad_top),
                                  origin_w,
                                  tile_lanes<T, kShifts, 1>(origin_w, w.in_w, kLanes<T>),
                                  tile_lanes<T, kShifts, 1>(origin_w + last, w.in_w, kLanes<T>),
                                  w.image,
                                  weight,
                                  bias,
                                  dx};
  for (int64_t c = 0; c < w.channels; ++c) {
    rows(plane);
    plane.dy += w.in_h * w.in_w;
    plane.weight += Kernel * Kernel;
    if (plane.bias != nullptr) ++plane.bias;
    plane.dx += w.out_h * w.out_w;
  }
}

template <typename T>
static void plane_spread(const PlaneWindow<T>& w, const T* weight, const T* bias, T* dx) {
  w.kernel == 3 ? spread_planes<T, 3>(w, weight, bias, dx)
                : spread_planes<T, 5>(w, weight, bias, dx);
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
