// The three passes of a convolution.
#pragma once

#include "algorithm.h"
#include "geometry.h"
#include "prepared_weight.h"

namespace convolt {

// y = conv(x, weight) + bias, then max(y, 0) if relu. bias may be null.
template <typename T>
void conv2d_forward(const Conv2dProblem& problem, Algorithm algorithm, const T* x, const T* weight,
                    const T* bias, bool relu, T* y);

// The same with a weight that was prepared.
template <typename T>
void conv2d_forward(const Conv2dProblem& problem, Algorithm algorithm, const T* x,
                    const PreparedWeight<T>& weight, const T* bias, bool relu, T* y);

// The gradient with respect to x; with a bias for each channel of x it is conv_transpose2d.
template <typename T>
void conv2d_backward_data(const Conv2dProblem& problem, Algorithm algorithm, const T* dy,
                          const T* weight, const T* bias, T* dx);

// The gradients with respect to weight and bias. dbias may be null; beside dweight it often costs
// nothing.
template <typename T>
void conv2d_backward_weights(const Conv2dProblem& problem, Algorithm algorithm, const T* dy,
                             const T* x, T* dweight, T* dbias);

// dx = dy, but 0 where y is, for y the output of ReLU; dx may be dy.
template <typename T>
void relu_backward(const T* dy, const T* y, int64_t count, T* dx);

// dbias[c] = sum of dy[:, c, :, :], for dy of the given shape.
template <typename T>
void conv2d_backward_bias(const Shape4& shape, const T* dy, T* dbias);

}  // namespace convolt
