// The padded rows of one plane: borders, stride and phases are settled here, once for each element,
// so that the packers and the pooling kernels behind it see consecutive elements only.
//
//   image row      a b c d e f g        start = -2, step = 1          start = -2 and -1, step = 2
//   padded[row]  . . a b c d e f g . .  one sampling                  [. a c e g .] [. b d f .  .]
#pragma once

#include "../kernel_table.h"
#include "simd.h"

namespace convolt {
namespace CONVOLT_ISA {

template <typename T>
static inline void fill_elements(T* dst, int64_t count, T value) {
  for (int64_t i = 0; i < count; ++i) dst[i] = value;
}

// Exact in what it reads: the source is the user's array.
template <typename T>
static inline void copy_elements(const T* src, int64_t count, T* dst) {
  constexpr int64_t kStep = kLanes<T>;
  int64_t i = 0;
  for (; i + kStep <= count; i += kStep) store<T>(dst + i, load<T>(src + i));
  for (; i < count; ++i) dst[i] = src[i];
}

template <typename T>
static inline void copy_strided(const T* src, int64_t step, int64_t count, T* dst) {
  if (step == 1) {
    copy_elements(src, count, dst);
  } else if (step == 2) {  // a constant step lets the compiler shuffle instead of gathering
    for (int64_t i = 0; i < count; ++i) dst[i] = src[2 * i];
  } else {
    for (int64_t i = 0; i < count; ++i) dst[i] = src[i * step];
  }
}

template <typename T>
static void pad_rows(const PaddedRows& rows, const T* plane, T fill, T* padded) {
  for (int64_t r = 0; r < rows.rows; ++r) {
    T* dst = padded + r * rows.row_pitch;
    const int64_t offset = rows.row_offsets[r];
    if (offset < 0) {
      fill_elements(dst, rows.sampling_count * rows.samples, fill);
      continue;
    }
    for (int64_t s = 0; s < rows.sampling_count; ++s, dst += rows.samples) {
      const RowSampling& sampling = rows.samplings[s];
      fill_elements(dst, sampling.begin, fill);
      copy_strided(plane + offset + sampling.start + sampling.begin * rows.step, rows.step,
                   sampling.end - sampling.begin, dst + sampling.begin);
      fill_elements(dst + sampling.end, rows.samples - sampling.end, fill);
    }
  }
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
