// Arrays that a kernel walks in order: 16 bytes at a time, the most that a thread loads at once,
// where all of them begin on such a boundary, and element by element where one does not.
#pragma once

#include <cstdint>
#include <type_traits>

#include "launch.cuh"

namespace convolt::cuda {

constexpr std::size_t kVectorBytes = 16;
template <typename T>
constexpr int kVectorWidth = kVectorBytes / sizeof(T);

// Neighbouring elements.
template <typename T, int kWidth>
struct alignas(kWidth * sizeof(T)) Run {
  T element[kWidth];
};

// An operand with the same value everywhere.
template <typename T>
struct Number {
  T value;
};

template <int kWidth, typename T>
__device__ Run<T, kWidth> load_run(const T* x, int64_t i) {
  return *reinterpret_cast<const Run<T, kWidth>*>(x + i);
}
template <int kWidth, typename T>
__device__ Run<T, kWidth> load_run(Number<T> x, int64_t) {
  Run<T, kWidth> run;
#pragma unroll
  for (int e = 0; e < kWidth; ++e) run.element[e] = x.value;
  return run;
}
template <int kWidth, typename T>
__device__ void store_run(T* y, int64_t i, const Run<T, kWidth>& run) {
  *reinterpret_cast<Run<T, kWidth>*>(y + i) = run;
}

template <typename T>
__device__ bool is_aligned(const T* x) {
  return reinterpret_cast<std::uintptr_t>(x) % kVectorBytes == 0;
}
template <typename T>
__device__ bool is_aligned(Number<T>) {
  return true;
}

// Calls step(std::integral_constant<int, width>, i) for runs of that many elements from i on, which
// together are the first `count`. `operands` are what the step loads and stores, of T.
template <typename T, typename Step, typename... Operands>
__device__ void for_each_run(int64_t count, const Step& step, Operands... operands) {
  constexpr int kWidth = kVectorWidth<T>;
  const int64_t vectors = (is_aligned(operands) && ...) ? count / kWidth : 0;
  for (int64_t v = first_element(); v < vectors; v += all_threads()) {
    step(std::integral_constant<int, kWidth>{}, v * kWidth);
  }
  for (int64_t i = vectors * kWidth + first_element(); i < count; i += all_threads()) {
    step(std::integral_constant<int, 1>{}, i);
  }
}

template <typename T>
Grid grid_of_runs(int64_t count) {
  return grid_of_threads(ceil_div(count, kVectorWidth<T>));
}

}  // namespace convolt::cuda
