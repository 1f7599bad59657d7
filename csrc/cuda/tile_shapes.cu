#include <algorithm>
#include <atomic>

#include "tile_shapes.h"

namespace convolt::cuda {
namespace {

std::atomic<int> shape_for_all{-1};

int64_t tiles_of(const TileShape& tile, const ProductSize& size) {
  return size.groups * ceil_div(size.m, tile.m) * ceil_div(size.n, tile.n);
}

// As many as give each multiprocessor two tiles, of 32 steps at least: the sum of the parts is to
// cost little beside them.
Parts parts_of(const TileShape& tile, const ProductSize& size) {
  constexpr int64_t kLeast = 32 * kStep;
  int64_t count = 1;
  if (size.divisible && size.k > kLeast) {
    const int64_t tiles = std::max<int64_t>(tiles_of(tile, size), 1);
    count = std::min(ceil_div(2 * kMultiprocessors, tiles), size.k / kLeast);
    count = std::max(count, ceil_div(size.k, kLongestSum / 2));
  }
  const int64_t length = round_up(ceil_div(std::max<int64_t>(size.k, 1), count), kStep);
  return {std::max<int64_t>(ceil_div(size.k, length), 1), length};
}

TilePlan plan_with(int shape, const TileShape& tile, const ProductSize& size) {
  const Parts parts = parts_of(tile, size);
  const int64_t waves = ceil_div(tiles_of(tile, size) * parts.count, kMultiprocessors);
  const double cost =
      static_cast<double>(waves) * tile.m * tile.n * static_cast<double>(parts.length) / tile.share;
  return {shape, parts, cost};
}

}  // namespace

void set_tile_shape(int shape) { shape_for_all = shape; }

template <typename T>
TilePlan plan_tiles(const ProductSize& size) {
  const auto& shapes = TileShapes<T>::kAll;
  const int only = shape_for_all;
  if (only >= 0 && only < TileShapes<T>::kCount) return plan_with(only, shapes[only], size);
  TilePlan best = plan_with(0, shapes[0], size);
  for (int i = 1; i < TileShapes<T>::kCount; ++i) {
    const TilePlan plan = plan_with(i, shapes[i], size);
    if (plan.cost < best.cost) best = plan;
  }
  return best;
}

template TilePlan plan_tiles<float>(const ProductSize&);
template TilePlan plan_tiles<double>(const ProductSize&);

}  // namespace convolt::cuda
