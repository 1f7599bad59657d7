// The way back through ReLU. The way forth is part of the epilogue of the product.
#pragma once

#include "simd.h"

namespace convolt {
namespace CONVOLT_ISA {

// Selects; a product with a mask would make NaN of an infinite gradient. A NaN of y is no zero and
// lets the gradient through, as in PyTorch. dx may be dy.
template <typename T>
static void relu_backward(const T* dy, const T* y, int64_t count, T* dx) {
  int64_t i = 0;
  for (; i + kLanes<T> <= count; i += kLanes<T>) {
    const Mask<T> is_zero = load<T>(y + i) <= Vec<T>{};
    store<T>(dx + i, is_zero ? Vec<T>{} : load<T>(dy + i));
  }
  for (; i < count; ++i) dx[i] = y[i] <= 0 ? T{0} : dy[i];
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
