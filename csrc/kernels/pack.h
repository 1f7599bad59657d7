// Packing: the operands of the micro-kernel in the order in which it reads them. Padding, stride,
// dilation and groups end here; the micro-kernel never hears of them.
#pragma once

#include "../kernel_table.h"
#include "gemm_microkernel.h"
#include "pad_rows.h"
#include "simd.h"

namespace convolt {
namespace CONVOLT_ISA {

// Implicit im2col. A panel holds columns (pixels) of the column matrix, one row for each tap:
//
//   dst[t * row_pitch + column] = plane[tap_offsets[t] + source of the column]
//
// where the columns come as runs of consecutive sources. A run in the middle of an image row is the
// whole panel; 7 x 7 maps have three or four runs in one panel of 16.
//
// The loose form copies whole vectors: what a run writes too much, the next run or the next tap
// writes again, and behind the last tap the destination has a tile of slack. A loop with the number
// of runs and their vectors known costs 3 to 6 cycles for a tap, a loop over both 15.
template <typename T, int Vectors>
static inline void copy_vectors(const T* src, T* dst) {
#pragma GCC unroll 3
  for (int v = 0; v < Vectors; ++v) {
    store<T>(dst + v * kLanes<T>, load<T>(src + v * kLanes<T>));
  }
}

template <typename T, int Runs, int Vectors>
static void gather_known_runs(const T* plane, const int64_t* tap_offsets, int64_t taps,
                              const PixelRun* runs, T* dst) {
  const T* sources[Runs];
  T* targets[Runs];
  for (int r = 0; r < Runs; ++r) {
    sources[r] = plane + runs[r].source;
    targets[r] = dst + runs[r].column;
  }
  for (int64_t t = 0; t < taps; ++t) {
#pragma GCC unroll 6
    for (int r = 0; r < Runs; ++r) {
      copy_vectors<T, Vectors>(sources[r] + tap_offsets[t], targets[r] + t * kTileColumns<T>);
    }
  }
}

template <typename T>
static void gather_runs(const T* plane, const int64_t* tap_offsets, int64_t taps,
                        const PixelRun* begin, const PixelRun* end, int64_t row_pitch, T* dst) {
  for (int64_t t = 0; t < taps; ++t, dst += row_pitch) {
    const T* const tap = plane + tap_offsets[t];
    for (const PixelRun* run = begin; run != end; ++run) {
      const T* const src = tap + run->source;
      T* const target = dst + run->column;
      for (int64_t i = 0; i < run->length; i += kLanes<T>) store<T>(target + i, load<T>(src + i));
    }
  }
}

// One panel of a tile's width.
template <typename T, int Vectors>
static void gather_tile(const T* plane, const int64_t* tap_offsets, int64_t taps,
                        const PixelRun* begin, const PixelRun* end, T* dst) {
  switch (end - begin) {
    case 1:
      return gather_known_runs<T, 1, Vectors>(plane, tap_offsets, taps, begin, dst);
    case 2:
      return gather_known_runs<T, 2, Vectors>(plane, tap_offsets, taps, begin, dst);
    case 3:
      return gather_known_runs<T, 3, Vectors>(plane, tap_offsets, taps, begin, dst);
    case 4:
      return gather_known_runs<T, 4, Vectors>(plane, tap_offsets, taps, begin, dst);
    case 5:
      return gather_known_runs<T, 5, Vectors>(plane, tap_offsets, taps, begin, dst);
    case 6:
      return gather_known_runs<T, 6, Vectors>(plane, tap_offsets, taps, begin, dst);
    default:
      gather_runs(plane, tap_offsets, taps, begin, end, kTileColumns<T>, dst);
  }
}

template <typename T>
static void gather_taps(const T* plane, const int64_t* tap_offsets, int64_t taps,
                        const PixelPanels& panels, T* dst) {
  for (int64_t p = 0; p < panels.panels; ++p, dst += panels.panel_pitch) {
    const PixelRun* const begin = panels.runs + panels.first_run[p];
    const PixelRun* const end = panels.runs + panels.first_run[p + 1];
    int64_t longest = 0;
    for (const PixelRun* run = begin; run != end; ++run) {
      longest = run->length > longest ? run->length : longest;
    }
    if (panels.row_pitch != kTileColumns<T>) {
      gather_runs(plane, tap_offsets, taps, begin, end, panels.row_pitch, dst);
    } else if (longest <= kLanes<T>) {
      gather_tile<T, 1>(plane, tap_offsets, taps, begin, end, dst);
    } else {
      gather_tile<T, kTileVectors>(plane, tap_offsets, taps, begin, end, dst);
    }
  }
}

// Panels of whole tiles, a tap of all of them at a time: the sources of one tap are consecutive,
// and far from those of the next.
template <typename T>
static void gather_whole_tiles(const T* plane, const int64_t* tap_offsets, int64_t taps,
                               const PixelPanels& panels, int64_t begin, int64_t end, T* dst) {
  for (int64_t t = 0; t < taps; ++t) {
    const T* const tap = plane + tap_offsets[t];
    T* row = dst + begin * panels.panel_pitch + t * kTileColumns<T>;
    for (int64_t p = begin; p < end; ++p, row += panels.panel_pitch) {
      copy_vectors<T, kTileVectors>(tap + panels.runs[panels.first_run[p]].source, row);
    }
  }
}

// The same from or to the user's array, where not one element too much may be touched.
template <typename T>
static void gather_taps_exact(const T* plane, const int64_t* tap_offsets, int64_t taps,
                              const PixelPanels& panels, T* dst) {
  const auto is_whole = [&](int64_t p) {
    return p < panels.panels && panels.row_pitch == kTileColumns<T> &&
           panels.runs[panels.first_run[p]].length == kTileColumns<T>;
  };
  for (int64_t p = 0; p < panels.panels;) {
    int64_t end = p;
    while (is_whole(end)) ++end;
    gather_whole_tiles(plane, tap_offsets, taps, panels, p, end, dst);
    for (p = end; p < panels.panels && !is_whole(p); ++p) {
      const PixelRun* const last = panels.runs + panels.first_run[p + 1];
      for (int64_t t = 0; t < taps; ++t) {
        const T* const tap = plane + tap_offsets[t];
        T* const row = dst + p * panels.panel_pitch + t * panels.row_pitch;
        for (const PixelRun* run = panels.runs + panels.first_run[p]; run != last; ++run) {
          copy_elements(tap + run->source, run->length, row + run->column);
        }
      }
    }
  }
}

// dst[k * dst_stride + r] = src[r * row_stride + k]: panels of A from rows of weights or of dy,
// panels of B for backward_weights from rows of pixels. Blocks go through registers. What the next
// call will read, `ahead` elements further on, is fetched on the way: a piece of a row is too short
// for the hardware to foresee it.
template <typename T>
static void interleave_rows(const T* src, int64_t row_stride, int64_t rows, int64_t count, T* dst,
                            int64_t dst_stride, int64_t ahead) {
  constexpr int64_t kLineElements = 64 / static_cast<int64_t>(sizeof(T));
  const int64_t quads = rows - rows % kTransposeRows<T>;
  const int64_t pairs = rows - rows % 2;
  const int64_t blocked = count - count % kTransposeCount<T>;
  for (int64_t k = 0; k < blocked; k += kTransposeCount<T>) {
    const T* const from = src + k;
    T* const to = dst + k * dst_stride;
    if (k % kLineElements == 0) {
      for (int64_t r = 0; r < rows; ++r) __builtin_prefetch(from + r * row_stride + ahead);
    }
    for (int64_t r = 0; r < quads; r += kTransposeRows<T>) {
      transpose_block(from + r * row_stride, row_stride, to + r, dst_stride);
    }
    if (quads < pairs)
      transpose_pair(from + quads * row_stride, row_stride, to + quads, dst_stride);
  }
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t k = r < pairs ? blocked : 0; k < count; ++k) {
      dst[k * dst_stride + r] = src[r * row_stride + k];
    }
  }
}

template <typename T, int Width>
static inline void copy_panels_of(const T* src, int64_t src_stride, int64_t count, int64_t panels,
                                  T* dst, int64_t dst_stride, int64_t panel_pitch) {
  constexpr int64_t kRowsAhead = 16;  // each row is a few lines of a page of its own
  constexpr int64_t kLineElements = 64 / static_cast<int64_t>(sizeof(T));
  for (int64_t k = 0; k < count; ++k, src += src_stride, dst += dst_stride) {
    for (int64_t i = 0; i < panels * Width; i += kLineElements) {
      __builtin_prefetch(src + kRowsAhead * src_stride + i);
    }
    for (int64_t p = 0; p < panels; ++p) {
      __builtin_memcpy(dst + p * panel_pitch, src + p * Width, Width * sizeof(T));
    }
  }
}

// dst[(i / width) * panel_pitch + k * dst_stride + i % width] = src[k * src_stride + i]: panels of
// A where its rows lie side by side. Several panels at once, so that whole lines are read.
template <typename T>
static void copy_panels(const T* src, int64_t src_stride, int64_t count, int64_t rows,
                        int64_t width, T* dst, int64_t dst_stride, int64_t panel_pitch) {
  const int64_t panels = rows / width;
  if (width == kTileRows) {
    copy_panels_of<T, kTileRows>(src, src_stride, count, panels, dst, dst_stride, panel_pitch);
  } else {
    copy_panels_of<T, kTileColumns<T>>(src, src_stride, count, panels, dst, dst_stride,
                                       panel_pitch);
  }
  const int64_t rest = rows - panels * width;
  src += panels * width;
  dst += panels * panel_pitch;
  for (int64_t k = 0; rest > 0 && k < count; ++k, src += src_stride, dst += dst_stride) {
    copy_elements(src, rest, dst);
  }
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
