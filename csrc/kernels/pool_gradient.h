// Gradients of pooling where each element of dx can be written once.
#pragma once

#include "../kernel_table.h"
#include "pad_rows.h"
#include "simd_pool.h"
#include "stage_rows.h"

namespace convolt {
namespace CONVOLT_ISA {

// Rows of dx are written as whole vectors, and the next row overwrites what is too much. Rows that
// would go beyond the end of all are written apart and copied.
template <typename T>
struct GradientTarget {
  T* apart;
  const T* last_whole;  // the last row that has room

  GradientTarget(const PoolGradient<T>& g, T* scratch, int64_t step)
      : apart(scratch),
        last_whole(g.dx + g.planes * g.in_h * g.in_w - (g.in_w + step - 1) / step * step) {}

  T* row(T* dx) const { return dx <= last_whole ? dx : apart; }
};

// --- averages -----------------------------------------------------------------------------------
//
//   dx[h][w] = sum over u, v of share(oh, ow),   oh * Stride + u = h + pad_top,  ow likewise
//   share(oh, ow) = dy[oh][ow] / divisor
//
// gathered for 2 x 2 and 3 x 3 windows with stride 1 or 2, in the order of the windows. Shares are
// staged, with zeros on both sides: a row of them serves all rows of dx that its windows see, and
// those need no test for the border.

// Rows of shares at hand: a ring, and one of zeros.
constexpr int64_t kStagedRows = 4;

// Elements before the first share: more than a kernel is wide.
template <typename T>
constexpr int64_t kStagedMargin = kLanes<T> < 4 ? 4 : kLanes<T>;

template <typename T>
static inline T* staged_row(const PoolGradient<T>& g, int64_t slot) {
  return g.scratch + slot * g.pitch + kStagedMargin<T>;
}

// A row that is shorter than a vector is staged as one, with zeros behind it; of others the last
// vector begins earlier.
template <typename T>
static inline void stage_row(const PoolGradient<T>& g, Lanes<T> lanes, int64_t row, int64_t oh) {
  T* const shares = staged_row(g, oh % kStagedRows);
  const Vec<T> row_divisor = broadcast(g.row_divisors[oh]);
  for (int64_t next = 0; next < g.out_w; next += kLanes<T>) {
    const bool is_last = next + kLanes<T> > g.out_w && g.out_w >= kLanes<T>;
    const int64_t i = is_last ? g.out_w - kLanes<T> : next;
    const Vec<T> dy = load_lanes<T>(g.dy + row * g.out_w + i, lanes);
    store<T>(shares + i, dy / (row_divisor * load<T>(g.column_divisors + i)));
  }
}

// The sums over all taps of one phase of columns: v = First, First + Stride, ..; rows[i] has the
// windows that begin i strides above.
template <typename T, int Kernel, int Stride, int Phase, int First>
static inline Vec<T> sum_shares(const T* const* rows, int64_t ow) {
  Vec<T> sum{};
#pragma GCC unroll 3
  for (int u = (Kernel - 1 - Phase) / Stride * Stride + Phase; u >= 0; u -= Stride) {
#pragma GCC unroll 3
    for (int v = (Kernel - 1 - First) / Stride * Stride + First; v >= 0; v -= Stride) {
      sum += load<T>(rows[u / Stride] + ow - v / Stride);
    }
  }
  return sum;
}

// A row of dx that is row `Phase` modulo the stride of the padded image.
template <typename T, int Kernel, int Stride, int Phase>
static inline void gather_row(const PoolGradient<T>& g, const T* const* rows, T* dx) {
  if constexpr (Stride == 1) {
    for (int64_t w = 0; w < g.in_w; w += kLanes<T>) {
      store<T>(dx + w, sum_shares<T, Kernel, 1, 0, 0>(rows, w + g.pad_left));
    }
  } else {
    const bool odd = g.pad_left % 2 != 0;
    for (int64_t w = 0; w < g.in_w; w += 2 * kLanes<T>) {
      const int64_t ow = (w + g.pad_left) / 2;
      const Vec<T> b = sum_shares<T, Kernel, 2, Phase, 1>(rows, ow);
      const Vec<T> a = sum_shares<T, Kernel, 2, Phase, 0>(rows, odd ? ow + 1 : ow);
      const Vec<T> first = odd ? b : a, second = odd ? a : b;
      store<T>(dx + w, first_interleaved(first, second));
      store<T>(dx + w + kLanes<T>, last_interleaved(first, second));
    }
  }
}

template <typename T, int Kernel, int Stride>
[[gnu::noinline]] static void average_gradient(const PoolGradient<T>& gradient) {
  constexpr int kRows = (Kernel - 1) / Stride + 1;  // of windows that a row may be in
  const PoolGradient<T> g = gradient;               // of our own: no store can change it
  const Lanes<T> lanes = lanes_between<T>(0, g.out_w);
  const T* const zeros = staged_row(g, kStagedRows);
  const GradientTarget<T> target(g, g.scratch + (kStagedRows + 1) * g.pitch, Stride * kLanes<T>);
  T* dx = g.dx;
  for (int64_t plane = 0; plane < g.planes; ++plane) {
    int64_t next = 0;  // row of dy to stage
    for (int64_t h = 0; h < g.in_h; ++h, dx += g.in_w) {
      const int64_t padded = h + g.pad_top;
      const int64_t last = padded / Stride;
      // One more than this row needs: what was stored just now would make it wait.
      for (; next <= last + 1 && next < g.out_h; ++next) {
        stage_row(g, lanes, plane * g.out_h + next, next);
      }
      const T* rows[kRows];
      for (int i = 0; i < kRows; ++i) {
        const int64_t oh = last - i;
        rows[i] = oh >= 0 && oh < g.out_h ? staged_row(g, oh % kStagedRows) : zeros;
      }
      T* const row = target.row(dx);
      if (Stride == 2 && padded % 2 != 0) {
        gather_row<T, Kernel, Stride, Stride - 1>(g, rows, row);
      } else {
        gather_row<T, Kernel, Stride, 0>(g, rows, row);
      }
      if (row != dx) copy_row(row, g.in_w, dx);
    }
  }
}

// --- extrema ------------------------------------------------------------------------------------
//
// 2 x 2 windows with stride 2 and no padding before: each row of dx is of one row of windows.
// Where windows overlap, adding each dy at its place takes less than to compare the winner of
// every window with every tap.

// The winners of so many windows, and anything.
template <typename T>
static inline Mask<T> load_winners(const uint8_t* p, int64_t count) {
  if (count >= kLanes<T>) return load_bytes<T>(p);
  Mask<T> winners{};
  for (int64_t i = 0; i < count; ++i) winners[i] = p[i];
  return winners;
}

// The elements of dx that this tap and the next one share out, two for each window.
template <typename T>
static inline void store_pairs_of(Vec<T> dy, Mask<T> winners, int tap, T* dx) {
  // + 0: no sum is -0
  const Vec<T> even = (Vec<T>)((Mask<T>)dy & (winners == tap)) + Vec<T>{};
  const Vec<T> odd = (Vec<T>)((Mask<T>)dy & (winners == tap + 1)) + Vec<T>{};
  store<T>(dx, first_interleaved(even, odd));
  store<T>(dx + kLanes<T>, last_interleaved(even, odd));
}

template <typename T>
static inline void pair_row(const PoolGradient<T>& g, int64_t place, int tap, T* dx) {
  const T* const dy = g.dy + place;
  const uint8_t* const winners = g.winners + place;
  int64_t i = 0;
  for (; i + kLanes<T> <= g.out_w; i += kLanes<T>) {
    store_pairs_of<T>(load<T>(dy + i), load_bytes<T>(winners + i), tap, dx + 2 * i);
  }
  if (2 * i >= g.in_w) return;
  const int64_t behind = g.planes * g.out_h * g.out_w - place - i;  // windows, to the end of all
  store_pairs_of<T>(load_lanes<T>(dy + i, lanes_between<T>(0, g.out_w - i)),
                    load_winners<T>(winners + i, behind), tap, dx + 2 * i);
}

template <typename T>
[[gnu::noinline]] static void pair_gradient(const PoolGradient<T>& gradient) {
  const PoolGradient<T> g = gradient;  // of our own: no store can change it
  const GradientTarget<T> target(g, g.scratch, 2 * kLanes<T>);
  T* dx = g.dx;
  for (int64_t plane = 0; plane < g.planes; ++plane) {
    for (int64_t h = 0; h < g.in_h; ++h, dx += g.in_w) {
      if (h / 2 >= g.out_h) {
        fill_elements(dx, g.in_w, T{0});
        continue;
      }
      T* const row = target.row(dx);
      pair_row(g, (plane * g.out_h + h / 2) * g.out_w, static_cast<int>(h % 2 * 2), row);
      if (row != dx) copy_row(row, g.in_w, dx);
    }
  }
}

template <typename T>
static void pool_gradient(const PoolGradient<T>& g) {
  if (g.winners != nullptr) return pair_gradient(g);
  fill_elements(g.scratch, (kStagedRows + 1) * g.pitch, T{0});
  if (g.kernel == 2) {
    g.stride == 1 ? average_gradient<T, 2, 1>(g) : average_gradient<T, 2, 2>(g);
  } else {
    g.stride == 1 ? average_gradient<T, 3, 1>(g) : average_gradient<T, 3, 2>(g);
  }
}

template <typename T>
constexpr PoolGradientRoom kPoolGradientRoom = {kStagedMargin<T> + 4 * kLanes<T> + 4,
                                                kStagedRows + 2};

}  // namespace CONVOLT_ISA
}  // namespace convolt
