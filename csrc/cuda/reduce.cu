// Sums and maxima along an axis. A block has some outputs, in columns of threads, and a piece of
// the axis, over which the threads of a column take turns; pieces that are left over are reduced in
// their turn. The order of a sum depends on the extents alone.
//
// Memory-bound: partial results are at most 1/128 of what is read.
#include <cassert>
#include <limits>

#include "block_reduce.cuh"
#include "elementwise.h"
#include "operations.cuh"

namespace convolt::cuda {
namespace {

template <typename T>
struct Maximum : Extremum<false> {
  static constexpr T kIdentity = -std::numeric_limits<T>::infinity();
};

struct Reduction {
  int64_t outputs;  // outer * inner
  int64_t count, inner;
  unsigned columns;  // of threads, as many outputs in a block
  int64_t piece, pieces;
};

constexpr int64_t kColumnsOfWarp = 32;

// Neighbouring threads have neighbouring outputs, a warp of them at most, so that they read
// neighbouring elements: where the axis is the last one they share an output instead, and only what
// a short axis leaves idle goes to other outputs.
Reduction reduction(int64_t outer, int64_t count, int64_t inner) {
  int64_t columns = 1;
  while (columns < std::min(inner, kColumnsOfWarp)) columns *= 2;
  while (columns < kThreads && kThreads / (2 * columns) >= count) columns *= 2;
  const int64_t piece = kChain * (kThreads / columns);
  const int64_t pieces = std::max<int64_t>(ceil_div(count, piece), 1);
  return {outer * inner, count, inner, static_cast<unsigned>(columns), piece, pieces};
}

// y is (outer, pieces, inner).
template <typename T, typename Combine>
__global__ void __launch_bounds__(kThreads)
    reduce_kernel(Reduction r, int64_t tasks, const T* __restrict__ x, T* __restrict__ y) {
  __shared__ T shared[kThreads];
  const Combine combine;
  const unsigned column = threadIdx.x % r.columns, row = threadIdx.x / r.columns;
  const unsigned rows = kThreads / r.columns;
  for (int64_t task = blockIdx.x; task < tasks; task += gridDim.x) {
    const int64_t tile = task / r.pieces, piece = task % r.pieces;
    const int64_t output = tile * r.columns + column;
    const int64_t outer = output / r.inner, inner = output % r.inner;
    const int64_t begin = piece * r.piece;
    const int64_t end = begin + r.piece < r.count ? begin + r.piece : r.count;
    T value = Combine::kIdentity;
    if (output < r.outputs) {
#pragma unroll 4
      for (int64_t i = begin + row; i < end; i += rows) {
        value = combine(value, x[(outer * r.count + i) * r.inner + inner]);
      }
    }
    value = reduce_columns(value, r.columns, combine, shared);
    if (row == 0 && output < r.outputs) y[(outer * r.pieces + piece) * r.inner + inner] = value;
  }
}

template <typename T, typename Combine>
void reduce(const char* name, int64_t outer, int64_t count, int64_t inner, const T* x, T* y) {
  const Reduction r = reduction(outer, count, inner);
  const int64_t tasks = ceil_div(r.outputs, r.columns) * r.pieces;
  if (r.pieces == 1) {
    launch(name, reduce_kernel<T, Combine>, grid_of_blocks(tasks), r, tasks, x, y);
    return;
  }
  const Scratch<T> partial(r.outputs * r.pieces);
  launch(name, reduce_kernel<T, Combine>, grid_of_blocks(tasks), r, tasks, x, partial.data());
  reduce<T, Combine>(name, outer, r.pieces, inner, partial.data(), y);
}

}  // namespace

template <typename T>
void sum(int64_t outer, int64_t count, int64_t inner, const T* x, T* y) {
  reduce<T, Sum<T>>("sum", outer, count, inner, x, y);
}

template <typename T>
void maximum(int64_t outer, int64_t count, int64_t inner, const T* x, T* y) {
  assert(count > 0 || outer * inner == 0);
  reduce<T, Maximum<T>>("maximum", outer, count, inner, x, y);
}

template void sum(int64_t, int64_t, int64_t, const float*, float*);
template void sum(int64_t, int64_t, int64_t, const double*, double*);
template void maximum(int64_t, int64_t, int64_t, const float*, float*);
template void maximum(int64_t, int64_t, int64_t, const double*, double*);

}  // namespace convolt::cuda
