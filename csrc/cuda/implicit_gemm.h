// Convolution as implicit GEMM: one tiled product, C[m, n] = sum over k of A[m, k] B[k, n] for each
// group, whose operands are read from images and weights where they lie.
//
//   pass              m      n                k                A         B
//   forward           OC/g   (n, oh, ow)      (c, kh, kw)      weight    x
//   backward_data     C/g    (n, ih, iw)      (oc, kh, kw)     weight    dy    for each phase
//   backward_weights  OC/g   (c, kh, kw)      (n, oh, ow)      dy        x
//
// A phase (phase_axis.h) is the pixels of x that see the same taps: with stride 1 there is one, of
// all pixels and all taps. Of its taps all are multiplied, with zeros where there is no output: an
// infinite weight makes NaN of those, as the CPU engine's products do.
#pragma once

#include "../geometry.h"
#include "tile_shapes.h"

namespace convolt::cuda {

// The products of the table.
ProductSize forward_size(const Conv2dProblem& problem);
ProductSize backward_weights_size(const Conv2dProblem& problem);

// Whether 32 bits are enough for what the kernels count in them: the rows and the columns of a
// padded image, and the elements of a sum over taps. Up to 2^30 of each.
bool has_implicit_gemm(const Conv2dProblem& problem);

// Each sum is made in the order of k, whatever tiles are chosen: the same bits for an image alone
// and in a batch.
template <typename T>
void implicit_gemm_forward(const Conv2dProblem& problem, const T* x, const T* weight, const T* bias,
                           bool relu, T* y);

template <typename T>
void implicit_gemm_backward_data(const Conv2dProblem& problem, const T* dy, const T* weight,
                                 const T* bias, T* dx);

// The sum over all pixels is cut into parts by the shape alone, and they are added in order.
template <typename T>
void implicit_gemm_backward_weights(const Conv2dProblem& problem, const T* dy, const T* x,
                                    T* dweight);

}  // namespace convolt::cuda
