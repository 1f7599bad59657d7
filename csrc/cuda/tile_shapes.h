// The tiles of the tiled product, and the model that chooses among them. It looks at the shape of a
// product only, never at the device: the same problem gives the same sums everywhere.
#pragma once

#include "../common.h"

namespace convolt::cuda {

// The k of one step.
constexpr int kStep = 8;

// m x n elements of C, by threads with thread_m x thread_n sums each.
struct TileShape {
  int m, n, thread_m, thread_n;
  int resident;  // blocks on a multiprocessor: 65536 registers, up to 128 for a thread
  double share;  // of the peak of multiply-adds at most; see tiled_product.cuh
};

template <typename T>
struct TileShapes;

// The second is for few tiles, the third for the few channels of first layers.
template <>
struct TileShapes<float> {
  static constexpr int kCount = 3;
  static constexpr TileShape kAll[kCount] = {
      {128, 128, 8, 8, 2, 0.66}, {64, 64, 8, 4, 4, 0.51}, {32, 128, 4, 8, 4, 0.45}};
};
template <>
struct TileShapes<double> {
  static constexpr int kCount = 2;
  static constexpr TileShape kAll[kCount] = {{64, 64, 4, 4, 2, 0.79}, {32, 64, 4, 4, 4, 0.7}};
};

// Stands for the multiprocessors of any device; today's have 40 to 170.
constexpr int64_t kMultiprocessors = 128;

// A tile counts along k in 32 bits.
constexpr int64_t kLongestSum = int64_t{1} << 30;

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

// For tests: the tile that all products take, if T has so many, or -1, as at first, for the best.
void set_tile_shape(int shape);

template <typename T>
TilePlan plan_tiles(const ProductSize& size);

}  // namespace convolt::cuda
