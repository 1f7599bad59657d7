#include "optimizers.h"

#include <algorithm>

#include "common.h"
#include "isa.h"
#include "parallel.h"

namespace convolt {
namespace {

// Calls update(step, count) for stretches of the arrays.
template <typename T, typename Update>
void for_each_stretch(const OptimizerStep<T>& step, int64_t count, const Update& update) {
  constexpr int64_t kStretch = int64_t{1} << 14;
  constexpr double kOperations = 8;  // an element takes as long as so many of a product
  const int threads = threads_for(kOperations * static_cast<double>(count));
  parallel_for(ceil_div(count, kStretch), threads, [&](int64_t task, int) {
    const int64_t first = task * kStretch;
    OptimizerStep<T> part = step;
    part.gradient += first;
    part.parameter += first;
    part.state += first;
    if (part.second != nullptr) part.second += first;
    update(part, std::min(kStretch, count - first));
  });
}

}  // namespace

template <typename T>
void sgd_update(const OptimizerStep<T>& step, int64_t count, T momentum, T rate) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  for_each_stretch(step, count, [&](const OptimizerStep<T>& part, int64_t n) {
    kernels.sgd_step(part, n, momentum, rate);
  });
}

template <typename T>
void adam_update(const OptimizerStep<T>& step, int64_t count, const T* decays, T eps, T rate) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  for_each_stretch(step, count, [&](const OptimizerStep<T>& part, int64_t n) {
    kernels.adam_step(part, n, decays, eps, rate);
  });
}

template void sgd_update(const OptimizerStep<float>&, int64_t, float, float);
template void sgd_update(const OptimizerStep<double>&, int64_t, double, double);
template void adam_update(const OptimizerStep<float>&, int64_t, const float*, float, float);
template void adam_update(const OptimizerStep<double>&, int64_t, const double*, double, double);

}  // namespace convolt
