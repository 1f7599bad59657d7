// A weight made ready for many forward passes.
#pragma once

#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include "weight_view.h"

namespace convolt {

// A copy of a weight (OC, C/groups, KH, KW), and the forms in which the kernels want it: each is
// made when a call first needs it, and kept. Calls from several threads at once are safe.
template <typename T>
class PreparedWeight {
 public:
  PreparedWeight(const T* weight, int64_t elements) : weight_(weight, weight + elements) {}

  const T* data() const { return weight_.data(); }

  // The panels of `width` rows of each of `groups` weights, one after the other. `a` is the first.
  PackedWeight<T> panels(const KernelTable<T>& kernels, const WeightView<T>& a, int64_t groups,
                         int64_t weight_step, int64_t width) const;

 private:
  struct Free {
    void operator()(T* data) const { ::operator delete(data, std::align_val_t{kCacheLine}); }
  };
  struct Panels {
    const KernelTable<T>* kernels;
    int64_t width;
    std::unique_ptr<T, Free> data;
  };

  std::vector<T> weight_;
  mutable std::mutex mutex_;
  mutable std::vector<Panels> panels_;
};

}  // namespace convolt
