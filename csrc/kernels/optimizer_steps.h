// Updates of parameters: one pass over arrays that are read from memory. The operations and their
// order are those of optim.py, and each of them rounds: the same bits.
#pragma once

#include "../kernel_table.h"

namespace convolt {
namespace CONVOLT_ISA {

static inline float root(float x) { return __builtin_sqrtf(x); }
static inline double root(double x) { return __builtin_sqrt(x); }

template <typename T>
static void sgd_step(const OptimizerStep<T>& step, int64_t count, T momentum, T rate) {
  const T* __restrict const gradient = step.gradient;
  T* __restrict const parameter = step.parameter;
  T* __restrict const velocity = step.state;
  for (int64_t i = 0; i < count; ++i) {
    velocity[i] = velocity[i] * momentum - gradient[i] * rate;
    parameter[i] += velocity[i];
  }
}

template <typename T>
static void adam_step(const OptimizerStep<T>& step, int64_t count, const T* decays, T eps, T rate) {
  const T* __restrict const gradient = step.gradient;
  T* __restrict const parameter = step.parameter;
  T* __restrict const first = step.state;
  T* __restrict const second = step.second;
  const T first_decay = decays[0], second_decay = decays[1];
  for (int64_t i = 0; i < count; ++i) {
    const T g = gradient[i];
    first[i] = first[i] * first_decay + g;
    second[i] = second[i] * second_decay + g * g;
    parameter[i] -= first[i] / (root(second[i]) + eps) * rate;
  }
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
