// The transforms of Winograd's convolution F(m x m, 3 x 3), m = 2 or 4: a tile of m x m outputs
// from (m + 2) x (m + 2) inputs, by as many products instead of 9 m^2. csrc/winograd.h has the
// method.
//
// The lanes of a vector are tiles side by side; a one-dimensional transform acts on the rows of
// their matrices and then on the columns. kTile pixels lie between two tiles, which have kInput
// pixels a side, are known at kSide points, and give kOutput results a side. With m(x) the product
// of (x - a) over the finite points a, the matrices are
//
//   B^T, of the input    row a: the coefficients of m(x) / (x - a);     infinity: those of m(x)
//   G,   of the filter   row a: (1, a, a^2) / m'(a);                    infinity: (0, 0, 1)
//   A^T, of the output   row k: a^k for every a, and in the last row 1 for infinity
#pragma once

#include "../kernel_table.h"
#include "simd_lanes.h"

namespace convolt {
namespace CONVOLT_ISA {

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
  // The first pixels, where they lie or else in `copy`, of whole vectors.
  template <int kCount>
  const T* first(T* copy) const {
    if (has_all(kCount)) return pixels;
    for (int64_t j = 0; j < kCount; j += kLanes<T>) store<T>(copy + j, load_inside(j));
    return copy;
  }
};

template <typename T>
constexpr int round_up_to_lanes(int count) {
  return (count + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
}

// Points 0, 1, -1, infinity; m(x) = x^3 - x. Of point 0, where m'(0) = -1, input and filter both
// have the sign turned.
template <typename T>
struct Tiles2x2 {
  static constexpr int kTile = 2, kInput = 4, kSide = 4, kOutput = 2;

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
  // d[j][lane] = pixel 2 * lane + j
  static void load_columns(const TileRow<T>& row, Vec<T>* d) {
    const bool all = row.has_all(2 * kLanes<T> + 2);
    for (int j = 0; j < 4; j += 2) {
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

// Points 0, sqrt(2), -sqrt(2), sqrt(1/2), -sqrt(1/2), infinity; m(x) = x^5 - 5/2 x^3 + x. Their
// powers and the sums of these are small, and they come in pairs a, -a that share their even and
// their odd parts: the rounding error is half of that with the points 0, 1, -1, 2, -2.
template <typename T>
struct Tiles4x4 {
  static constexpr int kTile = 4, kInput = 6, kSide = 6, kOutput = 4;
  static constexpr double kRootOfTwo = 1.41421356237309504880;
  static constexpr T kRoot = T(kRootOfTwo), kHalfRoot = T(kRootOfTwo / 2);

  static void input(const Vec<T>* d, Vec<T>* v) {
    const Vec<T> outer_even = multiply_add<T>(broadcast<T>(T(-0.5)), d[2], d[4]);
    const Vec<T> outer_odd = multiply_add<T>(broadcast<T>(-kHalfRoot), d[1], d[3] * kRoot);
    const Vec<T> inner_even = multiply_add<T>(broadcast<T>(T(-2)), d[2], d[4]);
    const Vec<T> inner_odd = multiply_add<T>(broadcast<T>(-kRoot), d[1], d[3] * kHalfRoot);
    v[0] = multiply_add<T>(broadcast<T>(T(-2.5)), d[2], d[0]) + d[4];
    v[1] = outer_even + outer_odd;
    v[2] = outer_even - outer_odd;
    v[3] = inner_even + inner_odd;
    v[4] = inner_even - inner_odd;
    v[5] = multiply_add<T>(broadcast<T>(T(-2.5)), d[3], d[1]) + d[5];
  }
  // m'(+-sqrt(2)) = 6, m'(+-sqrt(1/2)) = -3/2
  static void filter(const Vec<T>* g, Vec<T>* u) {
    constexpr T kThird = T(1. / 3), kTwoThirds = T(2. / 3), kSixth = T(1. / 6);
    const Vec<T> outer_even = multiply_add<T>(broadcast<T>(kThird), g[2], g[0] * kSixth);
    const Vec<T> outer_odd = g[1] * T(kRootOfTwo / 6);
    const Vec<T> inner_even = multiply_add<T>(broadcast<T>(-kThird), g[2], g[0] * -kTwoThirds);
    const Vec<T> inner_odd = g[1] * T(-kRootOfTwo / 3);
    u[0] = g[0];
    u[1] = outer_even + outer_odd;
    u[2] = outer_even - outer_odd;
    u[3] = inner_even + inner_odd;
    u[4] = inner_even - inner_odd;
    u[5] = g[2];
  }
  static void output(const Vec<T>* m, Vec<T>* y) {
    const Vec<T> outer_even = m[1] + m[2], outer_odd = m[1] - m[2];
    const Vec<T> inner_even = m[3] + m[4], inner_odd = m[3] - m[4];
    y[0] = m[0] + (outer_even + inner_even);
    y[1] = multiply_add<T>(broadcast<T>(kHalfRoot), inner_odd, outer_odd * kRoot);
    y[2] = multiply_add<T>(broadcast<T>(T(0.5)), inner_even, outer_even + outer_even);
    y[3] = multiply_add<T>(broadcast<T>(kHalfRoot / 2), inner_odd,
                           multiply_add<T>(broadcast<T>(2 * kRoot), outer_odd, m[5]));
  }
  // d[j][lane] = pixel 4 * lane + j
  static void load_columns(const TileRow<T>& row, Vec<T>* d) {
    constexpr int kRead = 4 * kLanes<T> + 4;
    T copy[round_up_to_lanes<T>(kRead)];
    const T* const p = row.template first<kRead>(copy);
    Vec<T> next[4];
    load_quads(p, 4, d);
    load_quads(p + 4, 4, next);
    d[4] = next[0];
    d[5] = next[1];
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

// The matrices of a vector of tiles that begin at (y, x) of a plane, `count` of which are stored.
template <typename T, typename Tiles>
static inline void transform_input(const WinogradPlanes<const T>& planes, const T* plane, int64_t y,
                                   int64_t x, int64_t count, int64_t v_step, T* v) {
  constexpr int kInput = Tiles::kInput, kSide = Tiles::kSide;
  Vec<T> columns[kSide][kInput];  // column j of the tiles, their rows transformed
  for (int i = 0; i < kInput; ++i) {
    Vec<T> pixels[kInput] = {}, transformed[kSide];
    if (y + i >= 0 && y + i < planes.h) {
      Tiles::load_columns({plane + (y + i) * planes.w + x, -x, planes.w - x}, pixels);
    }
    Tiles::input(pixels, transformed);
    for (int j = 0; j < kSide; ++j) columns[j][i] = transformed[j];
  }
  for (int j = 0; j < kSide; ++j) {
    Vec<T> transformed[kSide];
    Tiles::input(columns[j], transformed);
    for (int i = 0; i < kSide; ++i) {
      T* const to = v + (i * kSide + j) * v_step;
      if (count >= kLanes<T>) {
        store<T>(to, transformed[i]);
      } else {
        store_first<T>(to, transformed[i], count);
      }
    }
  }
}

// What a vector writes beyond its run, the next run writes again. The last run goes on to the end
// of the columns: what is multiplied there must not be denormal by chance, which is slow.
template <typename T, typename Tiles>
static void winograd_input(const WinogradPlanes<const T>& planes, const WinogradRuns& runs,
                           int64_t columns, const WinogradMatrices<T>& v) {
  const WinogradRun* const last = runs.data + runs.count - 1;
  for (int64_t c = 0; c < planes.channels; ++c) {
    for (const WinogradRun* run = runs.data; run <= last; ++run) {
      const T* const plane = planes.data + run->offset + c * planes.h * planes.w;
      const int64_t end = run == last ? columns : run->column + run->tiles;
      for (int64_t column = run->column; column < end; column += kLanes<T>) {
        const int64_t x = run->x + (column - run->column) * Tiles::kTile;
        transform_input<T, Tiles>(planes, plane, run->y, x, columns - column, v.step,
                                  v.data + c * v.pitch + column);
      }
    }
  }
}

// The transforms of a vector of filters, `step` apart.
template <typename T, typename Tiles>
static inline void transform_filter(const T* filters, int64_t step, bool flipped, int64_t u_step,
                                    T* u) {
  constexpr int kSide = Tiles::kSide, kTaps = 9;
  Vec<T> taps[kTaps], last[4];
  load_quads(filters, step, taps);
  load_quads(filters + 4, step, taps + 4);
  load_quads(filters + 5, step, last);
  taps[8] = last[3];
  Vec<T> rows[kSide][3];  // row i of the filters, their columns transformed
  for (int j = 0; j < 3; ++j) {
    const Vec<T> column[3] = {flipped ? taps[8 - j] : taps[j], flipped ? taps[5 - j] : taps[3 + j],
                              flipped ? taps[2 - j] : taps[6 + j]};
    Vec<T> transformed[kSide];
    Tiles::filter(column, transformed);
    for (int i = 0; i < kSide; ++i) rows[i][j] = transformed[i];
  }
  for (int i = 0; i < kSide; ++i) {
    Vec<T> transformed[kSide];
    Tiles::filter(rows[i], transformed);
    for (int j = 0; j < kSide; ++j) store<T>(u + (i * kSide + j) * u_step, transformed[j]);
  }
}

// Where fewer filters are left than a vector has lanes.
template <typename T, typename Tiles>
static void transform_last_filters(const T* filters, int64_t step, int64_t count, bool flipped,
                                   int64_t u_step, T* u) {
  constexpr int kTaps = 9;
  T copies[kLanes<T> * kTaps] = {};
  for (int64_t c = 0; c < count; ++c) {
    for (int t = 0; t < kTaps; ++t) copies[c * kTaps + t] = filters[c * step + t];
  }
  transform_filter<T, Tiles>(copies, kTaps, flipped, u_step, u);
}

// The channels [begin, end) of a row, as far as there are any.
template <typename T, typename Tiles>
static inline void transform_filters(const WinogradFilters<T>& filters, int64_t row, int64_t begin,
                                     int64_t end, const WinogradMatrices<T>& u) {
  const int64_t step = filters.channel_step;
  for (int64_t c = begin; c < end && c < filters.channels; c += kLanes<T>) {
    const T* const from = filters.data + row * filters.row_step + c * step;
    T* const to = u.data + row * u.pitch + c;
    const int64_t left = filters.channels - c;
    for (int lane = 0; lane < kLanes<T>; ++lane) {
      __builtin_prefetch(from + (end - begin + lane) * step, 0, 2);
    }
    if (left >= kLanes<T>) {
      transform_filter<T, Tiles>(from, step, filters.flipped, u.step, to);
    } else {
      transform_last_filters<T, Tiles>(from, step, left, filters.flipped, u.step, to);
    }
  }
}

// u[element * step + row * pitch + channel], up to a vector of channels more. Rows that lie closer
// than channels share the cache lines they are read from: some of them are done together, a line of
// channels at a time.
template <typename T, typename Tiles>
static void winograd_filter(const WinogradFilters<T>& filters, const WinogradMatrices<T>& u) {
  const bool close = filters.row_step < filters.channel_step;
  const int64_t row_block = close ? 4 : 1;
  const int64_t channel_block = close ? 64 / static_cast<int64_t>(sizeof(T)) : filters.channels;
  for (int64_t row = 0; row < filters.rows; row += row_block) {
    for (int64_t channel = 0; channel < filters.channels; channel += channel_block) {
      for (int64_t r = row; r < row + row_block && r < filters.rows; ++r) {
        transform_filters<T, Tiles>(filters, r, channel, channel + channel_block, u);
      }
    }
  }
}

// The first `count` pixels of whole vectors.
template <typename T, int Vectors>
static inline void store_pixels(const Vec<T>* pixels, int64_t count, T* y) {
  for (int v = 0; v < Vectors; ++v, y += kLanes<T>, count -= kLanes<T>) {
    if (count >= kLanes<T>) {
      store<T>(y, pixels[v]);
    } else if (count > 0) {
      store_first<T>(y, pixels[v], count);
    }
  }
}

// The outputs of a vector of tiles, pixels[row][column], from their products m[element * step].
template <typename T, typename Tiles>
static inline void transform_output(const T* m, int64_t step,
                                    Vec<T> (&pixels)[Tiles::kOutput][Tiles::kOutput]) {
  constexpr int kSide = Tiles::kSide, kOutput = Tiles::kOutput;
  Vec<T> columns[kOutput][kSide];  // column j of the tiles, their rows transformed
  for (int i = 0; i < kSide; ++i) {
    Vec<T> products[kSide], transformed[kOutput];
    for (int j = 0; j < kSide; ++j) products[j] = load<T>(m + (i * kSide + j) * step);
    Tiles::output(products, transformed);
    for (int j = 0; j < kOutput; ++j) columns[j][i] = transformed[j];
  }
  for (int j = 0; j < kOutput; ++j) {
    Vec<T> transformed[kOutput];
    Tiles::output(columns[j], transformed);
    for (int i = 0; i < kOutput; ++i) pixels[i][j] = transformed[i];
  }
}

template <typename T, typename Tiles>
static void winograd_output(const WinogradMatrices<const T>& m, const WinogradRuns& runs,
                            const T* bias, bool relu, const WinogradPlanes<T>& planes) {
  constexpr int kTile = Tiles::kTile;
  for (int64_t c = 0; c < planes.channels; ++c) {
    const Vec<T> shift = broadcast<T>(bias == nullptr ? T{0} : bias[c]);
    for (const WinogradRun* run = runs.data; run != runs.data + runs.count; ++run) {
      const int64_t rows = planes.h - run->y < kTile ? planes.h - run->y : kTile;
      for (int64_t tile = 0; tile < run->tiles; tile += kLanes<T>) {
        Vec<T> pixels[kTile][kTile];
        transform_output<T, Tiles>(m.data + c * m.pitch + run->column + tile, m.step, pixels);
        const int64_t x = run->x + tile * kTile;
        const int64_t wanted = (run->tiles - tile) * kTile;
        const int64_t count = planes.w - x < wanted ? planes.w - x : wanted;
        T* to = planes.data + run->offset + (c * planes.h + run->y) * planes.w + x;
        for (int64_t i = 0; i < rows; ++i, to += planes.w) {
          Vec<T> finished[kTile], row[kTile];
          for (int j = 0; j < kTile; ++j) {
            const Vec<T> sum = bias == nullptr ? pixels[i][j] : pixels[i][j] + shift;
            finished[j] = relu ? (sum < Vec<T>{} ? Vec<T>{} : sum) : sum;  // keeps a NaN
          }
          Tiles::interleave(finished, row);
          store_pixels<T, kTile>(row, count, to);
        }
      }
    }
  }
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
