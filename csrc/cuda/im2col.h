// Stand-alone im2col and col2im on a CUDA device, as im2col.h of the CPU engine. col2im gathers:
// each pixel adds up its elements in an order that depends on the shape only, without atomics.
#pragma once

#include "../geometry.h"
#include "../im2col.h"

namespace convolt::cuda {

template <typename T>
void im2col(const Conv2dProblem& problem, ColumnLayout layout, const T* x, T* col);

template <typename T>
void col2im(const Conv2dProblem& problem, ColumnLayout layout, const T* col, T* x);

}  // namespace convolt::cuda
