// The loops of Winograd's transforms, for one size of tile (winograd_points.h) each: the tiles of
// an image, the filters, and the outputs.
#pragma once

#include "winograd_points.h"

namespace convolt {
namespace CONVOLT_ISA {

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

// The transforms of a vector of filters, `step` apart. Large, and called in two places.
template <typename T, typename Tiles>
[[gnu::noinline]] static void transform_filter(const T* filters, int64_t step, bool flipped,
                                               int64_t u_step, T* u) {
  constexpr int kSide = Tiles::kSide, kTaps = Tiles::kTaps, kAll = kTaps * kTaps;
  Vec<T> taps[kAll], last[4];
  for (int t = 0; t + 4 <= kAll; t += 4) load_quads(filters + t, step, taps + t);
  load_quads(filters + kAll - 4, step, last);
  taps[kAll - 1] = last[3];
  Vec<T> rows[kSide][kTaps];  // row i of the filters, their columns transformed
  for (int j = 0; j < kTaps; ++j) {
    Vec<T> column[kTaps], transformed[kSide];
    for (int i = 0; i < kTaps; ++i) {
      const int t = i * kTaps + j;
      column[i] = taps[flipped ? kAll - 1 - t : t];
    }
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
  constexpr int kTaps = Tiles::kTaps * Tiles::kTaps;
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
