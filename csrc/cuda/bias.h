// Bias and ReLU after a product that could not take them along.
#pragma once

#include "../geometry.h"

namespace convolt::cuda {

// y = y + bias of its channel, then max(y, 0) if relu. bias may be null.
template <typename T>
void add_bias(const Shape4& shape, const T* bias, bool relu, T* y);

}  // namespace convolt::cuda
