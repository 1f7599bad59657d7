#include "prepared_weight.h"

namespace convolt {

template <typename T>
PackedWeight<T> PreparedWeight<T>::panels(const KernelTable<T>& kernels, const WeightView<T>& a,
                                          int64_t groups, int64_t weight_step,
                                          int64_t width) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const Panels& panels : panels_) {
    if (panels.kernels == &kernels && panels.width == width) return {panels.data.get(), width};
  }
  const auto bytes =
      static_cast<std::size_t>(groups * PackedWeight<T>::elements(a, width)) * sizeof(T);
  Panels made = {&kernels, width, nullptr};
  made.data.reset(static_cast<T*>(::operator new(bytes, std::align_val_t{kCacheLine})));
  pack_weights(kernels, a, groups, weight_step, width, made.data.get());
  panels_.push_back(std::move(made));
  return {panels_.back().data.get(), width};
}

template class PreparedWeight<float>;
template class PreparedWeight<double>;

}  // namespace convolt
