// The gradient of 2 x 2 and 3 x 3 windows with stride 1 or 2, gathered: each element of dx is
// written once, with the sum over the windows that see it, in the order of these.
//
//   dx[h][w] = sum over u, v of share(oh, ow),   oh * Stride + u = h + pad_top,  ow likewise
//     extrema    share(oh, ow) = dy[oh][ow] if tap (u, v) is the window's winner, else 0
//     averages   share(oh, ow) = dy[oh][ow] / divisor
//
// Rows of dy are staged: shares with zeros on both sides, winners as wide as the shares. A staged
// row serves all rows of dx that its windows see, and those need no test for the border. Rows of dx
// are written as whole vectors; the next row overwrites what is too much.
#pragma once

#include "../kernel_table.h"
#include "pad_rows.h"
#include "simd_lanes.h"

namespace convolt {
namespace CONVOLT_ISA {

// Rows of dy at hand: a ring, and one of zeros.
constexpr int64_t kStagedRows = 4;

// Elements before the first share: more than a kernel is wide.
template <typename T>
constexpr int64_t kStagedMargin = kLanes<T> < 4 ? 4 : kLanes<T>;

template <typename T>
struct StagedRow {
  T* shares;
  PoolOffset<T>* winners;
};

// The first share and the first winner of slot `slot`.
template <typename T>
static inline StagedRow<T> staged_row(const PoolGradient<T>& g, int64_t slot) {
  T* const row = g.scratch + 2 * slot * g.pitch + kStagedMargin<T>;
  return {row, reinterpret_cast<PoolOffset<T>*>(row + g.pitch)};
}

template <typename T>
[[gnu::noinline]] static void stage_row(const PoolGradient<T>& g, int64_t plane, int64_t oh) {
  const StagedRow<T> row = staged_row(g, oh % kStagedRows);
  const int64_t place = (plane * g.out_h + oh) * g.out_w;
  const T* const dy = g.dy + place;
  if (g.winners == nullptr) {
    for (int64_t i = 0; i < g.out_w; ++i) {
      row.shares[i] = dy[i] / (g.row_divisors[oh] * g.column_divisors[i]);
    }
  } else {
    copy_elements(dy, g.out_w, row.shares);
    for (int64_t i = 0; i < g.out_w; ++i) row.winners[i] = g.winners[place + i];
  }
}

// The share of columns from `ow` on, for tap (u, v).
template <typename T, bool Winners>
static inline Vec<T> share(const StagedRow<T>& row, int64_t ow, int tap) {
  const Vec<T> shares = load<T>(row.shares + ow);
  if constexpr (!Winners) return shares;
  const Mask<T> wins = (Mask<T>)load<PoolOffset<T>>(row.winners + ow) == tap;
  return (Vec<T>)((Mask<T>)shares & wins);
}

// The sums over all taps of one phase of columns: v = First, First + Stride, ..
template <typename T, bool Winners, int Kernel, int Stride, int Phase, int First>
static inline Vec<T> sum_shares(const StagedRow<T>* rows, int64_t ow) {
  Vec<T> sum{};
#pragma GCC unroll 3
  for (int u = (Kernel - 1 - Phase) / Stride * Stride + Phase; u >= 0; u -= Stride) {
#pragma GCC unroll 3
    for (int v = (Kernel - 1 - First) / Stride * Stride + First; v >= 0; v -= Stride) {
      sum += share<T, Winners>(rows[u / Stride], ow - v / Stride, u * Kernel + v);
    }
  }
  return sum;
}

// A row of dx that is row `Phase` modulo the stride of the padded image. rows[i] has the windows
// that begin i strides above.
template <typename T, bool Winners, int Kernel, int Stride, int Phase>
[[gnu::noinline]] static void gradient_row(const PoolGradient<T>& g, const StagedRow<T>* staged,
                                           T* dx) {
  constexpr int kRows = (Kernel - 1 - Phase) / Stride + 1;
  StagedRow<T> rows[kRows];
  for (int i = 0; i < kRows; ++i) rows[i] = staged[i];
  const int64_t in_w = g.in_w, pad = g.pad_left;
  if constexpr (Stride == 1) {
    for (int64_t w = 0; w < in_w; w += kLanes<T>) {
      store<T>(dx + w, sum_shares<T, Winners, Kernel, 1, 0, 0>(rows, w + pad));
    }
  } else {
    const bool odd = pad % 2 != 0;
    for (int64_t w = 0; w < in_w; w += 2 * kLanes<T>) {
      const int64_t ow = (w + pad) / 2;
      const Vec<T> b = sum_shares<T, Winners, Kernel, 2, Phase, 1>(rows, ow);
      const Vec<T> a = sum_shares<T, Winners, Kernel, 2, Phase, 0>(rows, odd ? ow + 1 : ow);
      const Vec<T> first = odd ? b : a, second = odd ? a : b;
      store<T>(dx + w, first_interleaved(first, second));
      store<T>(dx + w + kLanes<T>, last_interleaved(first, second));
    }
  }
}

template <typename T>
using GradientRow = void (*)(const PoolGradient<T>& g, const StagedRow<T>* staged, T* dx);

// The kernels of the rows that are 0 and 1 modulo the stride.
template <typename T>
struct GradientRows {
  GradientRow<T> phases[2];
};

template <typename T, bool Winners, int Kernel>
constexpr GradientRows<T> kDenseRows = {{gradient_row<T, Winners, Kernel, 1, 0>, nullptr}};
template <typename T, bool Winners, int Kernel>
constexpr GradientRows<T> kStridedRows = {
    {gradient_row<T, Winners, Kernel, 2, 0>, gradient_row<T, Winners, Kernel, 2, 1>}};

template <typename T, bool Winners>
static inline const GradientRows<T>& gradient_rows(const PoolGradient<T>& g) {
  if (g.kernel == 2) return g.stride == 1 ? kDenseRows<T, Winners, 2> : kStridedRows<T, Winners, 2>;
  return g.stride == 1 ? kDenseRows<T, Winners, 3> : kStridedRows<T, Winners, 3>;
}

template <typename T>
static void pool_gradient(const PoolGradient<T>& gradient) {
  const PoolGradient<T> g = gradient;  // of our own: no store can change it
  const GradientRows<T>& kernels =
      g.winners == nullptr ? gradient_rows<T, false>(g) : gradient_rows<T, true>(g);
  fill_elements(g.scratch, 2 * (kStagedRows + 1) * g.pitch, T{0});
  const StagedRow<T> zeros = staged_row(g, kStagedRows);
  T* const apart = g.scratch + 2 * (kStagedRows + 1) * g.pitch;
  const int64_t step = g.stride * kLanes<T>;
  const int64_t written = (g.in_w + step - 1) / step * step;
  const T* const end = g.dx + g.planes * g.in_h * g.in_w;
  const int64_t windows = (g.kernel - 1) / g.stride + 1;  // that a row may be in
  T* dx = g.dx;
  for (int64_t plane = 0; plane < g.planes; ++plane) {
    int64_t next = 0;  // row of dy to stage
    for (int64_t h = 0; h < g.in_h; ++h, dx += g.in_w) {
      const int64_t phase = g.stride == 1 ? 0 : (h + g.pad_top) % 2;
      const int64_t last = (h + g.pad_top - phase) / g.stride;
      for (; next <= last && next < g.out_h; ++next) stage_row(g, plane, next);
      StagedRow<T> staged[3] = {zeros, zeros, zeros};
      for (int64_t i = 0; i < windows; ++i) {
        const int64_t oh = last - i;
        if (oh >= 0 && oh < g.out_h) staged[i] = staged_row(g, oh % kStagedRows);
      }
      T* const target = dx + written <= end ? dx : apart;
      kernels.phases[phase](g, staged, target);
      if (target != dx) copy_elements(target, g.in_w, dx);
    }
  }
}

// Elements of a staged row, and of the scratch of it all.
template <typename T>
constexpr PoolGradientRoom kPoolGradientRoom = {kStagedMargin<T> + 4 * kLanes<T> + 4,
                                                2 * (kStagedRows + 1) + 1};

}  // namespace CONVOLT_ISA
}  // namespace convolt
