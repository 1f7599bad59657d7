// backward_data the other way round: not the windows of dy that a pixel of dx sees, but the pixels
// of dx that a pixel of dy was seen in.
//
//   col[(c, kh, kw)][pixel of dy] = sum over oc of  weight[oc][c][kh][kw] * dy[oc][pixel]
//   dx = fold(col)
//
// No product is wasted on padding or between the pixels of a stride, and A has a row for each tap,
// which fills tiles where x has few channels. The matrix exists in blocks that stay in the second
// level of the cache. It is the method of Caffe (Y. Jia et al., 2014), block by block.
#pragma once

#include "geometry.h"

namespace convolt {

// Whether this is faster than a product for each phase of the stride, as measured: with few
// channels of x up to 3 times, with a stride 1.1 to 2, and without one where that product spends
// its time on padding, for dx has `least_waste` times the pixels of dy. It follows from the shape
// of one image, as the order of the sums does.
bool suits_folded_taps(const Conv2dProblem& problem, double least_waste);

template <typename T>
void folded_taps_backward_data(const Conv2dProblem& problem, const T* dy, const T* weight, T* dx);

}  // namespace convolt
