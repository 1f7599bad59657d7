// The way from a tile of sums to C where its columns are not one stretch of whole vectors: the last
// pixels of a map, tiles that straddle two images, every second pixel of a strided gradient. Each
// element gets the epilogue that the micro-kernel gives, operation for operation.
#pragma once

#include "../kernel_table.h"
#include "simd.h"

namespace convolt {
namespace CONVOLT_ISA {

template <typename T>
static inline T finish(T sum, T before, T bias, const Epilogue<T>& epilogue) {
  if (epilogue.accumulate) sum = before + sum;
  if (epilogue.bias != nullptr) sum = sum + bias;
  return epilogue.relu && sum < T{0} ? T{0} : sum;
}

template <typename T>
static inline void store_run(const T* sums, int64_t length, T* c, int64_t stride, T bias,
                             const Epilogue<T>& epilogue) {
  int64_t j = 0;
  if (stride == 1) {
    for (; j + kLanes<T> <= length; j += kLanes<T>) {
      Vec<T> sum = load<T>(sums + j);
      if (epilogue.accumulate) sum = load<T>(c + j) + sum;
      if (epilogue.bias != nullptr) sum = sum + broadcast<T>(bias);
      if (epilogue.relu) sum = sum < Vec<T>{} ? Vec<T>{} : sum;
      store<T>(c + j, sum);
    }
  }
  if (!epilogue.accumulate && epilogue.bias == nullptr && !epilogue.relu) {
    for (; j < length; ++j) c[j * stride] = sums[j];
  } else {
    for (; j < length; ++j) c[j * stride] = finish(sums[j], c[j * stride], bias, epilogue);
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
