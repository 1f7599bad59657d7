// Stand-alone im2col and col2im, for users who want the column matrix itself. The convolution does
// not call them.
#pragma once

#include "geometry.h"

namespace convolt {

// The column matrix as a row for each window or as a row for each tap:
//   kWindows  (N * OH * OW, C * KH * KW)   the book's im2col    window_matrix.cpp
//   kTaps     (N, C * KH * KW, OH * OW)    PyTorch's unfold     tap_matrix.cpp
enum class ColumnLayout { kWindows, kTaps };

template <typename T>
void im2col(const Conv2dProblem& problem, ColumnLayout layout, const T* x, T* col);

// The adjoint: every element of the column matrix is added to the pixel it was copied from. The
// order in which a pixel's elements are added depends on the shape only.
template <typename T>
void col2im(const Conv2dProblem& problem, ColumnLayout layout, const T* col, T* x);

// The four functions behind them.
template <typename T>
void image_to_windows(const Conv2dProblem& problem, const T* x, T* col);
template <typename T>
void windows_to_image(const Conv2dProblem& problem, const T* col, T* x);
template <typename T>
void image_to_taps(const Conv2dProblem& problem, const T* x, T* col);
template <typename T>
void taps_to_image(const Conv2dProblem& problem, const T* col, T* x);

}  // namespace convolt
