// The way from a tile of sums to C where its columns are not one stretch of whole vectors: the last
// pixels of a map, tiles that straddle two images, every second pixel of a strided gradient. Each
// element gets the epilogue that the micro-kernel gives, operation for operation.
#pragma once

#include "../kernel_table.h"
#include "simd.h"

namespace convolt {
namespace CONVOLT_ISA {

template <typename V, typename T>
static inline V finish(V sum, V before, T bias, const Epilogue<T>& epilogue) {
  if (epilogue.accumulate) sum = before + sum;
  if (epilogue.bias != nullptr) sum = sum + bias;
  if (epilogue.relu) sum = sum < V{} ? V{} : sum;  // keeps a NaN
  return sum;
}

template <typename V, typename T>
static inline V load_as(const T* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof(V));
  return v;
}

// A run in whole vectors V, the last of which may overlap the one before it: what that wrote is
// then written again, from what was there before both. False if the run is shorter than a vector.
template <typename V, typename T>
static inline bool store_vectors(const T* sums, int64_t length, T* c, T bias,
                                 const Epilogue<T>& epilogue) {
  constexpr int64_t kStep = sizeof(V) / sizeof(T);
  const int64_t last = length - kStep;
  if (last < 0) return false;
  const V last_before = epilogue.accumulate ? load_as<V>(c + last) : V{};
  for (int64_t j = 0; j < last; j += kStep) {
    const V before = epilogue.accumulate ? load_as<V>(c + j) : V{};
    const V sum = finish<V>(load_as<V>(sums + j), before, bias, epilogue);
    __builtin_memcpy(c + j, &sum, sizeof(V));
  }
  const V sum = finish<V>(load_as<V>(sums + last), last_before, bias, epilogue);
  __builtin_memcpy(c + last, &sum, sizeof(V));
  return true;
}

// A run to every second element of c, as far as whole vectors go; returns where they end. The
// others are written back as they were read, which may not be done to the one behind the last: it
// can be another row's, or nobody's.
template <typename T>
static inline int64_t store_even(const T* sums, int64_t length, T* c, T bias,
                                 const Epilogue<T>& epilogue) {
  constexpr int64_t kStep = sizeof(ShortVec<T>) / sizeof(T);
  int64_t j = 0;
  for (; j + kStep < length; j += kStep) {
    ShortVec<T> sum;
    __builtin_memcpy(&sum, sums + j, sizeof(sum));
    EvenOdd<T> target = load_even_odd(c + 2 * j);
    target.even = finish<ShortVec<T>>(sum, target.even, bias, epilogue);
    store_even_odd(c + 2 * j, target);
  }
  return j;
}

template <typename T>
static inline void store_run(const T* sums, int64_t length, T* c, int64_t stride, T bias,
                             const Epilogue<T>& epilogue) {
  if (stride == 1 && (store_vectors<Vec<T>>(sums, length, c, bias, epilogue) ||
                      store_vectors<ShortVec<T>>(sums, length, c, bias, epilogue))) {
    return;
  }
  int64_t j = stride == 2 ? store_even(sums, length, c, bias, epilogue) : 0;
  for (; j < length; ++j) {
    T sum = sums[j];
    if (epilogue.accumulate) sum = c[j * stride] + sum;
    if (epilogue.bias != nullptr) sum = sum + bias;
    c[j * stride] = epilogue.relu && sum < T{0} ? T{0} : sum;
  }
}

// tile[i * pitch + column] to c[i * target.row_stride + run.source + j * target.x_stride] for the
// runs of one panel.
template <typename T>
static void store_tile(const T* tile, int64_t pitch, int64_t rows, const TileTarget<T>& target,
                       int64_t panel, const Epilogue<T>& epilogue) {
  const PixelRun* const begin = target.runs + target.first_run[panel];
  const PixelRun* const end = target.runs + target.first_run[panel + 1];
  T* c = target.c;
  for (int64_t i = 0; i < rows; ++i, c += target.row_stride, tile += pitch) {
    const T bias = epilogue.bias == nullptr ? T{0} : epilogue.bias[i];
    for (const PixelRun* run = begin; run != end; ++run) {
      store_run(tile + run->column, run->length, c + run->source, target.x_stride, bias, epilogue);
    }
  }
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
