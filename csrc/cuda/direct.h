// Convolutions with one input channel in a group, depthwise ones above all: a handful of products
// for each output, which no product of matrices makes faster than memory is.
#pragma once

#include "../geometry.h"

namespace convolt::cuda {

bool has_direct_kernel(const Conv2dProblem& problem);

template <typename T>
void direct_forward(const Conv2dProblem& problem, const T* x, const T* weight, const T* bias,
                    bool relu, T* y);

template <typename T>
void direct_backward_data(const Conv2dProblem& problem, const T* dy, const T* weight, const T* bias,
                          T* dx);

template <typename T>
void direct_backward_weights(const Conv2dProblem& problem, const T* dy, const T* x, T* dweight);

}  // namespace convolt::cuda
