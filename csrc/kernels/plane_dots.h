// The gradient of the weights of depthwise windows, straight over the planes (plane_windows.h): for
// each tap the dot product of dy with the shifted image.
//
//   totals[p][u][v][lane] += sum over r, i of  dy[p][r][i] * image[p / outputs][row][column]
//
// Column i counts for one lane, in an order that the width alone decides; the lanes stay apart
// until sum_dots adds them. A tile of image rows meets the rows of dy that see them: 9 sums, 4 rows
// of dy and a row of the image are 14 registers. Lanes behind the last column take no part: what
// the image holds there, NaN included, belongs to other taps.
#pragma once

#include "plane_windows.h"

namespace convolt {
namespace CONVOLT_ISA {

template <typename T, int Kernel, int Stride, int Rows, bool Inside>
static inline void dot_tile(const ImageRows<T, Kernel, Stride, Rows>& image, int64_t column,
                            const Lanes<T>* lanes, const Vec<T>* gradients, Vec<T>* sums) {
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
        sums[u * Kernel + k] = multiply_add<T>(x, gradients[r], sums[u * Kernel + k]);
      }
    }
  }
}

// What the row tiles of one plane share.
template <typename T, int Kernel, int Stride>
struct DotPlane {
  const PlaneWindow<T>& window;
  TileLanes<T, Kernel, Stride> first, last;  // of the first and the last tile of a row
  Lanes<T> last_dy;
  const T* image;
  const T* dy;
  T* totals;
};

// Rows of dy behind a tile. Where they are long and the tile is much work, the processor does not
// reach them by itself: 1.0 to 1.1 times as fast, and 4 times while memory is busy.
template <typename T>
static inline void fetch_elements(const T* next, int64_t count) {
  constexpr int64_t kLineElements = 64 / static_cast<int64_t>(sizeof(T));
  for (int64_t i = 0; i < count; i += kLineElements) __builtin_prefetch(next + i);
}

// `tiles` tiles of `Rows` rows, from `row` on.
template <typename T, int Kernel, int Stride, int Rows>
[[gnu::noinline]] static void dot_rows(const DotPlane<T, Kernel, Stride>& plane, int64_t row,
                                       int64_t tiles) {
  const PlaneWindow<T>& w = plane.window;
  const bool fetches = w.out_w * static_cast<int64_t>(sizeof(T)) > 256;
  Vec<T> sums[Kernel * Kernel];
#pragma GCC unroll 32
  for (int t = 0; t < Kernel * Kernel; ++t) sums[t] = load<T>(plane.totals + t * kLanes<T>);
  for (; tiles > 0; --tiles, row += Rows) {
    const ImageRows<T, Kernel, Stride, Rows> image(w, plane.image, row);
    if (fetches) fetch_elements(plane.dy + (row + Rows) * w.out_w, Rows * w.out_w);
    for (int64_t i = 0; i < w.out_w; i += kLanes<T>) {
      const bool is_last = i + kLanes<T> > w.out_w;
      Vec<T> gradients[Rows];
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) {
        const T* const dy = plane.dy + (row + r) * w.out_w + i;
        const Vec<T> v = is_last ? load_lanes<T>(dy, plane.last_dy) : load<T>(dy);
        gradients[r] = Stride == 1 ? v : in_pair_order<T>(v);
      }
      const int64_t column = i * Stride - w.pad_left;
      if (!is_last && is_inside<T, Kernel, Stride>(column, w.in_w)) {
        dot_tile<T, Kernel, Stride, Rows, true>(image, column, nullptr, gradients, sums);
      } else {
        const TileLanes<T, Kernel, Stride> lanes =
            i == 0    ? plane.first
            : is_last ? plane.last
                      : tile_lanes<T, Kernel, Stride>(column, w.in_w, kLanes<T>);
        dot_tile<T, Kernel, Stride, Rows, false>(image, column, lanes.loads, gradients, sums);
      }
      fetch_next_rows<T, Stride, Rows>(w, image.next + column);
    }
  }
#pragma GCC unroll 32
  for (int t = 0; t < Kernel * Kernel; ++t) store<T>(plane.totals + t * kLanes<T>, sums[t]);
}

// The same for tiles of any of the heights that row_tiles() takes.
template <typename T, int Kernel, int Stride, int Rows = kTallRows<T>>
static void dot_tiles(const DotPlane<T, Kernel, Stride>& plane, int64_t height, int64_t row,
                      int64_t tiles) {
  if (height == Rows) {
    dot_rows<T, Kernel, Stride, Rows>(plane, row, tiles);
  } else if constexpr (Rows > 1) {
    dot_tiles<T, Kernel, Stride, lower_tile<T>(Rows)>(plane, height, row, tiles);
  }
}

template <typename T, int Kernel, int Stride>
static void dot_planes(const PlaneWindow<T>& w, const T* dy, T* totals) {
  // Where sums, rows of dy and a row of the image are more than there are registers, tall tiles
  // gain up to 1.3 while a row of dy is a line at most, and lose up to 12 % when it is more.
  const bool tall = Kernel * Kernel + kTallRows<T> < kRegisters ||
                    w.out_w * static_cast<int64_t>(sizeof(T)) <= 64;
  const RowTiles tiles = row_tiles<T>(w.row_begin, w.row_end, tall);
  const int64_t rest = w.out_w % kLanes<T>;
  DotPlane<T, Kernel, Stride> plane = {
      w,
      tile_lanes<T, Kernel, Stride>(-w.pad_left, w.in_w, w.out_w),
      tile_lanes<T, Kernel, Stride>((w.out_w - rest) * Stride - w.pad_left, w.in_w, rest),
      lanes_between<T>(0, rest),
      w.image,
      dy,
      totals};
  for (int64_t c = 0; c < w.channels; ++c, plane.image += w.in_h * w.in_w) {
    for (int64_t m = 0; m < w.outputs; ++m) {
      if (tiles.high > 0) dot_tiles(plane, tiles.height + 1, w.row_begin, tiles.high);
      dot_tiles(plane, tiles.height, tiles.low_begin, tiles.low);
      plane.dy += w.out_h * w.out_w;
      plane.totals += Kernel * Kernel * kLanes<T>;
    }
  }
}

template <typename T>
static void plane_dots(const PlaneWindow<T>& window, const T* dy, T* totals) {
  if (window.kernel == 3) {
    window.stride == 1 ? dot_planes<T, 3, 1>(window, dy, totals)
                       : dot_planes<T, 3, 2>(window, dy, totals);
  } else {
    window.stride == 1 ? dot_planes<T, 5, 1>(window, dy, totals)
                       : dot_planes<T, 5, 2>(window, dy, totals);
  }
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
