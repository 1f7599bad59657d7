// One result from the values of all threads of a block, combined by a tree in shared memory: the
// order depends on nothing but kThreads, so that sums have the same bits on every device.
#pragma once

#include "launch.cuh"

namespace convolt::cuda {

// How many elements a thread combines by itself before the tree: so many are in flight while it
// waits, and rounding errors grow with their number. More would leave multiprocessors without a
// block where a reduction is of ordinary size.
constexpr int64_t kChain = 16;

// The threads are rows of `columns` threads, a power of two, and each gets what its column
// combines to. All kThreads threads of the block call it; `shared` has room for a value of each,
// and may be used again by the next call.
template <typename T, typename Combine>
__device__ T reduce_columns(T value, unsigned columns, const Combine& combine, T* shared) {
  const unsigned thread = threadIdx.x;
  shared[thread] = value;
  __syncthreads();
  for (unsigned half = kThreads / 2; half >= columns; half /= 2) {
    if (thread < half) shared[thread] = combine(shared[thread], shared[thread + half]);
    __syncthreads();
  }
  const T result = shared[thread % columns];
  __syncthreads();
  return result;
}

template <typename T>
struct Sum {
  static constexpr T kIdentity = 0;
  __device__ T operator()(T a, T b) const { return a + b; }
};

// The sum over the block, for each of its threads.
template <typename T>
__device__ T block_sum(T value, T* shared) {
  return reduce_columns(value, 1, Sum<T>{}, shared);
}

}  // namespace convolt::cuda
