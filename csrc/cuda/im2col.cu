#include "column_part.h"
#include "im2col.h"
#include "walk.cuh"
#include "window.cuh"

namespace convolt::cuda {
namespace {

// The matrix with a row for each window, element after element: some 120 instructions for each, a
// third of an H100's bandwidth. Tap by tap as below, the writes of a warp would be far apart.
template <typename T>
__global__ void write_windows(Walk<6> walk, Conv2dProblem p, const T* x, T* col) {
  const WindowAxis rows = vertical(p), columns = horizontal(p);
  walk_elements(walk, [&](int64_t i, const Index<6>& index) {  // (n, oh, ow, c, kh, kw)
    const T* const plane = x + (index[0] * p.in_channels + index[3]) * p.in_pixels();
    col[i] =
        pixel_or_zero(plane, p, rows.input(index[1], index[4]), columns.input(index[2], index[5]));
  });
}

template <typename T>
__global__ void write_taps(Walk<4> walk, Conv2dProblem p, WindowPart part, ColumnPitches pitches,
                           const T* x, T* col) {
  const WindowAxis rows = vertical(p), columns = horizontal(p);
  walk_elements(walk, [&](int64_t, const Index<4>& index) {  // (image, c, row, ow)
    const auto [image, c, row, ow] = index.at;
    const T* const plane = x + ((part.first_image + image) * p.in_channels + c) * p.in_pixels();
    T* element = col + image * pitches.image + c * p.taps() * pitches.tap +
                 (row * p.out_w + ow) * pitches.window;
    for (int64_t kh = 0; kh < p.kernel_h; ++kh) {
      const int64_t ih = rows.input(part.first_row + row, kh);
      for (int64_t kw = 0; kw < p.kernel_w; ++kw, element += pitches.tap) {
        *element = pixel_or_zero(plane, p, ih, columns.input(ow, kw));
      }
    }
  });
}

template <typename T, int kStride>
__global__ void gather_taps(Walk<4> walk, Conv2dProblem p, WindowPart part, ColumnPitches pitches,
                            int64_t first_row, const T* col, bool accumulate, T* x) {
  const WindowAxis rows = with_stride<kStride>(vertical(p));
  const WindowAxis columns = with_stride<kStride>(horizontal(p));
  walk_elements(walk, [&](int64_t, const Index<4>& index) {  // (image, c, row of x, iw)
    const auto [image, c, row, iw] = index.at;
    const T* const taps = col + image * pitches.image + c * p.taps() * pitches.tap;
    T sum = 0;
    for (int64_t kh = 0; kh < p.kernel_h; ++kh) {
      const int64_t oh = rows.output(first_row + row, kh) - part.first_row;
      if (oh < 0 || oh >= part.rows) continue;
      for (int64_t kw = 0; kw < p.kernel_w; ++kw) {
        const int64_t ow = columns.output(iw, kw);
        if (ow < 0) continue;
        sum += taps[(kh * p.kernel_w + kw) * pitches.tap + (oh * p.out_w + ow) * pitches.window];
      }
    }
    T& pixel =
        x[(((part.first_image + image) * p.in_channels + c) * p.in_h + first_row + row) * p.in_w +
          iw];
    pixel = accumulate ? pixel + sum : sum;
  });
}

WindowPart all_windows(const Conv2dProblem& p) { return {0, p.batch, 0, p.out_h}; }

ColumnPitches pitches_of(const Conv2dProblem& p, ColumnLayout layout) {
  const int64_t taps = p.in_channels * p.taps(), windows = p.out_pixels();
  if (layout == ColumnLayout::kTaps) return {taps * windows, windows, 1};
  return {windows * taps, 1, taps};
}

}  // namespace

template <typename T>
void write_columns(const Conv2dProblem& p, const WindowPart& part, const ColumnPitches& pitches,
                   const T* x, T* col) {
  launch_walk("write_taps", write_taps<T>,
              std::array{part.images, p.in_channels, part.rows, p.out_w}, p, part, pitches, x, col);
}

template <typename T>
void gather_columns(const Conv2dProblem& p, const WindowPart& part, const ColumnPitches& pitches,
                    const T* col, bool accumulate, T* x) {
  int64_t begin = 0, end = p.in_h;
  if (accumulate) {
    const WindowAxis rows = vertical(p);
    begin = std::max<int64_t>(rows.input(part.first_row, 0), 0);
    end = std::min(rows.input(part.first_row + part.rows - 1, p.kernel_h - 1) + 1, p.in_h);
    if (begin >= end) return;
  }
  const std::array extents{part.images, p.in_channels, end - begin, p.in_w};
  with_known_stride(p, [&](auto stride) {
    launch_walk("gather_taps", gather_taps<T, stride>, extents, p, part, pitches, begin, col,
                accumulate, x);
  });
}

template <typename T>
void im2col(const Conv2dProblem& p, ColumnLayout layout, const T* x, T* col) {
  if (layout == ColumnLayout::kTaps)
    return write_columns(p, all_windows(p), pitches_of(p, layout), x, col);
  launch_walk("write_windows", write_windows<T>,
              std::array{p.batch, p.out_h, p.out_w, p.in_channels, p.kernel_h, p.kernel_w}, p, x,
              col);
}

template <typename T>
void col2im(const Conv2dProblem& p, ColumnLayout layout, const T* col, T* x) {
  gather_columns(p, all_windows(p), pitches_of(p, layout), col, false, x);
}

template void write_columns(const Conv2dProblem&, const WindowPart&, const ColumnPitches&,
                            const float*, float*);
template void write_columns(const Conv2dProblem&, const WindowPart&, const ColumnPitches&,
                            const double*, double*);
template void gather_columns(const Conv2dProblem&, const WindowPart&, const ColumnPitches&,
                             const float*, bool, float*);
template void gather_columns(const Conv2dProblem&, const WindowPart&, const ColumnPitches&,
                             const double*, bool, double*);
template void im2col(const Conv2dProblem&, ColumnLayout, const float*, float*);
template void im2col(const Conv2dProblem&, ColumnLayout, const double*, double*);
template void col2im(const Conv2dProblem&, ColumnLayout, const float*, float*);
template void col2im(const Conv2dProblem&, ColumnLayout, const double*, double*);

}  // namespace convolt::cuda
