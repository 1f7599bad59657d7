#include "prepared_weight.h"

namespace convolt {

template <typename T>
PackedWeight<T> PreparedWeight<T>::panels(const KernelTable<T>& kernels, const WeightView<T>& a,
                                          int64_t groups, int64_t weight_step,
                                          int64_t width) const {
  const T* const packed =
      get(kernels, {width, 0}, groups * PackedWeight<T>::elements(a, width),
          [&](T* data) { pack_weights(kernels, a, groups, weight_step, width, data); });
  return {packed, width};
}

template class PreparedWeight<float>;
template class PreparedWeight<double>;

}  // namespace convolt
