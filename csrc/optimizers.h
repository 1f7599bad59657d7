// Updates of parameters, on all threads where that pays.
#pragma once

#include "kernel_table.h"

namespace convolt {

template <typename T>
void sgd_update(const OptimizerStep<T>& step, int64_t count, T momentum, T rate);

// `decays`: of the first and of the second moment.
template <typename T>
void adam_update(const OptimizerStep<T>& step, int64_t count, const T* decays, T eps, T rate);

}  // namespace convolt
