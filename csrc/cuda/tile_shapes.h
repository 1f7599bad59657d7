// The tiles of the tiled product, and the model that chooses among them. It looks at the shape of a
// product only, never at the device: the same problem gives the same sums everywhere.
#pragma once

#include <algorithm>

#include "../common.h"

namespace convolt::cuda {

// The k of one step.
constexpr int kStep = 8;

// m x n elements of C, by threads with thread_m x thread_n sums each.
struct TileShape {
  int m, n, thread_m, thread_n;
  int resident;  // blocks on a multiprocessor: 65536 registers, up to 128 for a thread
  double share;  // of the peak of fused multiply-adds that is expected; see tiled_product.cuh
};

template <typename T>
struct TileShapes;

// The second is for few tiles, the third for the few channels of first layers.
template <>
struct TileShapes<float> {
  static constexpr int kCount = 3;
  static constexpr TileShape kAll[kCount] = {
      {128, 128, 8, 8, 2, 0.65}, {64, 64, 8, 4, 4, 0.5}, {32, 128, 4, 8, 4, 0.45}};
};

// A multiply-add of doubles takes two cycles or more, which hide more of the rest.
template <>
struct TileShapes<double> {
  static constexpr int kCount = 2;
  static constexpr TileShape kAll[kCount] = {{64, 64, 4, 4, 2, 0.7}, {32, 64, 4, 4, 4, 0.65}};
};

// C[m, n] = sum over k of A[m, k] B[k, n] for each group. A long k may be cut into parts, with a
// sum of its own for each, where m and n make few tiles.
struct ProductSize {
  int64_t groups, m, n, k;
  bool divisible = false;
};

struct Parts {
  int64_t count, length;  // in whole steps
};

// A tile, what it makes of a product, and the time: in multiply-adds of the multiprocessor that has
// the most to do, at full rate.
struct TilePlan {
  int shape;
  Parts parts;
  double cost;
};

// Stands for the multiprocessors of any device; today's have 40 to 170.
constexpr int64_t kMultiprocessors = 128;

inline int64_t tiles_of(const TileShape& tile, const ProductSize& size) {
  return size.groups * ceil_div(size.m, tile.m) * ceil_div(size.n, tile.n);
}

// As many as give each multiprocessor two tiles, of 32 steps at least: the sum of the parts is to
// cost little beside them.
inline Parts parts_of(const TileShape& tile, const ProductSize& size) {
  constexpr int64_t kLeast = 32 * kStep;
  int64_t count = 1;
  if (size.divisible && size.k > kLeast) {
    const int64_t tiles = std::max<int64_t>(tiles_of(tile, size), 1);
    count = std::min(ceil_div(2 * kMultiprocessors, tiles), size.k / kLeast);
  }
  const int64_t length = round_up(ceil_div(std::max<int64_t>(size.k, 1), count), kStep);
  return {std::max<int64_t>(ceil_div(size.k, length), 1), length};
}

template <typename T>
TilePlan plan_tiles(const ProductSize& size) {
  TilePlan best = {};
  for (int i = 0; i < TileShapes<T>::kCount; ++i) {
    const TileShape& tile = TileShapes<T>::kAll[i];
    const Parts parts = parts_of(tile, size);
    const int64_t waves = ceil_div(tiles_of(tile, size) * parts.count, kMultiprocessors);
    const double cost = static_cast<double>(waves) * tile.m * tile.n *
                        static_cast<double>(parts.length) / tile.share;
    if (i == 0 || cost < best.cost) best = {i, parts, cost};
  }
  return best;
}

}  // namespace convolt::cuda
