// Depthwise windows straight over the planes of an image: no padded copy, no packing.
//
//   y[p][r][i] = epilogue(sum over u, v of  weight[p][u][v] * image[p / outputs][row][column])
//     row = r * Stride + u - pad_top,  column = i * Stride + v - pad_left,  zero outside the image
//
// A row of the image, loaded at its shifts, serves all output rows of a tile that see it: with four
// of them, 3 x 3 taps at stride 1 do 36 multiply-adds for 18 loads, and 9 weights, 4 sums and a row
// are 14 registers. At stride 2 two vectors make one of even and one of odd places. Rows outside of
// the image are a row of zeros; where columns lie outside, the lanes that are inside are chosen
// while loading. Columns that do not fill a vector: the last tile begins earlier and computes some
// twice; narrower rows are stored in part. Whatever the tile, the taps come in the order of the
// reference.
#pragma once

#include "store_sums.h"

namespace convolt {
namespace CONVOLT_ISA {

// Vectors that a tile loads of an image row: one for each tap, or two for each pair of taps.
template <int Kernel, int Stride>
constexpr int kTileLoads = Stride == 1 ? Kernel : Kernel + Kernel % 2;

// How far behind the first column of a tile load n begins.
template <typename T, int Stride>
static constexpr int64_t load_offset(int n) {
  return Stride == 1 ? n : n / 2 * 2 + n % 2 * kLanes<T>;
}

// Which lanes of each load of a tile are inside the image.
template <typename T, int Kernel, int Stride>
struct TileLanes {
  Lanes<T> loads[kTileLoads<Kernel, Stride>];
};

// For the tile whose first tap has this column of the image. Only `columns` of it count.
template <typename T, int Kernel, int Stride>
static inline TileLanes<T, Kernel, Stride> tile_lanes(int64_t column, int64_t in_w,
                                                      int64_t columns) {
  TileLanes<T, Kernel, Stride> lanes;
  for (int n = 0; n < kTileLoads<Kernel, Stride>; ++n) {
    const int64_t start = column + load_offset<T, Stride>(n);
    const int64_t counted = columns * Stride - (Stride == 1 ? 0 : n % 2 * kLanes<T>);
    const int64_t inside = in_w - start;
    lanes.loads[n] = lanes_between<T>(-start, inside < counted ? inside : counted);
  }
  return lanes;
}

// What tap `tap` of the columns of a tile sees of an image row; at stride 2 in pair order.
template <typename T, int Stride, bool Inside>
static inline Vec<T> load_tap(const T* row, int tap, const Lanes<T>* lanes) {
  if constexpr (Stride == 1) {
    return load_if<T, Inside>(row + tap, Inside ? Lanes<T>{} : lanes[tap]);
  } else {
    const int pair = tap / 2 * 2;
    const Vec<T> a = load_if<T, Inside>(row + pair, Inside ? Lanes<T>{} : lanes[pair]);
    const Vec<T> b =
        load_if<T, Inside>(row + pair + kLanes<T>, Inside ? Lanes<T>{} : lanes[pair + 1]);
    return tap == pair ? even_places(a, b) : odd_places(a, b);
  }
}

// Whether a tile whose first tap has this column reads nothing outside of the image.
template <typename T, int Kernel, int Stride>
static inline bool is_inside(int64_t column, int64_t in_w) {
  constexpr int64_t kSpan = load_offset<T, Stride>(kTileLoads<Kernel, Stride> - 1) + kLanes<T>;
  return column >= 0 && column + kSpan <= in_w;
}

// The image rows that `Rows` output rows see, from output row `row` on.
template <typename T, int Kernel, int Stride, int Rows>
struct ImageRows {
  static constexpr int kCount = (Rows - 1) * Stride + Kernel;
  const T* rows[kCount];
  const T* next;  // the first row that the tile behind sees and this one does not

  ImageRows(const PlaneWindow<T>& w, const T* plane, int64_t row) {
    const int64_t first = row * Stride - w.pad_top;
    const T* inside = plane + first * w.in_w;
    for (int q = 0; q < kCount; ++q, inside += w.in_w) {
      rows[q] = first + q >= 0 && first + q < w.in_h ? inside : w.zeros;
    }
    next = inside;
  }
};

// Output rows of a tile. Of 1 to kMostRows, sums, weights and a row of the image are in registers.
// Tiles of kTallRows have some of them in memory, which costs less than it saves: the maps of most
// networks have 7, 14, 28 .. rows, all whole tiles, and each loaded row serves more sums. Small
// maps gain 1.1 to 1.25; wide ones, where memory decides, lose up to 5 % by so many rows at once.
// The code of every height is large: the baseline and doubles have low tiles only.
template <typename T>
constexpr bool kHasHighTiles = (kVectorBytes > 16 || kRegisters == 32) && sizeof(T) == 4;
template <typename T>
constexpr int kMostRows = kHasHighTiles<T> ? 4 : 2;
template <typename T>
constexpr int kTallRows = kHasHighTiles<T> ? 7 : 2;

// Of the heights that row_tiles() takes, the one below.
template <typename T>
static constexpr int lower_tile(int rows) {
  return rows > kMostRows<T> ? kMostRows<T> : rows - 1;
}

// Rows in as few tiles as can be: `high` of height + 1 rows, then `low` of height rows.
struct RowTiles {
  int64_t height, high, low_begin, low;
};

template <typename T>
static inline RowTiles row_tiles(int64_t begin, int64_t end, bool tall) {
  const int64_t rows = end - begin;
  constexpr int kTall = kTallRows<T>;
  if (tall && rows % kTall == 0) return {kTall, 0, begin, rows / kTall};
  const int64_t tiles = (rows + kMostRows<T> - 1) / kMostRows<T>;
  const int64_t height = rows / tiles, high = rows % tiles;
  return {height, high, begin + high * (height + 1), tiles - high};
}

// Rows of the image that are a line or two.
template <typename T>
static inline bool is_small(const PlaneWindow<T>& w) {
  return w.in_w * static_cast<int64_t>(sizeof(T)) <= 128;
}

// The rows of the next tile: a tile goes along so many rows at once, a line or two of each, that
// the hardware does not foresee them. Beyond L2 1.05 to 1.2 times as fast; rows within a line lose
// 4 %.
template <typename T, int Stride, int Rows>
static inline void fetch_next_rows(const PlaneWindow<T>& w, const T* next) {
  constexpr int64_t kLineElements = 64 / static_cast<int64_t>(sizeof(T));
  if (w.in_w <= kLineElements) return;
#pragma GCC unroll 16
  for (int q = 0; q < Rows * Stride; ++q, next += w.in_w) {
    __builtin_prefetch(next);
    if (Stride == 2) __builtin_prefetch(next + kLanes<T>);
  }
}

// --- windows ------------------------------------------------------------------------------------

template <typename T, int Kernel, int Stride, int Rows, bool Inside>
static inline void window_tile(const ImageRows<T, Kernel, Stride, Rows>& image, int64_t column,
                               const Lanes<T>* lanes, const Vec<T>* weights, Vec<T>* sums) {
#pragma GCC unroll 20
  for (int q = 0; q < image.kCount; ++q) {
    const T* const row = opaque(image.rows[q]) + column;
#pragma GCC unroll 8
    for (int k = 0; k < Kernel; ++k) {
      const Vec<T> x = in_register<T>(load_tap<T, Stride, Inside>(row, k, lanes));
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) {
        const int u = q - r * Stride;
        if (u < 0 || u >= Kernel) continue;
        sums[r] = multiply_add<T>(x, weights[u * Kernel + k], sums[r]);
      }
    }
  }
}

// One output plane, or some rows of it.
template <typename T, int Kernel, int Stride>
struct WindowPlane {
  const PlaneWindow<T>& window;
  TileLanes<T, Kernel, Stride> first, last;  // of the first and the last tile of a row
  const T* image;
  const T* weight;
  T* y;
  const T* end;  // of what may be written
  Epilogue<T> epilogue;
};

// `tiles` tiles of `Rows` rows, from `row` on.
template <typename T, int Kernel, int Stride, int Rows>
[[gnu::noinline]] static void window_rows(const WindowPlane<T, Kernel, Stride>& plane, int64_t row,
                                          int64_t tiles) {
  const PlaneWindow<T>& w = plane.window;
  Vec<T> weights[Kernel * Kernel];
#pragma GCC unroll 32
  for (int t = 0; t < Kernel * Kernel; ++t) {
    weights[t] = broadcast<T>(plane.weight[t * w.weight_step]);
  }
  const int64_t out_w = w.out_w, last = out_w - kLanes<T>;
  for (; tiles > 0; --tiles, row += Rows) {
    const ImageRows<T, Kernel, Stride, Rows> image(w, plane.image, row);
    T* const y = plane.y + row * out_w;
    for (int64_t i = 0;; i = i + kLanes<T> < last ? i + kLanes<T> : last) {
      const int64_t column = i * Stride - w.pad_left;
      Vec<T> sums[Rows] = {};
      if (is_inside<T, Kernel, Stride>(column, w.in_w)) {
        window_tile<T, Kernel, Stride, Rows, true>(image, column, nullptr, weights, sums);
      } else {
        const TileLanes<T, Kernel, Stride> lanes =
            i == 0      ? plane.first
            : i == last ? plane.last
                        : tile_lanes<T, Kernel, Stride>(column, w.in_w, kLanes<T>);
        window_tile<T, Kernel, Stride, Rows, false>(image, column, lanes.loads, weights, sums);
      }
      fetch_next_rows<T, Stride, Rows>(w, image.next + column);
      if constexpr (Stride == 2) {
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) sums[r] = in_pair_order<T>(sums[r]);
      }
      finish_sums<T, Rows>(sums, plane.epilogue);
      store_sums<T, Rows>(sums, y + i, out_w, out_w, plane.end);
      if (i >= last) break;
    }
  }
}

// The same for tiles of any of the heights that row_tiles() takes.
template <typename T, int Kernel, int Stride, int Rows = kTallRows<T>>
static void window_tiles(const WindowPlane<T, Kernel, Stride>& plane, int64_t height, int64_t row,
                         int64_t tiles) {
  if (height == Rows) {
    window_rows<T, Kernel, Stride, Rows>(plane, row, tiles);
  } else if constexpr (Rows > 1) {
    window_tiles<T, Kernel, Stride, lower_tile<T>(Rows)>(plane, height, row, tiles);
  }
}

template <typename T, int Kernel, int Stride>
static void window_planes(const PlaneWindow<T>& w, const T* weight, T* y,
                          const Epilogue<T>& epilogue) {
  // A row of 5 x 5 windows is that much arithmetic that memory does not decide.
  const bool tall = is_small(w) || (Kernel == 5 && Stride == 1);
  const RowTiles tiles = row_tiles<T>(w.row_begin, w.row_end, tall);
  const bool whole = w.row_begin == 0 && w.row_end == w.out_h;
  const int64_t last = w.out_w > kLanes<T> ? w.out_w - kLanes<T> : 0;
  const int64_t plane_size = w.out_h * w.out_w;
  WindowPlane<T, Kernel, Stride> plane = {
      w,
      tile_lanes<T, Kernel, Stride>(-w.pad_left, w.in_w, kLanes<T>),
      tile_lanes<T, Kernel, Stride>(last * Stride - w.pad_left, w.in_w, kLanes<T>),
      w.image,
      weight,
      y,
      y + (whole ? w.channels * w.outputs * plane_size : w.row_end * w.out_w),
      epilogue};
  for (int64_t c = 0; c < w.channels; ++c, plane.image += w.in_h * w.in_w) {
    for (int64_t m = 0; m < w.outputs; ++m) {
      if (tiles.high > 0) window_tiles(plane, tiles.height + 1, w.row_begin, tiles.high);
      window_tiles(plane, tiles.height, tiles.low_begin, tiles.low);
      plane.weight += Kernel * Kernel;
      plane.y += plane_size;
      if (!whole) plane.end += plane_size;
      if (plane.epilogue.bias != nullptr) ++plane.epilogue.bias;
    }
  }
}

template <typename T>
static void plane_windows(const PlaneWindow<T>& window, const T* weight, T* y,
                          const Epilogue<T>& epilogue) {
  if (window.kernel == 3) {
    window.stride == 1 ? window_planes<T, 3, 1>(window, weight, y, epilogue)
                       : window_planes<T, 3, 2>(window, weight, y, epilogue);
  } else {
    window.stride == 1 ? window_planes<T, 5, 1>(window, weight, y, epilogue)
                       : window_planes<T, 5, 2>(window, weight, y, epilogue);
  }
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
