// Algorithm "gemm": the convolution as a matrix product whose column matrix is never stored.
//
//   pass               m      n            k              A                       B
//   forward            OC/g   pixels of y  C/g * KH * KW  weight                  columns of x
//   backward_data      C/g    pixels of x  OC/g * KH*KW   weight, flipped         columns of dy
//     for stride s, once for each of the s * s phases of x, with the taps that meet it
//   backward_weights   OC/g   C/g*KH*KW    N * pixels     dy                      columns of x,
//   transposed
#pragma once

#include "geometry.h"
#include "prepared_weight.h"

namespace convolt {

// `prepared` is the same weight, or null.
template <typename T>
void gemm_forward(const Conv2dProblem& problem, const T* x, const T* weight,
                  const PreparedWeight<T>* prepared, const T* bias, bool relu, T* y);

template <typename T>
void gemm_backward_data(const Conv2dProblem& problem, const T* dy, const T* weight, const T* bias,
                        T* dx);

// With dbias, which may be null, one more column of B is 1 for every pixel.
template <typename T>
void gemm_backward_weights(const Conv2dProblem& problem, const T* dy, const T* x, T* dweight,
                           T* dbias);

// Whether that column costs nothing: the last panel of B is not full.
template <typename T>
bool gemm_has_room_for_bias(const Conv2dProblem& problem);

}  // namespace convolt
