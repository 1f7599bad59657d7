// What the layers between convolutions need of arrays on a CUDA device: arithmetic with
// broadcasting, sums and maxima along an axis, copies of strided arrays.
#pragma once

#include <array>
#include <cstdint>

namespace convolt::cuda {

constexpr int kMostAxes = 6;

// How an operand is walked: elements from one index to the next along each axis of the result,
// 0 where it is broadcast. Axes in front that are not used have extent 1.
using Extents = std::array<int64_t, kMostAxes>;

enum class Unary { kNegative, kAbsolute, kExp, kLog, kSqrt, kReciprocal, kTanh };
enum class Binary {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kMaximum,
  kMinimum,
  kPower,
  kGreater,
  kGreaterEqual,
  kLess,
  kLessEqual
};  // comparisons give 1 or 0

template <typename T>
void unary(Unary operation, int64_t count, const T* x, T* y);

// y = a op b over `extents`; y is contiguous, and may be a or b where that is walked as y is.
// kMaximum and kMinimum propagate NaN, as NumPy's.
template <typename T>
void binary(Binary operation, const Extents& extents, const T* a, const Extents& a_strides,
            const T* b, const Extents& b_strides, T* y);
// The same with a number.
template <typename T>
void binary(Binary operation, int64_t count, const T* a, T b, T* y);
template <typename T>
void binary(Binary operation, int64_t count, T a, const T* b, T* y);

// y[i, j] over the middle axis of x (outer, count, inner), in a fixed order. The maximum of no
// elements is the caller's mistake.
template <typename T>
void sum(int64_t outer, int64_t count, int64_t inner, const T* x, T* y);
template <typename T>
void maximum(int64_t outer, int64_t count, int64_t inner, const T* x, T* y);

// Elements of 1, 4 or 8 bytes from one strided array to another; strides are in elements.
void copy_strided(int64_t element_bytes, const Extents& extents, const void* from,
                  const Extents& from_strides, void* to, const Extents& to_strides);

template <typename T>
void fill(int64_t count, T value, T* y);

}  // namespace convolt::cuda
