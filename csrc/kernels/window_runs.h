// The column matrix with a row for each window: im2col and col2im from and to padded rows.
//
//   col[w * pitch + r * length + i]  <->  padded[window_offsets[w] + run_offsets[r] + i]
//
// for windows w, runs r of the window (a channel and a row of the kernel) and i < length, the width
// of the kernel. Runs are shorter than most vectors, so 16 bytes at a time go, too many of them: a
// run that is copied too far is overwritten by the next one, and what is added too far is 0.
#pragma once

#include "../kernel_table.h"
#include "simd.h"

namespace convolt {
namespace CONVOLT_ISA {

template <typename T>
constexpr int64_t kShortLanes = 16 / static_cast<int64_t>(sizeof(T));

template <typename T>
static inline ShortVec<T> load_short(const T* p) {
  ShortVec<T> v;
  __builtin_memcpy(&v, p, 16);
  return v;
}

template <typename T, int Pieces>
static inline void copy_runs(const T* padded, const int64_t* offsets, int64_t runs, int64_t length,
                             T* dst) {
  const int64_t pieces = Pieces > 0 ? Pieces : (length + kShortLanes<T> - 1) / kShortLanes<T>;
  for (int64_t r = 0; r < runs; ++r, dst += length) {
    const T* const src = padded + offsets[r];
    for (int64_t p = 0; p < pieces; ++p) {
      __builtin_memcpy(dst + p * kShortLanes<T>, src + p * kShortLanes<T>, 16);
    }
  }
}

// The first runs of a window, which may go too far: what they write or read behind it belongs to
// the `behind` runs that follow it without a gap.
template <typename T>
static inline int64_t loose_runs(const WindowRuns& w, int64_t behind) {
  const int64_t reach = (w.length + kShortLanes<T> - 1) / kShortLanes<T> * kShortLanes<T>;
  const int64_t exact = (reach - 1) / w.length - behind;
  return exact <= 0 ? w.runs : exact < w.runs ? w.runs - exact : 0;
}

// A function of its own: in each form of the loops over windows it would take more code than these.
template <typename T>
[[gnu::noinline]] static void copy_exact_runs(const WindowRuns& w, int64_t first, const T* window,
                                              T* col) {
  for (int64_t r = first; r < w.runs; ++r) {
    for (int64_t j = 0; j < w.length; ++j) col[r * w.length + j] = window[w.run_offsets[r] + j];
  }
}

template <typename T>
[[gnu::noinline]] static void add_exact_runs(const WindowRuns& w, int64_t first, const T* col,
                                             T* window) {
  for (int64_t r = first; r < w.runs; ++r) {
    for (int64_t j = 0; j < w.length; ++j) window[w.run_offsets[r] + j] += col[r * w.length + j];
  }
}

template <typename T, int Pieces>
static void copy_windows(const WindowRuns& w, const T* padded, T* col) {
  const bool gaps = w.pitch != w.runs * w.length;
  for (int64_t i = 0; i < w.windows; ++i, col += w.pitch) {
    const T* const window = padded + w.window_offsets[i];
    const int64_t loose = loose_runs<T>(w, gaps ? 0 : (w.windows - 1 - i) * w.runs);
    copy_runs<T, Pieces>(window, w.run_offsets, loose, w.length, col);
    if (loose < w.runs) copy_exact_runs(w, loose, window, col);
  }
}

template <typename T>
static void copy_window_runs(const WindowRuns& w, const T* padded, T* col) {
  switch ((w.length + kShortLanes<T> - 1) / kShortLanes<T>) {
    case 1:
      return copy_windows<T, 1>(w, padded, col);
    case 2:
      return copy_windows<T, 2>(w, padded, col);
    case 3:
      return copy_windows<T, 3>(w, padded, col);
    default:
      return copy_windows<T, 0>(w, padded, col);
  }
}

template <typename T, int Pieces>
static inline void add_runs(const T* src, const int64_t* offsets, int64_t runs, int64_t length,
                            const decltype(ShortVec<T>{} < ShortVec<T>{}) mask, T* padded) {
  const int64_t pieces = Pieces > 0 ? Pieces : (length + kShortLanes<T> - 1) / kShortLanes<T>;
  for (int64_t r = 0; r < runs; ++r, src += length) {
    T* const dst = padded + offsets[r];
    for (int64_t p = 0; p < pieces; ++p) {
      const ShortVec<T> values = load_short(src + p * kShortLanes<T>);
      const ShortVec<T> added = p + 1 < pieces ? values : mask ? values : ShortVec<T>{};
      const ShortVec<T> sum = load_short(dst + p * kShortLanes<T>) + added;
      __builtin_memcpy(dst + p * kShortLanes<T>, &sum, 16);
    }
  }
}

// Neighbours add to the same elements. Where a window has few runs, windows far apart take turns:
// else each sum would wait for the store of the one before it.
template <typename T, int Pieces>
static void add_windows(const WindowRuns& w, const T* col, T* padded) {
  const int64_t rest = (w.length - 1) % kShortLanes<T> + 1;
  decltype(ShortVec<T>{} < ShortVec<T>{}) mask;
  for (int i = 0; i < kShortLanes<T>; ++i) mask[i] = i < rest ? -1 : 0;
  const int64_t turns = w.runs < 16 ? 8 : 1;
  for (int64_t turn = 0; turn < turns; ++turn) {
    for (int64_t i = turn; i < w.windows; i += turns) {
      const T* const src = col + i * w.pitch;
      T* const window = padded + w.window_offsets[i];
      const int64_t loose = loose_runs<T>(w, (w.windows - 1 - i) * w.runs);
      add_runs<T, Pieces>(src, w.run_offsets, loose, w.length, mask, window);
      if (loose < w.runs) add_exact_runs(w, loose, src, window);
    }
  }
}

template <typename T>
static void add_window_runs(const WindowRuns& w, const T* col, T* padded) {
  switch ((w.length + kShortLanes<T> - 1) / kShortLanes<T>) {
    case 1:
      return add_windows<T, 1>(w, col, padded);
    case 2:
      return add_windows<T, 2>(w, col, padded);
    case 3:
      return add_windows<T, 3>(w, col, padded);
    default:
      return add_windows<T, 0>(w, col, padded);
  }
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
