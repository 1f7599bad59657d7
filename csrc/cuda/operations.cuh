// The functions of elementwise.h, as NumPy defines them for floating point.
#pragma once

#include <cmath>

#include "../kernels/extremum_rule.h"
#include "elementwise.h"
#include "launch.cuh"

namespace convolt::cuda {

// The larger, or with kMinimum the smaller, or the first NaN.
template <bool kMinimum>
struct Extremum {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return replaces<kMinimum>(b, a) ? b : a;
  }
};

// Calls use(function): what is chosen is chosen once, outside the loops over elements, and one
// kernel serves all operations, where a kernel for each would be hundreds.
template <typename T, typename Use>
__device__ void with_function(Unary operation, const Use& use) {
  switch (operation) {
    case Unary::kNegative:
      return use([](T x) { return -x; });
    case Unary::kAbsolute:
      return use([](T x) { return std::fabs(x); });
    case Unary::kExp:
      return use([](T x) { return std::exp(x); });
    case Unary::kLog:
      return use([](T x) { return std::log(x); });
    case Unary::kSqrt:
      return use([](T x) { return std::sqrt(x); });
    case Unary::kReciprocal:
      return use([](T x) { return T{1} / x; });
    case Unary::kTanh:
      return use([](T x) { return std::tanh(x); });
  }
}

template <typename T, typename Use>
__device__ void with_function(Binary operation, const Use& use) {
  switch (operation) {
    case Binary::kAdd:
      return use([](T a, T b) { return a + b; });
    case Binary::kSubtract:
      return use([](T a, T b) { return a - b; });
    case Binary::kMultiply:
      return use([](T a, T b) { return a * b; });
    case Binary::kDivide:
      return use([](T a, T b) { return a / b; });
    case Binary::kMaximum:
      return use(Extremum<false>{});
    case Binary::kMinimum:
      return use(Extremum<true>{});
    case Binary::kPower:
      return use([](T a, T b) { return std::pow(a, b); });
    case Binary::kGreater:
      return use([](T a, T b) { return static_cast<T>(a > b); });
    case Binary::kGreaterEqual:
      return use([](T a, T b) { return static_cast<T>(a >= b); });
    case Binary::kLess:
      return use([](T a, T b) { return static_cast<T>(a < b); });
    case Binary::kLessEqual:
      return use([](T a, T b) { return static_cast<T>(a <= b); });
  }
}

}  // namespace convolt::cuda
