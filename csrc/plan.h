// Which algorithm computes a problem.
#pragma once

#include "algorithm.h"
#include "geometry.h"

namespace convolt {

enum class Pass { kForward, kBackwardData, kBackwardWeights };

// The algorithm that runs: the one asked for, or for kAuto the fastest for this problem. Winograd
// is asked for where it applies only; kWinograd gets the size of its tile here. `prepared`: the
// weight needs no packing. T is the element type.
template <typename T>
Algorithm plan(const Conv2dProblem& problem, Pass pass, Algorithm asked, bool prepared = false);

}  // namespace convolt
