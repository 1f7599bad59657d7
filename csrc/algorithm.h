// The algorithms of a convolution, their names, and the one that this process takes by default.
#pragma once

#include <optional>
#include <string>

#include "geometry.h"

namespace convolt {

// kWinograd leaves the tile of outputs to the shape of an image, kWinograd2x2 and kWinograd4x4 fix
// it. kDepthwise, row kernels for few channels in a group, has no name: only plan() chooses it.
enum class Algorithm { kAuto, kGemm, kDepthwise, kWinograd, kWinograd2x2, kWinograd4x4 };

bool is_winograd(Algorithm algorithm);

// Winograd is for kernels of 3x3 and 5x5, stride 1 and dilation 1; kWinograd4x4 for 3x3 alone.
bool winograd_applies(Algorithm asked, int64_t kernel_h, int64_t kernel_w,
                      const WindowParams& window);

// The algorithm of that name, or without one the default. A default is for convolutions of all
// kinds, so that its Winograd gives way to kAuto where it does not apply; by name that is an error.
// Throws std::invalid_argument for it, and for an unknown name.
Algorithm algorithm_for(const std::string& function, const std::optional<std::string>& name,
                        const Shape4& weight, const WindowParams& window);

// "auto" unless another was asked for: by set_default_algorithm, or else by the environment
// variable CONVOLT_ALGORITHM, read at first use. Throws std::invalid_argument for an unknown name.
std::string default_algorithm();
void set_default_algorithm(const std::optional<std::string>& name);  // nullopt: no longer

}  // namespace convolt
