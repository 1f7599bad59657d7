// The transforms of Winograd's convolution: a tile of outputs m x m, of r x r taps, from n x n
// products, n = m + r - 1. csrc/winograd.h has the method.
//
// The lanes of a vector are tiles side by side; a one-dimensional transform acts on the rows of
// their matrices and then on the columns. Of n - 1 finite points a, whose M(x) is the product of
// (x - a), and of the point at infinity the matrices are
//
//   B^T, of the input    row a: the coefficients of M(x) / (x - a);       infinity: those of M(x)
//   G,   of the filter   row a: (1, a, a^2, ..) / M'(a), of r numbers;    infinity: (0, .., 0, 1)
//   A^T, of the output   row k < m: a^k for every a, and in the last row 1 for infinity
//
// B^T depends on the points alone: one set of them serves every m and r of the same sum. In a
// Tiles, kTile pixels lie between two tiles, which have kInput pixels a side, are known at kSide
// points, and give kOutput results a side.
#pragma once

#include "../kernel_table.h"
#include "simd_lanes.h"

namespace convolt {
namespace CONVOLT_ISA {

// Points 0, 1, -1, infinity; M(x) = x^3 - x. Of point 0, where M'(0) = -1, input and filter both
// have the sign turned.
template <typename T>
struct FourPoints {
  static constexpr int kSide = 4;

  static void input(const Vec<T>* d, Vec<T>* v) {
    v[0] = d[0] - d[2];
    v[1] = d[1] + d[2];
    v[2] = d[2] - d[1];
    v[3] = d[3] - d[1];
  }
  static void filter(const Vec<T>* g, Vec<T>* u) {
    const Vec<T> even = (g[0] + g[2]) * T(0.5), odd = g[1] * T(0.5);
    u[0] = g[0];
    u[1] = even + odd;
    u[2] = even - odd;
    u[3] = g[2];
  }
  static void output(const Vec<T>* m, Vec<T>* y) {
    y[0] = m[0] + m[1] + m[2];
    y[1] = m[1] - m[2] + m[3];
  }
};

// Points 0, sqrt(2), -sqrt(2), sqrt(1/2), -sqrt(1/2), infinity; M(x) = x^5 - 5/2 x^3 + x. Their
// powers and the sums of these are small, and they come in pairs a, -a that share their even and
// their odd parts: the rounding error is half of that with the points 0, 1, -1, 2, -2.
template <typename T>
struct SixPoints {
  static constexpr int kSide = 6;
  static constexpr double kRootOfTwo = 1.41421356237309504880;
  static constexpr T kRoot = T(kRootOfTwo), kHalfRoot = T(kRootOfTwo / 2);

  static void input(const Vec<T>* d, Vec<T>* v) {
    const Vec<T> outer_even = multiply_add<T>(broadcast<T>(T(-0.5)), d[2], d[4]);
    const Vec<T> outer_odd = multiply_add<T>(broadcast<T>(-kHalfRoot), d[1], d[3] * kRoot);
    const Vec<T> inner_even = multiply_add<T>(broadcast<T>(T(-2)), d[2], d[4]);
    const Vec<T> inner_odd = multiply_add<T>(broadcast<T>(-kRoot), d[1], d[3] * kHalfRoot);
    v[0] = multiply_add<T>(broadcast<T>(T(-2.5)), d[2], d[0]) + d[4];
    store_pairs(outer_even, outer_odd, inner_even, inner_odd, v);
    v[5] = multiply_add<T>(broadcast<T>(T(-2.5)), d[3], d[1]) + d[5];
  }
  // M'(+-sqrt(2)) = 6, M'(+-sqrt(1/2)) = -3/2
  template <int kTaps>
  static void filter_of(const Vec<T>* g, Vec<T>* u) {
    constexpr T kSixth = T(1. / 6), kThird = T(1. / 3), kTwoThirds = T(2. / 3);
    constexpr T kRootSixth = T(kRootOfTwo / 6), kRootThird = T(kRootOfTwo / 3);
    Vec<T> outer_even = g[0] * kSixth, outer_odd = g[1] * kRootSixth;
    Vec<T> inner_even = g[0] * -kTwoThirds, inner_odd = g[1] * -kRootThird;
    if constexpr (kTaps > 2) {
      outer_even = multiply_add<T>(broadcast<T>(kThird), g[2], outer_even);
      inner_even = multiply_add<T>(broadcast<T>(-kThird), g[2], inner_even);
    }
    if constexpr (kTaps > 3) {
      outer_odd = multiply_add<T>(broadcast<T>(kRootThird), g[3], outer_odd);
      inner_odd = multiply_add<T>(broadcast<T>(-kRootSixth), g[3], inner_odd);
    }
    if constexpr (kTaps > 4) {
      outer_even = multiply_add<T>(broadcast<T>(kTwoThirds), g[4], outer_even);
      inner_even = multiply_add<T>(broadcast<T>(-kSixth), g[4], inner_even);
    }
    u[0] = g[0];
    store_pairs(outer_even, outer_odd, inner_even, inner_odd, u);
    u[5] = g[kTaps - 1];
  }
  template <int kOutputs>
  static void output_of(const Vec<T>* m, Vec<T>* y) {
    constexpr T kOuter[] = {1, kRoot, 2, 2 * kRoot, 4};  // the powers of the points
    constexpr T kInner[] = {1, kHalfRoot, T(0.5), kHalfRoot / 2, T(0.25)};
    const Vec<T> outer[] = {m[1] + m[2], m[1] - m[2]};
    const Vec<T> inner[] = {m[3] + m[4], m[3] - m[4]};
    y[0] = m[0] + (outer[0] + inner[0]);
    for (int k = 1; k < kOutputs; ++k) {
      const Vec<T> factor = broadcast<T>(kOuter[k]), part = outer[k % 2];
      const bool last = k == kOutputs - 1;
      y[k] = last ? multiply_add<T>(factor, part, m[5]) : part * factor;
      y[k] = multiply_add<T>(broadcast<T>(kInner[k]), inner[k % 2], y[k]);
    }
  }

 private:
  static void store_pairs(const Vec<T>& outer_even, const Vec<T>& outer_odd,
                          const Vec<T>& inner_even, const Vec<T>& inner_odd, Vec<T>* values) {
    values[1] = outer_even + outer_odd;
    values[2] = outer_even - outer_odd;
    values[3] = inner_even + inner_odd;
    values[4] = inner_even - inner_odd;
  }
};

// Where a vector of tiles begins in a row of an image. Pixel j is inside of it for begin <= j <
// end; the others are 0.
template <typename T>
struct TileRow {
  const T* pixels;
  int64_t begin, end;

  bool has_all(int64_t count) const { return begin <= 0 && end >= count; }
  Vec<T> load_inside(int64_t j) const {
    return load_lanes<T>(pixels + j, lanes_between<T>(begin - j, end - j));
  }
};

// Two pixels between tiles: d[j][lane] = pixel 2 * lane + j for the kInput pixels of a tile.
template <typename T, int kColumns>
struct PairsOfPixels {
  static constexpr int kTile = 2, kInput = kColumns;

  static void load_columns(const TileRow<T>& row, Vec<T>* d) {
    const bool all = row.has_all(2 * kLanes<T> + kColumns - 2);
    for (int j = 0; j < kColumns; j += 2) {
      const T* const p = row.pixels + j;
      const Vec<T> low = all ? load<T>(p) : row.load_inside(j);
      const Vec<T> high = all ? load<T>(p + kLanes<T>) : row.load_inside(j + kLanes<T>);
      d[j] = in_pair_order<T>(even_places(low, high));
      d[j + 1] = in_pair_order<T>(odd_places(low, high));
    }
  }
  // The inverse, of two.
  static void interleave(const Vec<T>* y, Vec<T>* row) {
    row[0] = first_interleaved(y[0], y[1]);
    row[1] = last_interleaved(y[0], y[1]);
  }
};

// Four: d[j][lane] = pixel 4 * lane + j.
template <typename T, int kColumns>
struct QuadsOfPixels {
  static constexpr int kTile = 4, kInput = kColumns;

  static void load_columns(const TileRow<T>& row, Vec<T>* d) {
    constexpr int kQuads = (kColumns + 3) / 4, kRead = 4 * kLanes<T> + 4 * (kQuads - 1);
    T copy[(kRead + kLanes<T> - 1) / kLanes<T> * kLanes<T>];
    const T* p = row.pixels;
    if (!row.has_all(kRead)) {
      for (int64_t j = 0; j < kRead; j += kLanes<T>) store<T>(copy + j, row.load_inside(j));
      p = copy;
    }
    Vec<T> quads[4 * kQuads];
    for (int j = 0; j < 4 * kQuads; j += 4) load_quads(p + j, 4, quads + j);
    for (int j = 0; j < kColumns; ++j) d[j] = quads[j];
  }
  static void interleave(const Vec<T>* y, Vec<T>* row) {
    const Vec<T> even[2] = {first_interleaved(y[0], y[2]), last_interleaved(y[0], y[2])};
    const Vec<T> odd[2] = {first_interleaved(y[1], y[3]), last_interleaved(y[1], y[3])};
    for (int half = 0; half < 2; ++half) {
      row[2 * half] = first_interleaved(even[half], odd[half]);
      row[2 * half + 1] = last_interleaved(even[half], odd[half]);
    }
  }
};

template <typename T>
struct Tiles2x2 : FourPoints<T>, PairsOfPixels<T, 4> {
  static constexpr int kTaps = 3, kOutput = 2;
};

// Six points with all that is not the input's: of kTaps taps, and kOutput outputs.
template <typename T, int kTapsOfFilter, int kOutputs>
struct SixPointTiles : SixPoints<T> {
  static constexpr int kTaps = kTapsOfFilter, kOutput = kOutputs;

  static void filter(const Vec<T>* g, Vec<T>* u) { SixPoints<T>::template filter_of<kTaps>(g, u); }
  static void output(const Vec<T>* m, Vec<T>* y) {
    SixPoints<T>::template output_of<kOutput>(m, y);
  }
};

template <typename T>
struct Tiles4x4 : SixPointTiles<T, 3, 4>, QuadsOfPixels<T, 6> {};
template <typename T>
struct Tiles2x2Of5x5 : SixPointTiles<T, 5, 2>, PairsOfPixels<T, 6> {};

}  // namespace CONVOLT_ISA
}  // namespace convolt
