// Loads and stores of 16 bytes, the widest there are. Both addresses' elements are those of `T`;
// the one that is not registers is aligned to 16 bytes.
#pragma once

#include <cuda_runtime.h>

namespace convolt::cuda {

template <typename T>
constexpr int kVector = 16 / sizeof(T);

__device__ inline void load_vector(const float* from, float* to) {
  const float4 v = *reinterpret_cast<const float4*>(from);
  to[0] = v.x;
  to[1] = v.y;
  to[2] = v.z;
  to[3] = v.w;
}
__device__ inline void load_vector(const double* from, double* to) {
  const double2 v = *reinterpret_cast<const double2*>(from);
  to[0] = v.x;
  to[1] = v.y;
}

__device__ inline void store_vector(const float* from, float* to) {
  float4 v;
  v.x = from[0];
  v.y = from[1];
  v.z = from[2];
  v.w = from[3];
  *reinterpret_cast<float4*>(to) = v;
}
__device__ inline void store_vector(const double* from, double* to) {
  double2 v;
  v.x = from[0];
  v.y = from[1];
  *reinterpret_cast<double2*>(to) = v;
}

}  // namespace convolt::cuda
