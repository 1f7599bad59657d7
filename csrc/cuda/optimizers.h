// Updates of parameters on a CUDA device, as optimizers.h of the CPU engine.
#pragma once

#include "../kernel_table.h"

namespace convolt::cuda {

template <typename T>
void sgd_update(const OptimizerStep<T>& step, int64_t count, T momentum, T rate);

template <typename T>
void adam_update(const OptimizerStep<T>& step, int64_t count, const T* decays, T eps, T rate);

}  // namespace convolt::cuda
