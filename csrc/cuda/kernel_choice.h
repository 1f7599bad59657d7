// Which kernels compute a convolution.
#pragma once

#include "../plan.h"
#include "conv2d.h"

namespace convolt::cuda {

// What set_kernels() asked for where it applies, else the fastest by a model of the shape. With
// Algorithm::kGemm by name the choice does not depend on the batch: only the tiled product adds up
// an image's sums in the same order in every batch. Never kAuto.
template <typename T>
Kernels choose_kernels(const Conv2dProblem& problem, Pass pass, Algorithm asked);

}  // namespace convolt::cuda
