// When an element takes the place of the best one so far: the rule of all max and min pooling, for
// vectors of the CPU and for single elements of CUDA threads, which has CONVOLT_ISA = cuda.
#pragma once

#include "../host_device.h"

namespace convolt {
namespace CONVOLT_ISA {

// True where v replaces the best so far: it is better, or the first NaN. A NaN stays for good, and
// so does the first of equal elements.
template <bool kMinimum, typename V>
CONVOLT_HOST_DEVICE static inline auto replaces(V v, V best) {
  const auto not_better = kMinimum ? v >= best : v <= best;
  return (not_better == 0) & (best == best);
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
