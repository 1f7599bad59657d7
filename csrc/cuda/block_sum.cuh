// Sums over many elements for few results: each is cut into parts, a block for each, and the parts
// are added up after that. Parts and order follow from the number of elements alone, so that the
// bits do not depend on the grid.
#pragma once

#include "launch.cuh"

namespace convolt::cuda {

struct Parts {
  int64_t elements, count, size;

  __device__ int64_t begin(int64_t part) const { return part * size; }
  __device__ int64_t end(int64_t part) const {
    return part + 1 < count ? (part + 1) * size : elements;
  }
};

// At least 32 elements for each thread, against which the tree of a block is little, and at most
// 128 parts: two results keep the largest of today's devices at work.
inline Parts parts_of(int64_t elements) {
  constexpr int64_t kLeast = 32 * kThreads, kMost = 128;
  const int64_t size = std::max(kLeast, round_up(ceil_div(elements, kMost), kThreads));
  return {elements, std::max<int64_t>(ceil_div(elements, size), 1), size};
}

// sums[i][0] becomes the sum of sums[i], in a tree. All threads of the block call it after each has
// written its own sums[i][threadIdx.x]; the first one may read the result.
template <typename T, int kSums>
__device__ inline void add_over_block(T (&sums)[kSums][kThreads]) {
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x >= half) continue;
    for (int i = 0; i < kSums; ++i) sums[i][threadIdx.x] += sums[i][threadIdx.x + half];
  }
}

template <typename T>
__global__ void add_parts(int64_t results, int64_t parts, const T* partial, T* sums) {
  for (int64_t i = first_element(); i < results; i += all_threads()) {
    T sum = partial[i];
    for (int64_t part = 1; part < parts; ++part) sum += partial[part * results + i];
    sums[i] = sum;
  }
}

// Calls sum_parts(partial), which writes (parts, results), and adds the parts up in `sums`.
template <typename T, typename F>
void sum_in_parts(int64_t results, int64_t parts, T* sums, const F& sum_parts) {
  if (parts == 1) return sum_parts(sums);
  const Scratch<T> partial(parts * results);
  sum_parts(partial.data());
  launch("add_parts", add_parts<T>, grid_of_threads(results), results, parts, partial.data(), sums);
}

}  // namespace convolt::cuda
