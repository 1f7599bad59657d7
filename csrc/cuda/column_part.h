// Part of a column matrix, written and gathered: what im2col.h and columns.h have in common.
#pragma once

#include "../geometry.h"

namespace convolt::cuda {

// Some images, and of them the windows of some rows of the output.
struct WindowPart {
  int64_t first_image, images;
  int64_t first_row, rows;
};

// The element of a tap (c, kh, kw) in a window (oh, ow) of an image of a part is at
//   image * (n - first_image) + tap * t + window * ((oh - first_row) * OW + ow)
// with t = (c * KH + kh) * KW + kw and the pitches of the three.
struct ColumnPitches {
  int64_t image, tap, window;
};

// For windows next to each other, window = 1: a warp writes 32 of them, tap by tap. An element of a
// 3x3 window takes some 30 instructions, which on an H100 is as long as writing it takes.
template <typename T>
void write_columns(const Conv2dProblem& problem, const WindowPart& part,
                   const ColumnPitches& pitches, const T* x, T* col);

// The adjoint, a thread for each pixel, which adds the elements of its taps in their order; as long
// as reading them takes, with a stride of 1. Without `accumulate` it writes all pixels of the
// images, else it adds to those that the windows reach.
template <typename T>
void gather_columns(const Conv2dProblem& problem, const WindowPart& part,
                    const ColumnPitches& pitches, const T* col, bool accumulate, T* x);

}  // namespace convolt::cuda
