// Depthwise convolution, and its like with few channels in a group. 3 x 3 and 5 x 5 windows go
// straight over the planes (kernels/plane_windows.h), all others tap by tap over padded rows
// (tap_rows.h).
#pragma once

#include "geometry.h"

namespace convolt {

template <typename T>
void depthwise_forward(const Conv2dProblem& problem, const T* x, const T* weight, const T* bias,
                       bool relu, T* y);

template <typename T>
void depthwise_backward_data(const Conv2dProblem& problem, const T* dy, const T* weight,
                             const T* bias, T* dx);

template <typename T>
void depthwise_backward_weights(const Conv2dProblem& problem, const T* dy, const T* x, T* dweight);

}  // namespace convolt
