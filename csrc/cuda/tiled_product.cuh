// The tiled product: C[m, n] = sum over k of A[m, k] B[k, n], for each group and each part of k.
//
// A block computes a tile of C in steps along k. Each step multiplies a tile of A and one of B in
// shared memory, while the elements of the next are on their way from memory to registers; they go
// to a second pair of tiles, so that one barrier a step is enough. A thread keeps kRows x kColumns
// sums in registers, in vectors of 16 bytes that are spread over the tile:
//
//               kN                float, 8 x 8:   4 columns    4 columns
//           +--------+                 4 rows       [ ]          [ ]      kN / 2 apart
//    A   kM | C      |                 4 rows       [ ]          [ ]
//           +--------+                              kM / 2 apart
//             B: kK x kN
//
// The 32 threads of a warp lie 4 x 8, so that a load of a vector from shared memory takes 64
// contiguous bytes of A or 128 of B, no bank twice. Where a tile is comes from flat indices, and a
// block takes tile after tile, a grid apart: any grid gives the same sums, each in the order of k.
//
// What to expect of float, 128 x 128 on sm_90, by the machine code: a thread issues 771
// instructions a step, 512 of them multiply-adds, 32 loads from shared memory, 160 to fetch and
// store what comes next: 66 % of the peak at most; 51 and 45 % with the smaller tiles, 79 and 70 %
// for doubles, whose multiply-adds take two cycles. Shared memory gives a warp's 384 bytes for a k
// in 3 cycles, of the 16 in which the multiprocessor multiplies them. Memory, most of it the
// second-level cache, gives 8 KB a step, a byte for 32 operations: 2.1 TB/s at the 67 TFLOP/s of an
// H100.
#pragma once

#include "epilogue.cuh"
#include "tile_loaders.cuh"
#include "tile_shapes.h"

namespace convolt::cuda {

constexpr int kWarp = 32;

template <typename T, int kShape>
struct Tile {
  using Element = T;
  static constexpr TileShape kTile = TileShapes<T>::kAll[kShape];
  static constexpr int kM = kTile.m, kN = kTile.n, kK = kStep;
  static constexpr int kRows = kTile.thread_m, kColumns = kTile.thread_n;
  static constexpr int kThreadsM = kM / kRows, kThreadsN = kN / kColumns;
  static constexpr int kThreads = kThreadsM * kThreadsN;
  static constexpr int kResident = kTile.resident;
  static constexpr int kWarpM = 4, kWarpN = 8;
  static_assert(kThreadsM % kWarpM == 0 && kThreadsN % kWarpN == 0);
  static_assert(kRows % kVectorWidth<T> == 0 && kColumns % kVectorWidth<T> == 0);

  using TileA = T[kK][kM + kVectorWidth<T>];
  using TileB = T[kK][kN + kVectorWidth<T>];

  // Of this thread's first vector in a tile; the others are `kThreads* * kVector` apart.
  static __device__ int first_m() {
    const int thread = static_cast<int>(threadIdx.x), warp = thread / kWarp, lane = thread % kWarp;
    return (warp / (kThreadsN / kWarpN) * kWarpM + lane / kWarpN) * kVectorWidth<T>;
  }
  static __device__ int first_n() {
    const int thread = static_cast<int>(threadIdx.x), warp = thread / kWarp, lane = thread % kWarp;
    return (warp % (kThreadsN / kWarpN) * kWarpN + lane % kWarpN) * kVectorWidth<T>;
  }
};

// Where C is. Column n is the pixel (image, row, column) that `pixels` says; row m is a plane.
template <typename T>
struct Target {
  T* data;
  int64_t group_stride, part_stride, image_stride, plane_stride, row_stride, column_stride;
  Walk<3> pixels;   // a step is one pixel
  bool in_vectors;  // planes are whole vectors of contiguous pixels
  const T* bias;    // of the first group's first row, or null
  bool relu;

  __device__ int64_t offset(const Index<3>& pixel) const {
    return pixel[0] * image_stride + pixel[1] * row_stride + pixel[2] * column_stride;
  }
};

template <typename OperandA, typename OperandB, bool kRowsAreContiguous>
struct Product {
  using A = OperandA;
  using B = OperandB;
  static constexpr bool kAlongK = kRowsAreContiguous;  // in memory, of both operands

  A a;
  B b;
  Target<typename A::Element> c;
  std::array<int64_t, 3> k_extents;
  PointWalk walk;  // along k, from one of a thread's rows to the next
  ProductSize size;
  Parts parts;  // each with a C of its own
};

// A tile's place. Tiles that are neighbours in m share their tile of B, the larger operand as a
// rule: they come one after the other, and find it in the second-level cache.
struct TilePlace {
  int64_t m, n;  // the first of each
  int64_t part, group;
};

template <typename Tile>
__device__ inline TilePlace tile_place(int64_t tile, const ProductSize& size, int64_t parts) {
  const int64_t tiles_m = ceil_div(size.m, Tile::kM), tiles_n = ceil_div(size.n, Tile::kN);
  const int64_t rest = tile / tiles_m;
  return {tile % tiles_m * Tile::kM, rest % tiles_n * Tile::kN, rest / tiles_n % parts,
          rest / tiles_n / parts};
}

template <int kVectors, int kStride, typename T>
__device__ inline void load_fragment(const T* row, T* fragment) {
#pragma unroll
  for (int v = 0; v < kVectors; ++v) load_vector(row + v * kStride, fragment + v * kVectorWidth<T>);
}

// One step along k. nvcc contracts the product and the sum to a fused multiply-add. The loop stays
// a loop: unrolled twice it is 3 % shorter and spills, and the 16 warps that a multiprocessor holds
// hide each other's loads.
template <typename Tile, typename T>
__device__ inline void multiply_step(const typename Tile::TileA& a, const typename Tile::TileB& b,
                                     T (&sums)[Tile::kRows][Tile::kColumns]) {
#pragma unroll 1
  for (int k = 0; k < Tile::kK; ++k) {
    T rows[Tile::kRows], columns[Tile::kColumns];
    load_fragment<Tile::kRows / kVectorWidth<T>, Tile::kThreadsM * kVectorWidth<T>>(
        &a[k][Tile::first_m()], rows);
    load_fragment<Tile::kColumns / kVectorWidth<T>, Tile::kThreadsN * kVectorWidth<T>>(
        &b[k][Tile::first_n()], columns);
#pragma unroll
    for (int i = 0; i < Tile::kRows; ++i) {
#pragma unroll
      for (int j = 0; j < Tile::kColumns; ++j) sums[i][j] += rows[i] * columns[j];
    }
  }
}

// The vectors of a thread that begin at column n, in each of its rows.
template <typename Tile, typename P, typename T>
__device__ inline void store_columns(const P& product, const TilePlace& place, int64_t n, int first,
                                     const T (&sums)[Tile::kRows][Tile::kColumns]) {
  const Target<T>& c = product.c;
  const int64_t count = product.size.n - n;
  if (count <= 0) return;
  T* const data = c.data + place.group * c.group_stride + place.part * c.part_stride;
  int64_t offsets[kVectorWidth<T>];
  Index<3> pixel = c.pixels.index_of(n);
#pragma unroll
  for (int j = 0; j < kVectorWidth<T>; ++j) {
    offsets[j] = c.offset(pixel);
    c.pixels.advance(pixel);
  }
#pragma unroll
  for (int i = 0; i < Tile::kRows; ++i) {
    const int vector = i / kVectorWidth<T>, element = i % kVectorWidth<T>;
    const int64_t m =
        place.m + Tile::first_m() + vector * Tile::kThreadsM * kVectorWidth<T> + element;
    if (m >= product.size.m) continue;
    const T bias = bias_of(c.bias, place.group * product.size.m + m);
    T* const row = data + m * c.plane_stride;
    Run<T, kVectorWidth<T>> results;
#pragma unroll
    for (int j = 0; j < kVectorWidth<T>; ++j) {
      results.element[j] = finish(sums[i][first + j], bias, c.relu);
    }
    if (c.in_vectors && is_aligned(c.data)) {
      store_run(row, offsets[0], results);
    } else {
#pragma unroll
      for (int j = 0; j < kVectorWidth<T>; ++j) {
        if (j < count) row[offsets[j]] = results.element[j];
      }
    }
  }
}

// What the next step needs, on its way to registers; and on to the step behind it.
template <typename A, typename B>
__device__ inline void fetch_step(const PointWalk& walk, int left, Point& point, A& a, B& b) {
  a.fetch(left, point);
  b.fetch(left, point);
  walk.advance(point);
  a.advance(point);
  b.advance(point);
}

template <typename Tile, typename P>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kResident)
    multiply_tiles(const P product, int64_t tiles) {
  using T = typename Tile::Element;
  using Threads = FetchingThreads<Tile, P::kAlongK>;
  using LoaderA = typename LoaderOf<Tile, Threads, Tile::kM, typename P::A>::Type;
  using LoaderB = typename LoaderOf<Tile, Threads, Tile::kN, typename P::B>::Type;
  alignas(16) __shared__ typename Tile::TileA tiles_a[2];
  alignas(16) __shared__ typename Tile::TileB tiles_b[2];
  __shared__ TilePlace place;
  for (int round = 0;; ++round) {
    const int64_t tile = blockIdx.x + static_cast<int64_t>(round) * gridDim.x;
    if (tile >= tiles) break;
    __syncthreads();  // the tile before is stored
    if (threadIdx.x == 0) place = tile_place<Tile>(tile, product.size, product.parts.count);
    __syncthreads();
    const int64_t begin = place.part * product.parts.length, end = begin + product.parts.length;
    int left = static_cast<int>((end < product.size.k ? end : product.size.k) - begin);
    const Index<3> index = product.walk.walk.index_of(begin + Threads::row());
    Point point = {static_cast<int>(index[1]), static_cast<int>(index[2]), false, false};
    LoaderA a(product.a, place.group, place.m, product.size.m, index);
    LoaderB b(product.b, place.group, place.n, product.size.n, index);
    T sums[Tile::kRows][Tile::kColumns] = {};
    fetch_step(product.walk, left, point, a, b);
    for (int now = 0; left > 0; now = 1 - now) {
      a.store(tiles_a[now]);
      b.store(tiles_b[now]);
      __syncthreads();
      left -= Tile::kK;
      fetch_step(product.walk, left, point, a, b);
      multiply_step<Tile>(tiles_a[now], tiles_b[now], sums);
    }
#pragma unroll
    for (int j = 0; j < Tile::kColumns; j += kVectorWidth<T>) {
      store_columns<Tile>(
          product, place,
          place.n + Tile::first_n() + j / kVectorWidth<T> * Tile::kThreadsN * kVectorWidth<T>, j,
          sums);
    }
  }
}

// Launches a product; what depends on the tile is filled in here: `parts`, `walk`, and the steps of
// the operands.
template <int kShape = 0, typename P>
void launch_product(const TilePlan& plan, P product) {
  using T = typename P::A::Element;
  if constexpr (kShape + 1 < TileShapes<T>::kCount) {
    if (plan.shape != kShape) return launch_product<kShape + 1>(plan, product);
  }
  using TileT = Tile<T, kShape>;
  product.parts = plan.parts;
  using Threads = FetchingThreads<TileT, P::kAlongK>;
  product.walk = make_point_walk(product.k_extents, Threads::kRows);
  product.a.set_steps(product.walk, Threads::kColumns);
  product.b.set_steps(product.walk, Threads::kColumns);
  const int64_t tiles = product.size.groups * ceil_div(product.size.m, TileT::kM) *
                        ceil_div(product.size.n, TileT::kN) * plan.parts.count;
  launch("multiply_tiles", multiply_tiles<TileT, P>, grid_of_blocks(tiles, TileT::kThreads),
         product, tiles);
}

}  // namespace convolt::cuda
