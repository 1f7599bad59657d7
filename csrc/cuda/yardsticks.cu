#include <cmath>

#include "launch.cuh"
#include "yardsticks.h"

namespace convolt::cuda {
namespace {

// A multiply-add takes 4 cycles, and 8 blocks of 256 threads are 16 warps for each of a
// multiprocessor's four schedulers: 8 chains in each thread leave nothing to wait for.
constexpr int kChains = 8;
constexpr int kBlocksPerMultiprocessor = 8;

template <typename T>
__global__ void fma_chains_kernel(int64_t iterations, T* sums) {
  T chains[kChains];
#pragma unroll
  for (int c = 0; c < kChains; ++c) chains[c] = static_cast<T>(threadIdx.x + c);
  for (int64_t i = 0; i < iterations; ++i) {
#pragma unroll
    for (int c = 0; c < kChains; ++c) chains[c] = fma(chains[c], T(0.5), T(1));
  }
  T sum = 0;
#pragma unroll
  for (int c = 0; c < kChains; ++c) sum += chains[c];
  sums[first_element()] = sum;
}

}  // namespace

template <typename T>
double fma_chains(int64_t iterations) {
  const int blocks = device_properties(current_device()).multiprocessors * kBlocksPerMultiprocessor;
  const Scratch<T> sums(int64_t{blocks} * kThreads);
  launch("fma_chains_kernel", fma_chains_kernel<T>, Grid{static_cast<unsigned>(blocks)}, iterations,
         sums.data());
  return 2.0 * kChains * static_cast<double>(iterations) * blocks * kThreads;
}

template double fma_chains<float>(int64_t);
template double fma_chains<double>(int64_t);

}  // namespace convolt::cuda
