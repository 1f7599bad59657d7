// The three passes of a convolution on a CUDA device: conv2d.h of the CPU engine with the same
// contracts, for pointers to device memory. The results are the same from run to run.
#pragma once

#include "../algorithm.h"
#include "../geometry.h"

namespace convolt::cuda {

// Which kernels compute a convolution. kAuto leaves it to the shape.
enum class Kernels { kAuto, kImplicitGemm, kColumns, kDirect };

// For tests and benchmarks: what all calls take, where it applies.
void set_kernels(Kernels kernels);

// Whether cuBLAS may round the factors of float32 products to 10 bits (TF32); not at first.
void allow_tf32(bool allowed);
bool tf32_allowed();

// Of the algorithms only kAuto and kGemm exist here: std::invalid_argument for the others.
template <typename T>
void conv2d_forward(const Conv2dProblem& problem, Algorithm algorithm, const T* x, const T* weight,
                    const T* bias, bool relu, T* y);

template <typename T>
void conv2d_backward_data(const Conv2dProblem& problem, Algorithm algorithm, const T* dy,
                          const T* weight, const T* bias, T* dx);

template <typename T>
void conv2d_backward_weights(const Conv2dProblem& problem, Algorithm algorithm, const T* dy,
                             const T* x, T* dweight, T* dbias);

template <typename T>
void relu_backward(const T* dy, const T* y, int64_t count, T* dx);

template <typename T>
void conv2d_backward_bias(const Shape4& shape, const T* dy, T* dbias);

}  // namespace convolt::cuda
