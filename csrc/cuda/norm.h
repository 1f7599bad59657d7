// Normalizations on a CUDA device, with the contracts of batch_norm.h of the CPU engine and of
// convolt.local_response_norm.
#pragma once

#include "../batch_norm.h"

namespace convolt::cuda {

template <typename T>
void batch_norm_forward(const BatchNorm<T>& norm, T* mean, T* var, T* y);

template <typename T>
void batch_norm_backward(const BatchNorm<T>& norm, const T* dy, const T* mean, const T* var, T* dx,
                         T* dweight, T* dbias);

// y[n, c] = x[n, c] / base[n, c]^beta, base[n, c] = k + alpha / size * sum of x[n, i]^2 over
// i = c - size / 2 ... c + (size - 1) / 2.
struct LocalResponse {
  Shape4 shape;
  int64_t size;
  double alpha, beta, k;
};

template <typename T>
void local_response_norm_forward(const LocalResponse& norm, const T* x, T* y);
template <typename T>
void local_response_norm_backward(const LocalResponse& norm, const T* dy, const T* x, T* dx);

}  // namespace convolt::cuda
