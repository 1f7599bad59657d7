// The problems of the library as plain structs, and the arithmetic of their windows: one truth for
// the CPU engine and for CUDA. A problem that came out of make_* is valid; nobody checks it again.
#pragma once

#include <array>
#include <string>

#include "common.h"

namespace convolt {

using Shape4 = std::array<int64_t, 4>;

// Larger parameters are mistakes, and products of two of them must not wrap.
constexpr int64_t kLargestParameter = std::numeric_limits<int32_t>::max();

// The parameters of a window that slides over an image, as the caller gave them.
struct WindowParams {
  int64_t stride_h = 1, stride_w = 1;
  int64_t pad_top = 0, pad_bottom = 0, pad_left = 0, pad_right = 0;
  int64_t dilation_h = 1, dilation_w = 1;
};

// y[n, oc, oh, ow] = bias[oc] + sum over (c, kh, kw) of
//     weight[oc, c, kh, kw] * x[n, group(oc) * C/groups + c,
//                               oh * stride_h + kh * dilation_h - pad_top,
//                               ow * stride_w + kw * dilation_w - pad_left]
// where x is zero outside the image.
struct Conv2dProblem {
  int64_t batch, in_channels, in_h, in_w;
  int64_t out_channels, kernel_h, kernel_w;
  int64_t groups;
  WindowParams window;
  int64_t out_h, out_w;

  CONVOLT_HOST_DEVICE int64_t group_in_channels() const { return in_channels / groups; }
  CONVOLT_HOST_DEVICE int64_t group_out_channels() const { return out_channels / groups; }
  CONVOLT_HOST_DEVICE int64_t taps() const { return kernel_h * kernel_w; }
  CONVOLT_HOST_DEVICE int64_t in_pixels() const { return in_h * in_w; }
  CONVOLT_HOST_DEVICE int64_t out_pixels() const { return out_h * out_w; }
  // Whether every image is its own column matrix: one tap, which meets each pixel in turn.
  bool is_pointwise() const {
    return taps() == 1 && window.stride_h == 1 && window.stride_w == 1 && out_h == in_h &&
           out_w == in_w && window.pad_top == 0 && window.pad_left == 0;
  }
  Shape4 input_shape() const { return {batch, in_channels, in_h, in_w}; }
  Shape4 output_shape() const { return {batch, out_channels, out_h, out_w}; }
};

// A window that sees all of the image, and no padding, is a plain product: its taps are channels of
// an image of one pixel, in the same order, and no tap has to be looked at alone. All other
// problems come back as they are.
Conv2dProblem without_window(const Conv2dProblem& problem);

// One window (kernel_h x kernel_w) slides over each of batch * channels planes.
struct Pool2dProblem {
  int64_t batch, channels, in_h, in_w;
  int64_t kernel_h, kernel_w;
  WindowParams window;
  int64_t out_h, out_w;
  // Averages only.
  bool count_include_pad;
  int64_t divisor_override;  // 0: none

  CONVOLT_HOST_DEVICE int64_t planes() const { return batch * channels; }
  CONVOLT_HOST_DEVICE int64_t in_pixels() const { return in_h * in_w; }
  CONVOLT_HOST_DEVICE int64_t out_pixels() const { return out_h * out_w; }
  Shape4 input_shape() const { return {batch, channels, in_h, in_w}; }
  Shape4 output_shape() const { return {batch, channels, out_h, out_w}; }
};

// The taps [begin, end) of a window that lie inside the image along one axis.
struct TapRange {
  int64_t begin, end;
};

CONVOLT_HOST_DEVICE inline TapRange taps_inside(int64_t out, int64_t size, int64_t kernel,
                                                int64_t stride, int64_t dilation,
                                                int64_t pad_before) {
  const int64_t start = out * stride - pad_before;
  const int64_t begin = start >= 0 ? 0 : ceil_div(-start, dilation);
  const int64_t end = start >= size ? 0 : ceil_div(size - start, dilation);
  return {begin < kernel ? begin : kernel, end < kernel ? end : kernel};
}

// One axis of a window: how it slides over an image.
struct WindowAxis {
  int64_t size, kernel, stride, dilation, pad_before, out;

  // The taps of output o that lie inside the image.
  CONVOLT_HOST_DEVICE TapRange inside(int64_t o) const {
    return taps_inside(o, size, kernel, stride, dilation, pad_before);
  }
  // Where tap k of output o is; outside the image unless it is in [0, size).
  CONVOLT_HOST_DEVICE int64_t input(int64_t o, int64_t k) const {
    return o * stride + k * dilation - pad_before;
  }
  // The output whose tap k is at i, or -1 if there is none.
  CONVOLT_HOST_DEVICE int64_t output(int64_t i, int64_t k) const {
    const int64_t distance = i + pad_before - k * dilation;
    if (distance < 0 || distance % stride != 0) return -1;
    const int64_t o = distance / stride;
    return o < out ? o : -1;
  }
};

template <typename Problem>
CONVOLT_HOST_DEVICE WindowAxis vertical(const Problem& p) {
  return {p.in_h, p.kernel_h, p.window.stride_h, p.window.dilation_h, p.window.pad_top, p.out_h};
}

template <typename Problem>
CONVOLT_HOST_DEVICE WindowAxis horizontal(const Problem& p) {
  return {p.in_w, p.kernel_w, p.window.stride_w, p.window.dilation_w, p.window.pad_left, p.out_w};
}

// How many elements an average counts along one axis: the padding if asked for, but never the
// overhang of ceil_mode beyond it.
CONVOLT_HOST_DEVICE inline int64_t averaged_extent(int64_t out, int64_t size, int64_t kernel,
                                                   int64_t stride, int64_t pad_before,
                                                   int64_t pad_after, bool count_include_pad) {
  const int64_t start = out * stride - pad_before;
  const int64_t low = count_include_pad ? -pad_before : 0;
  const int64_t high = count_include_pad ? size + pad_after : size;
  const int64_t begin = start > low ? start : low;
  const int64_t end = start + kernel < high ? start + kernel : high;
  return end - begin;
}

// "(2, 3, 28, 28)"
std::string to_string(const Shape4& shape);

// Each throws std::invalid_argument, with a message that begins with the name of the function and
// says which argument is wrong, what was expected and what came, in the words of the Python layer.
Conv2dProblem make_conv2d_problem(const std::string& function, const Shape4& input,
                                  const Shape4& weight, const WindowParams& window, int64_t groups);
// The convolution whose transpose conv_transpose2d is: its output is the x of conv_transpose2d.
Conv2dProblem make_conv_transpose2d_problem(const std::string& function, const Shape4& x,
                                            const Shape4& weight, const WindowParams& window,
                                            int64_t groups, int64_t output_h, int64_t output_w);
Pool2dProblem make_pool2d_problem(const std::string& function, const Shape4& input,
                                  int64_t kernel_h, int64_t kernel_w, const WindowParams& window,
                                  bool ceil_mode);
// The window of im2col: a convolution without a weight.
Conv2dProblem make_im2col_problem(const std::string& function, const Shape4& input,
                                  int64_t kernel_h, int64_t kernel_w, const WindowParams& window);

// `axes` names the axes of the argument: "(N, OC, OH, OW)".
void require_shape(const std::string& function, const char* argument, const char* axes,
                   const Shape4& expected, const Shape4& got);

}  // namespace convolt
