// What becomes of a sum on its way to memory: bias and ReLU, as in kernels/store_tile.h.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace convolt::cuda {

template <typename T>
__device__ inline T bias_of(const T* bias, int64_t channel) {
  return bias == nullptr ? T{0} : bias[channel];
}

template <typename T>
__device__ inline T finish(T sum, T bias, bool relu) {
  sum += bias;
  return relu && sum < T{0} ? T{0} : sum;  // keeps a NaN
}

}  // namespace convolt::cuda
