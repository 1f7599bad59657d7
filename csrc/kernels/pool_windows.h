// Pooling straight over the planes of an image, 2 x 2 and 3 x 3 windows with stride 1 or 2: no
// padded copy, no state in memory.
//
//   y[p][r][i] = op over u, v of x[p][r * Stride + u - pad_top][i * Stride + v - pad_left]
//
// A tile is as many output columns as a vector has lanes, and walks down the planes. A row of the
// image is reduced along its width once, at its shifts or, with stride 2, at its even and odd
// places; the result stays in a register for all windows that see the row. First along the width,
// then down: of equal elements, zeros of different sign among them, the first in row-major order
// must win. Columns that do not fill a vector: the last tile begins earlier and computes some
// twice. Rows narrower than a vector are stored whole, and the next row overwrites what is too
// much.
//
// Extrema compare as if there were no NaN, which takes half as many operations as to ask each time.
// All elements are looked at on the way: if one is NaN the result is worthless, and the caller has
// to pool these rows again with the row kernels of pool_rows.h. The same holds, with winners, for a
// window of nothing but the padding's infinity.
#pragma once

#include "../kernel_table.h"
#include "simd_pool.h"

namespace convolt {
namespace CONVOLT_ISA {

// What is known of the columns of a tile, after a row or after all: values, and of which taps.
template <typename T>
struct TileBest {
  Vec<T> value;
  Mask<T> winner;
};

// Minima with winners are maxima with all signs flipped; without, they are not worth the code.
enum class PoolSweep { kMaximum, kWinners, kSum };

template <typename T, PoolSweep Sweep>
constexpr T kPoolFill = Sweep == PoolSweep::kSum ? T{0} : -static_cast<T>(__builtin_inf());

// `next` comes behind `best` in row-major order, so it has the higher numbers of taps.
template <typename T, PoolSweep Sweep>
static inline void merge(TileBest<T>& best, const TileBest<T>& next) {
  if constexpr (Sweep == PoolSweep::kSum) {
    best.value += next.value;
    return;
  }
  if constexpr (Sweep == PoolSweep::kWinners) {
    using Numbers = Mask<float>;  // small ones: of double, the upper halves are 0
    const Numbers taken = (Numbers)((next.value > best.value) & next.winner);
    const Numbers so_far = (Numbers)best.winner;
    best.winner = (Mask<T>)(taken > so_far ? taken : so_far);
  }
  best.value = larger<T>(next.value, best.value);
}

// Loads of a row: one for each tap, or two for each pair of taps.
template <int Kernel, int Stride>
constexpr int kPoolLoads = Stride == 1 ? Kernel : Kernel + Kernel % 2;

template <typename T>
static constexpr int64_t pool_load_offset(int stride, int load) {
  return stride == 1 ? load : load / 2 * 2 + load % 2 * kLanes<T>;
}

// Where a tile is, and which lanes of its loads are inside the rows of the image.
template <typename T>
struct PoolTile {
  int64_t first;       // output column
  int64_t column;      // of the image, where the first load begins
  bool border;         // whether to load with masks
  Vec<T> flip;         // the signs
  Lanes<T> inside[4];  // of each load
  Vec<T> outside[4];   // the fill value in the lanes that are not inside, else zero bits
};

template <typename T>
static void place_tile(const PoolWindows<T>& w, int loads, T fill, int64_t first,
                       PoolTile<T>& tile) {
  const int64_t behind = w.out_w - first;
  const int64_t count = behind < kLanes<T> ? behind : kLanes<T>;
  tile.first = first;
  tile.column = first * w.stride - w.pad_left;
  const int64_t span = pool_load_offset<T>(static_cast<int>(w.stride), loads - 1) + kLanes<T>;
  tile.border = tile.column < 0 || tile.column + (count - 1) * w.stride + w.kernel > w.in_w ||
                tile.column + span - w.in_w > w.readable;
  // What only columns see that do not count is 0: their windows are not to look infinite.
  const int64_t seen = (count - 1) * w.stride + w.kernel;
  for (int n = 0; tile.border && n < loads; ++n) {
    const int64_t offset = pool_load_offset<T>(static_cast<int>(w.stride), n);
    const int64_t begin = -tile.column - offset, end = begin + w.in_w;
    tile.inside[n] = lanes_between<T>(begin, end < seen - offset ? end : seen - offset);
    for (int lane = 0; lane < kLanes<T>; ++lane) {
      const bool is_padding = (lane < begin || lane >= end) && lane < seen - offset;
      tile.outside[n][lane] = is_padding ? fill : T{0};
    }
  }
}

template <typename T, PoolSweep Sweep, bool Border>
static inline Vec<T> load_place(const T* row, const PoolTile<T>& tile, int load) {
  Vec<T> v = load_if<T, !Border>(row, tile.inside[load]);
  if constexpr (Sweep == PoolSweep::kWinners) v = (Vec<T>)((Mask<T>)v ^ (Mask<T>)tile.flip);
  if constexpr (Border && Sweep != PoolSweep::kSum) {
    v = (Vec<T>)((Mask<T>)v | (Mask<T>)tile.outside[load]);
  }
  return v;
}

// Reduces a row of the image along its width. With stride 2 the columns are in pair order.
template <typename T, PoolSweep Sweep, int Kernel, int Stride, bool Border>
static inline TileBest<T> reduce_row(const T* row, const PoolTile<T>& tile, Lanes<T>& nan) {
  constexpr int kLoads = kPoolLoads<Kernel, Stride>;
  Vec<T> taps[kLoads];
#pragma GCC unroll 4
  for (int n = 0; n < kLoads; ++n) {
    taps[n] = load_place<T, Sweep, Border>(row + pool_load_offset<T>(Stride, n), tile, n);
  }
  if constexpr (Stride == 2) {
#pragma GCC unroll 2
    for (int n = 0; n < kLoads; n += 2) {
      const Vec<T> even = even_places(taps[n], taps[n + 1]);
      taps[n + 1] = odd_places(taps[n], taps[n + 1]);
      taps[n] = even;
    }
  }
  if constexpr (Sweep != PoolSweep::kSum) {
    // At stride 1 the first and the last tap see all columns.
    nan = static_cast<Lanes<T>>(nan | unordered<T>(taps[0], taps[Stride == 1 ? Kernel - 1 : 1]));
    if constexpr (Kernel == 3 && Stride == 2) {
      nan = static_cast<Lanes<T>>(nan | unordered<T>(taps[2], taps[2]));
    }
  }
  TileBest<T> best = {taps[0], {}};
#pragma GCC unroll 2
  for (int k = 1; k < Kernel; ++k) merge<T, Sweep>(best, {taps[k], Mask<T>{} + k});
  return best;
}

template <typename T, PoolSweep Sweep, int Stride>
static inline void finish_columns(const PoolWindows<T>& w, const PoolTile<T>& tile,
                                  TileBest<T> best, int64_t oh, int64_t place) {
  if constexpr (Stride == 2) best.value = in_pair_order<T>(best.value);
  if constexpr (Sweep == PoolSweep::kSum) {  // + 0: no sum is -0
    best.value = (best.value + Vec<T>{}) /
                 (broadcast(w.row_divisors[oh]) * load<T>(w.column_divisors + tile.first));
  }
  if constexpr (Sweep == PoolSweep::kWinners) {
    if constexpr (Stride == 2) best.winner = (Mask<T>)in_pair_order<T>((Vec<T>)best.winner);
    best.value = (Vec<T>)((Mask<T>)best.value ^ (Mask<T>)tile.flip);
    store_bytes<T>(w.winners + place, best.winner);
  }
  store<T>(w.y + place, best.value);
}

// One tile of all planes. Returns where something came by that this cannot do.
template <typename T, PoolSweep Sweep, int Kernel, int Stride, bool Border>
[[gnu::noinline]] static Lanes<T> pool_tile(const PoolWindows<T>& windows,
                                            const PoolTile<T>& tile) {
  constexpr int kShared = Kernel - Stride;  // rows that a window shares with the next one
  constexpr int kBefore = (kShared + Stride - 1) / Stride;  // windows that bring these
  const PoolWindows<T> w = windows;                         // of our own: no store can change it
  const TileBest<T> nothing = {broadcast(kPoolFill<T, Sweep>), {}};
  Lanes<T> odd{};
  for (int64_t plane = 0; plane < w.planes; ++plane) {
    int64_t oh = w.row_begin - kBefore;
    int64_t h = oh * Stride + kShared - w.pad_top;
    const T* row = w.x + (plane * w.in_h + h) * w.in_w + tile.column;
    int64_t place = (plane * w.out_h + oh) * w.out_w + tile.first;
    TileBest<T> rows[Kernel] = {};
    for (; oh < w.row_end; ++oh, place += w.out_w) {
#pragma GCC unroll 3
      for (int u = kShared; u < Kernel; ++u, ++h, row += w.in_w) {
        rows[u] = nothing;
        if (h < 0 || h >= w.in_h) continue;
        rows[u] = reduce_row<T, Sweep, Kernel, Stride, Border>(row, tile, odd);
      }
      if (oh >= w.row_begin) {
        TileBest<T> best = rows[0];
#pragma GCC unroll 2
        for (int u = 1; u < Kernel; ++u) {
          merge<T, Sweep>(best, {rows[u].value, rows[u].winner + u * Kernel});
        }
        if constexpr (Sweep == PoolSweep::kWinners) {  // inf - inf is a NaN
          const Vec<T> finite = best.value - best.value;
          odd = static_cast<Lanes<T>>(odd | unordered<T>(finite, finite));
        }
        finish_columns<T, Sweep, Stride>(w, tile, best, oh, place);
      }
#pragma GCC unroll 2
      for (int u = 0; u < kShared; ++u) rows[u] = rows[u + Stride];
    }
  }
  return odd;
}

template <typename T>
using PoolTileKernel = Lanes<T> (*)(const PoolWindows<T>& w, const PoolTile<T>& tile);

// What to do with the tiles of one kind of windows.
template <typename T>
struct PoolTileKernels {
  PoolTileKernel<T> inside, border;
  int loads;
  T fill;
};

template <typename T, PoolSweep Sweep, int Kernel, int Stride>
constexpr PoolTileKernels<T> kPoolTileKernels = {pool_tile<T, Sweep, Kernel, Stride, false>,
                                                 pool_tile<T, Sweep, Kernel, Stride, true>,
                                                 kPoolLoads<Kernel, Stride>, kPoolFill<T, Sweep>};

template <typename T, PoolSweep Sweep>
static inline const PoolTileKernels<T>& pool_tile_kernels(const PoolWindows<T>& w) {
  if (w.kernel == 2) {
    return w.stride == 1 ? kPoolTileKernels<T, Sweep, 2, 1> : kPoolTileKernels<T, Sweep, 2, 2>;
  }
  return w.stride == 1 ? kPoolTileKernels<T, Sweep, 3, 1> : kPoolTileKernels<T, Sweep, 3, 2>;
}

template <typename T>
static bool pool_windows(const PoolWindows<T>& w) {
  const PoolTileKernels<T>& kernels =
      w.operation == PoolOperation::kSum ? pool_tile_kernels<T, PoolSweep::kSum>(w)
      : w.winners == nullptr             ? pool_tile_kernels<T, PoolSweep::kMaximum>(w)
                                         : pool_tile_kernels<T, PoolSweep::kWinners>(w);
  Lanes<T> odd{};
  PoolTile<T> tile{};
  if (w.operation == PoolOperation::kMinimum) tile.flip = broadcast(T{-0.0});
  for (int64_t next = 0; next < w.out_w; next += kLanes<T>) {
    const bool shifted = next + kLanes<T> > w.out_w && w.out_w >= kLanes<T>;
    place_tile<T>(w, kernels.loads, kernels.fill, shifted ? w.out_w - kLanes<T> : next, tile);
    odd = static_cast<Lanes<T>>(odd | (tile.border ? kernels.border : kernels.inside)(w, tile));
  }
  return !any_lane<T>(odd);
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
