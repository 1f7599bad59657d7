// Convolution as products of stored column matrices, by cuBLAS: for each image (or some rows of
// windows, where an image is large) the matrix of im2col.h with a row for each tap, and
//
//   forward            y[n] = weight col[n]
//   backward_data      col[n] = transposed weight dy[n], and every pixel gathers its elements
//   backward_weights   dweight = dy transposed col, the images of a chunk side by side
//
// for each group. The columns of as many images as fit into the scratch memory are there at a time.
#pragma once

#include "../geometry.h"

namespace convolt::cuda {

// For tests: the bytes of columns at a time, 64 MiB at first. One row of windows always is.
void set_column_scratch(int64_t bytes);

template <typename T>
void columns_forward(const Conv2dProblem& problem, const T* x, const T* weight, const T* bias,
                     bool relu, T* y);

template <typename T>
void columns_backward_data(const Conv2dProblem& problem, const T* dy, const T* weight,
                           const T* bias, T* dx);

template <typename T>
void columns_backward_weights(const Conv2dProblem& problem, const T* dy, const T* x, T* dweight);

}  // namespace convolt::cuda
