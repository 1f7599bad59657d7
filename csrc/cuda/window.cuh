// How kernels look through windows.
#pragma once

#include <type_traits>

#include "../geometry.h"

namespace convolt::cuda {

// One comparison: what is negative is large.
__device__ inline bool is_inside(int64_t i, int64_t size) {
  return static_cast<uint64_t>(i) < static_cast<uint64_t>(size);
}

template <typename T>
__device__ inline T pixel_or_zero(const T* plane, const Conv2dProblem& p, int64_t ih, int64_t iw) {
  return is_inside(ih, p.in_h) && is_inside(iw, p.in_w) ? plane[ih * p.in_w + iw] : T{0};
}

// The parameters of nearly all networks as constants of the compiler. With a stride that it knows
// it divides by shifts in WindowAxis::output; a division of int64_t would take most of a gathering
// kernel's time. With a kernel that it knows it unrolls the taps.
constexpr int kAny = 0;

template <int kStride>
__device__ inline WindowAxis with_stride(WindowAxis axis) {
  if constexpr (kStride != kAny) axis.stride = kStride;
  return axis;
}

template <int kKernel>
__device__ inline Conv2dProblem with_kernel(Conv2dProblem p) {
  if constexpr (kKernel != kAny) p.kernel_h = p.kernel_w = kKernel;
  return p;
}

// Calls f(std::integral_constant) of 1 or 2 for a window with that stride along both axes, else of
// kAny.
template <typename F>
void with_known_stride(const Conv2dProblem& p, const F& f) {
  const bool is_square = p.window.stride_h == p.window.stride_w;
  if (is_square && p.window.stride_h == 1) return f(std::integral_constant<int, 1>());
  if (is_square && p.window.stride_h == 2) return f(std::integral_constant<int, 2>());
  f(std::integral_constant<int, kAny>());
}

// The same of 3 for a 3x3 kernel.
template <typename F>
void with_known_kernel(const Conv2dProblem& p, const F& f) {
  if (p.kernel_h == 3 && p.kernel_w == 3) return f(std::integral_constant<int, 3>());
  f(std::integral_constant<int, kAny>());
}

}  // namespace convolt::cuda
