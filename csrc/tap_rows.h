// Convolutions with few channels in a group, tap by tap over padded rows: a GEMM would pack each
// pixel as often as there are taps, to multiply it by a few weights. Here the rows of the image are
// padded once, into cache, and every tap reads them shifted.
//
//   forward           rows of x, every tap; strides are settled in the padded rows
//   backward_data     rows of dy, the taps of each phase of the stride, flipped
//   backward_weights  rows of x times rows of dy, a sum for each tap
#pragma once

#include "geometry.h"

namespace convolt {

template <typename T>
void tap_rows_forward(const Conv2dProblem& problem, const T* x, const T* weight, const T* bias,
                      bool relu, T* y);

template <typename T>
void tap_rows_backward_data(const Conv2dProblem& problem, const T* dy, const T* weight,
                            const T* bias, T* dx);

template <typename T>
void tap_rows_backward_weights(const Conv2dProblem& problem, const T* dy, const T* x, T* dweight);

}  // namespace convolt
