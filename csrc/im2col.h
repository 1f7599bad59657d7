// Stand-alone im2col and col2im, for users who want the column matrix itself. The convolution does
// not call them.
#pragma once

#include "geometry.h"

namespace convolt {

// The column matrix as a row for each window or as a row for each tap:
//   kWindows  (N * OH * OW, C * KH * KW)   the book's im2col
//   kTaps     (N, C * KH * KW, OH * OW)    PyTorch's unfold
enum class ColumnLayout { kWindows, kTaps };

template <typename T>
void im2col(const Conv2dProblem& problem, ColumnLayout layout, const T* x, T* col);

// The adjoint: every element of the column matrix is added to the pixel it was copied from.
template <typename T>
void col2im(const Conv2dProblem& problem, ColumnLayout layout, const T* col, T* x);

}  // namespace convolt
