// Small helpers that every other file may use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "host_device.h"

namespace convolt {

constexpr std::size_t kCacheLine = 64;

// Both for a >= 0, b > 0.
CONVOLT_HOST_DEVICE constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
CONVOLT_HOST_DEVICE constexpr int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

// Quotients of any integer by b > 0, rounded down and up.
CONVOLT_HOST_DEVICE constexpr int64_t floor_quotient(int64_t a, int64_t b) {
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}
CONVOLT_HOST_DEVICE constexpr int64_t ceil_quotient(int64_t a, int64_t b) {
  return -floor_quotient(-a, b);
}

// Arithmetic on sizes that came from outside: non-negative operands, and an error instead of a
// wrap. The message is put together where it is needed: strings would cost more than the checks.
inline int64_t checked_mul(int64_t a, int64_t b, const std::string& function, const char* what) {
  if (a != 0 && b > std::numeric_limits<int64_t>::max() / a) {
    throw std::invalid_argument(function + ": " + what + " is too large: " + std::to_string(a) +
                                " * " + std::to_string(b) + " exceeds 2**63 - 1");
  }
  return a * b;
}

inline int64_t checked_add(int64_t a, int64_t b, const std::string& function, const char* what) {
  if (b > std::numeric_limits<int64_t>::max() - a) {
    throw std::invalid_argument(function + ": " + what + " is too large: " + std::to_string(a) +
                                " + " + std::to_string(b) + " exceeds 2**63 - 1");
  }
  return a + b;
}

}  // namespace convolt
