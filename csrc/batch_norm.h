// Batch normalization: each channel to mean 0 and variance 1, then scaled and shifted.
#pragma once

#include "geometry.h"

namespace convolt {

// Weight and bias may be null: 1 and 0.
template <typename T>
struct BatchNorm {
  Shape4 shape;
  const T* x;
  const T* weight;
  const T* bias;
  T eps;
  bool of_batch;  // whether mean and variance are those of x, and not constants
};

// y, and of_batch also mean and var, of each channel.
template <typename T>
void batch_norm_forward(const BatchNorm<T>& norm, T* mean, T* var, T* y);

// dx, dweight and dbias, for what the forward pass took or returned as mean and var.
template <typename T>
void batch_norm_backward(const BatchNorm<T>& norm, const T* dy, const T* mean, const T* var, T* dx,
                         T* dweight, T* dbias);

}  // namespace convolt
