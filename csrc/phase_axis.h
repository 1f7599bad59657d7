// backward_data by phases: the pixels of x that are a stride apart see the same taps of the kernel,
// so that each phase is a convolution of dy with stride 1.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "common.h"

namespace convolt {

// One axis of one phase of backward_data: the pixels i = phase + stride * t of x, t < pixels, and
// the taps that reach them. From  i + pad = o * stride + tap * dilation  follows that these taps
// are first, first + step, ... with step = stride / gcd(stride, dilation), and that the output o
// moves by dilation / gcd from one to the next. Taken from the last to the first, o ascends.
struct PhaseAxis {
  int64_t phase, pixels, taps;
  int64_t last_tap, tap_step;
  int64_t origin, dilation;  // o = t + origin + ascending tap * dilation
};

inline PhaseAxis phase_axis(int64_t phase, int64_t size, int64_t kernel, int64_t stride,
                            int64_t dilation, int64_t pad) {
  const int64_t divisor = std::gcd(stride, dilation);
  PhaseAxis axis{};
  axis.phase = phase;
  axis.pixels = phase < size ? ceil_div(size - phase, stride) : 0;
  axis.tap_step = stride / divisor;
  axis.dilation = dilation / divisor;
  int64_t first = 0;
  while (first < std::min(axis.tap_step, kernel) &&
         (phase + pad - first * dilation) % stride != 0) {
    ++first;
  }
  if (first >= std::min(axis.tap_step, kernel)) return axis;  // no tap meets this phase
  axis.taps = ceil_div(kernel - first, axis.tap_step);
  axis.last_tap = first + (axis.taps - 1) * axis.tap_step;
  axis.origin = (phase + pad - axis.last_tap * dilation) / stride;
  return axis;
}

inline std::vector<PhaseAxis> phases(int64_t size, int64_t kernel, int64_t stride, int64_t dilation,
                                     int64_t pad) {
  std::vector<PhaseAxis> axes;
  axes.reserve(static_cast<std::size_t>(std::min(stride, size)));
  for (int64_t phase = 0; phase < std::min(stride, size); ++phase) {
    axes.push_back(phase_axis(phase, size, kernel, stride, dilation, pad));
  }
  return axes;
}

}  // namespace convolt
