// Rows of a plane to scratch and back: pad_rows.h draws them. The border around the image is not
// touched, so that it is zeroed once for many planes whose rows lie alike.
#pragma once

#include "../kernel_table.h"
#include "simd.h"

namespace convolt {
namespace CONVOLT_ISA {

// Exact in what it reads and writes: a last vector that overlaps the one before it, instead of a
// loop over the rest.
template <typename T>
static inline void copy_row(const T* src, int64_t count, T* dst) {
  constexpr int64_t kStep = kLanes<T>;
  constexpr int64_t kShortStep = 16 / static_cast<int64_t>(sizeof(T));
  if (count >= kStep) {
    for (int64_t i = 0; i + kStep < count; i += kStep) store<T>(dst + i, load<T>(src + i));
    store<T>(dst + count - kStep, load<T>(src + count - kStep));
  } else if (count >= kShortStep) {
    for (int64_t i = 0; i + kShortStep < count; i += kShortStep) {
      __builtin_memcpy(dst + i, src + i, 16);
    }
    __builtin_memcpy(dst + count - kShortStep, src + count - kShortStep, 16);
  } else {
    for (int64_t i = 0; i < count; ++i) dst[i] = src[i];
  }
}

template <typename T>
static inline void take_every_second(const T* src, int64_t count, T* dst) {
  constexpr int64_t kStep = 16 / static_cast<int64_t>(sizeof(T));
  int64_t i = 0;
  for (; i + kStep < count; i += kStep) {  // the last element of a block is one past its samples
    const EvenOdd<T> v = load_even_odd(src + 2 * i);
    __builtin_memcpy(dst + i, &v.even, 16);
  }
  for (; i < count; ++i) dst[i] = src[2 * i];
}

// padded[row][sampling][i] = plane[row_offset + start + i * step] for i in [begin, end), for the
// rows inside the image.
template <typename T>
static void stage_rows(const PaddedRows& rows, const T* plane, T* padded) {
  for (int64_t r = 0; r < rows.rows; ++r, padded += rows.row_pitch) {
    if (rows.row_offsets[r] < 0) continue;
    const T* const row = plane + rows.row_offsets[r];
    for (int64_t s = 0; s < rows.sampling_count; ++s) {
      const RowSampling& sampling = rows.samplings[s];
      const T* const src = row + sampling.start + sampling.begin * rows.step;
      const int64_t count = sampling.end - sampling.begin;
      T* const dst = padded + s * rows.samples + sampling.begin;
      if (rows.step == 1) {
        copy_row(src, count, dst);
      } else if (rows.step == 2) {
        take_every_second(src, count, dst);
      } else {
        for (int64_t i = 0; i < count; ++i) dst[i] = src[i * rows.step];
      }
    }
  }
}

// plane[row_offset + start + i * step] += padded[row][sampling][i], for rows that are all inside.
template <typename T>
[[gnu::noinline]] static void add_staged_rows(const PaddedRows& rows, const T* padded, T* plane) {
  for (int64_t r = 0; r < rows.rows; ++r, padded += rows.row_pitch) {
    T* const row = plane + rows.row_offsets[r];
    for (int64_t s = 0; s < rows.sampling_count; ++s) {
      const RowSampling& sampling = rows.samplings[s];
      const T* const src = padded + s * rows.samples;
      T* const dst = row + sampling.start;
      for (int64_t i = sampling.begin; i < sampling.end; ++i) dst[i * rows.step] += src[i];
    }
  }
}

// dst[2 * i] = even[i], dst[2 * i + 1] = odd[i], `count` elements together.
template <typename T>
static inline void interleave_row(const T* even, const T* odd, int64_t count, T* dst) {
  constexpr int64_t kStep = 16 / static_cast<int64_t>(sizeof(T));
  int64_t i = 0;
  for (; 2 * (i + kStep) <= count; i += kStep) {
    EvenOdd<T> v;
    __builtin_memcpy(&v.even, even + i, 16);
    __builtin_memcpy(&v.odd, odd + i, 16);
    store_even_odd(dst + 2 * i, v);
  }
  for (i *= 2; i < count; ++i) dst[i] = i % 2 == 0 ? even[i / 2] : odd[i / 2];
}

// Writes the samples of a row in their order, where they are the pixels from the first one on
// without a gap; returns how many these are, else 0.
template <typename T>
static inline int64_t write_consecutive(const PaddedRows& rows, const T* padded, T* row) {
  const RowSampling& first = rows.samplings[0];
  const int64_t count = first.end - first.begin;
  const int64_t start = first.start + first.begin * rows.step;
  if (rows.step == 1) {
    if (start != 0) return 0;
    copy_row(padded + first.begin, count, row);
    return count;
  }
  if (rows.step != 2 || rows.sampling_count != 2 || start > 1) return 0;
  const RowSampling& second = rows.samplings[1];
  const int64_t other_count = second.end - second.begin;
  const int64_t ahead = start == 0 ? count - other_count : other_count - count;
  if (ahead < 0 || ahead > 1) return 0;
  const T* const one = padded + first.begin;
  const T* const other = padded + rows.samples + second.begin;
  interleave_row(start == 0 ? one : other, start == 0 ? other : one, count + other_count, row);
  return count + other_count;
}

// The same where every pixel has one sample at most, over whatever the rows of `width` pixels hold:
// those without a sample become 0.
template <typename T>
static void write_staged_rows(const PaddedRows& rows, int64_t width, const T* padded, T* plane) {
  PaddedRows one = rows;
  one.rows = 1;
  for (int64_t r = 0; r < rows.rows; ++r, padded += rows.row_pitch) {
    T* const row = plane + rows.row_offsets[r];
    const int64_t written = write_consecutive(rows, padded, row);
    for (int64_t x = written; x < width; ++x) row[x] = 0;
    if (written > 0) continue;
    one.row_offsets = rows.row_offsets + r;
    add_staged_rows(one, padded, plane);
  }
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
