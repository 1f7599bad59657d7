#include "geometry.h"

#include <algorithm>

namespace convolt {
namespace {

std::string pair_text(int64_t h, int64_t w) {
  return "(" + std::to_string(h) + ", " + std::to_string(w) + ")";
}

[[noreturn]] void fail(const std::string& function, const std::string& message) {
  throw std::invalid_argument(function + ": " + message);
}

void require_between(const std::string& function, const char* argument, int64_t least, int64_t h,
                     int64_t w) {
  if (h < least || w < least) {
    fail(function, std::string(argument) + " must be at least " + std::to_string(least) + ", got " +
                       pair_text(h, w));
  }
  if (h > kLargestParameter || w > kLargestParameter) {
    fail(function, std::string(argument) + " must be at most 2**31 - 1, got " + pair_text(h, w));
  }
}

// The largest array that int64 can count in bytes. As NumPy does, an empty axis counts as one.
void check_product(const std::string& function, const Shape4& shape, const char* name) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max() / sizeof(double);
  int64_t product = 1;
  for (const int64_t size : shape) {
    const int64_t factor = std::max<int64_t>(size, 1);
    if (product > kMost / factor) {
      fail(function, std::string(name) + " must hold less than 2**60 elements, got shape " +
                         to_string(shape));
    }
    product *= factor;
  }
}

void check_image(const std::string& function, const Shape4& x) {
  if (x[2] < 1 || x[3] < 1) {
    fail(function, "x must have H, W >= 1, got shape " + to_string(x));
  }
}

void check_window(const std::string& function, const Shape4& input, int64_t kernel_h,
                  int64_t kernel_w, const WindowParams& window) {
  check_image(function, input);
  check_product(function, input, "the images");
  require_between(function, "kernel_size", 1, kernel_h, kernel_w);
  require_between(function, "stride", 1, window.stride_h, window.stride_w);
  require_between(function, "dilation", 1, window.dilation_h, window.dilation_w);
  require_between(function, "padding", 0, window.pad_top, window.pad_left);
  require_between(function, "padding", 0, window.pad_bottom, window.pad_right);
}

// One axis of a window over an image.
struct Axis {
  int64_t size, kernel, stride, dilation, pad_before, pad_after;

  int64_t extent(const std::string& function) const {
    const int64_t span =
        checked_mul(dilation, kernel - 1, function, "dilation * (kernel_size - 1)");
    return checked_add(span, 1, function, "the dilated kernel");
  }
  int64_t padded_size(const std::string& function) const {
    constexpr const char* kWhat = "the padded size of x";
    return checked_add(checked_add(size, pad_before, function, kWhat), pad_after, function, kWhat);
  }
};

Axis vertical(const Shape4& input, int64_t kernel_h, const WindowParams& w) {
  return {input[2], kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom};
}

Axis horizontal(const Shape4& input, int64_t kernel_w, const WindowParams& w) {
  return {input[3], kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.pad_right};
}

void require_fit(const std::string& function, int64_t extent, int64_t padded) {
  if (extent > padded) {
    fail(function, "kernel_size must fit into the padded input, got a kernel that covers " +
                       std::to_string(extent) + " and a padded input of " + std::to_string(padded));
  }
}

int64_t floor_output(const std::string& function, const Axis& axis) {
  const int64_t padded = axis.padded_size(function);
  const int64_t extent = axis.extent(function);
  require_fit(function, extent, padded);
  return (padded - extent) / axis.stride + 1;
}

int64_t pool_output(const std::string& function, const Axis& axis, bool ceil_mode) {
  const int64_t extent = axis.extent(function);
  if (axis.pad_before >= extent || axis.pad_after >= extent) {
    fail(function, "padding must be less than the " + std::to_string(extent) +
                       " that the kernel covers, got " +
                       pair_text(axis.pad_before, axis.pad_after));
  }
  if (!ceil_mode) return floor_output(function, axis);
  const int64_t padded = axis.padded_size(function);
  const int64_t overhang = axis.stride - 1;
  if (extent > padded + overhang) require_fit(function, extent, padded);
  const int64_t out = (padded + overhang - extent) / axis.stride + 1;
  // The last window starts inside the image or the padding before it.
  return (out - 1) * axis.stride >= axis.size + axis.pad_before ? out - 1 : out;
}

void check_groups(const std::string& function, int64_t groups, int64_t weights) {
  if (groups < 1) fail(function, "groups must be at least 1, got " + std::to_string(groups));
  if (weights % groups != 0) {
    fail(function, "groups must divide the first axis of weight, " + std::to_string(weights) +
                       ", got groups=" + std::to_string(groups));
  }
}

void check_channels(const std::string& function, const Shape4& input, const Shape4& weight,
                    int64_t groups, int64_t expected) {
  if (input[1] == expected) return;
  std::string message = "x must have " + std::to_string(expected) +
                        " channels for weight of shape " + to_string(weight) +
                        " and groups=" + std::to_string(groups) + ", got x of shape " +
                        to_string(input);
  if (input[3] == expected) {
    message += "; x looks like NHWC, x.transpose(0, 3, 1, 2) makes it NCHW";
  }
  fail(function, message);
}

void require_pixels(const std::string& function, const Axis& axis, int64_t out, bool vertical) {
  if (axis.dilation == 1) return;  // padding smaller than the kernel is enough
  for (int64_t o = 0; o < out; ++o) {
    const TapRange taps =
        taps_inside(o, axis.size, axis.kernel, axis.stride, axis.dilation, axis.pad_before);
    if (taps.begin >= taps.end) {
      fail(function, "padding must leave a pixel to every window, but the window at output " +
                         pair_text(vertical ? o : 0, vertical ? 0 : o) +
                         " lies wholly in the padding");
    }
  }
}

}  // namespace

Conv2dProblem without_window(const Conv2dProblem& p) {
  const WindowParams& w = p.window;
  const bool is_whole = p.kernel_h == p.in_h && p.kernel_w == p.in_w &&
                        w.pad_top + w.pad_bottom + w.pad_left + w.pad_right == 0;
  if (!is_whole) return p;
  Conv2dProblem product = p;
  product.in_channels *= p.taps();
  product.in_h = product.in_w = product.kernel_h = product.kernel_w = 1;
  product.window = WindowParams();
  return product;
}

std::string to_string(const Shape4& shape) {
  std::string text = "(";
  for (const int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + ")";
}

void require_shape(const std::string& function, const char* argument, const char* axes,
                   const Shape4& expected, const Shape4& got) {
  if (expected != got) {
    fail(function, std::string(argument) + " must have shape " + axes + " = " +
                       to_string(expected) + ", got " + to_string(got));
  }
}

Conv2dProblem make_conv2d_problem(const std::string& function, const Shape4& input,
                                  const Shape4& weight, const WindowParams& window,
                                  int64_t groups) {
  check_groups(function, groups, weight[0]);
  check_window(function, input, weight[2], weight[3], window);
  check_channels(function, input, weight, groups,
                 checked_mul(weight[1], groups, function, "groups"));
  Conv2dProblem p{};
  p.batch = input[0];
  p.in_channels = input[1];
  p.in_h = input[2];
  p.in_w = input[3];
  p.out_channels = weight[0];
  p.kernel_h = weight[2];
  p.kernel_w = weight[3];
  p.groups = groups;
  p.window = window;
  p.out_h = floor_output(function, vertical(input, p.kernel_h, window));
  p.out_w = floor_output(function, horizontal(input, p.kernel_w, window));
  check_product(function, p.output_shape(), "the output");
  return p;
}

Conv2dProblem make_conv_transpose2d_problem(const std::string& function, const Shape4& x,
                                            const Shape4& weight, const WindowParams& window,
                                            int64_t groups, int64_t output_h, int64_t output_w) {
  check_groups(function, groups, weight[0]);
  check_image(function, x);
  check_channels(function, x, weight, groups, weight[0]);
  const int64_t output_channels = checked_mul(weight[1], groups, function, "groups");
  const Shape4 output = {x[0], output_channels, output_h, output_w};
  check_product(function, output, "the output");
  Conv2dProblem p = make_conv2d_problem(function, output, weight, window, groups);
  if (p.out_h < x[2] || p.out_w < x[3])
    require_shape(function, "x", "(N, C, H, W)", p.output_shape(), x);
  // An output_padding of a stride or more makes room for windows that x does not have.
  p.out_h = x[2];
  p.out_w = x[3];
  return p;
}

Conv2dProblem make_im2col_problem(const std::string& function, const Shape4& input,
                                  int64_t kernel_h, int64_t kernel_w, const WindowParams& window) {
  const Shape4 weight = {0, input[1], kernel_h, kernel_w};
  const Conv2dProblem p = make_conv2d_problem(function, input, weight, window, 1);
  constexpr const char* kWhat = "the column matrix";
  const int64_t taps = checked_mul(kernel_h, kernel_w, function, kWhat);
  const int64_t rows = checked_mul(input[1], taps, function, kWhat);
  check_product(function, {p.batch, rows, p.out_h, p.out_w}, kWhat);
  return p;
}

Pool2dProblem make_pool2d_problem(const std::string& function, const Shape4& input,
                                  int64_t kernel_h, int64_t kernel_w, const WindowParams& window,
                                  bool ceil_mode) {
  check_window(function, input, kernel_h, kernel_w, window);
  Pool2dProblem p{};
  p.batch = input[0];
  p.channels = input[1];
  p.in_h = input[2];
  p.in_w = input[3];
  p.kernel_h = kernel_h;
  p.kernel_w = kernel_w;
  p.window = window;
  p.count_include_pad = true;
  const Axis rows = vertical(input, kernel_h, window);
  const Axis columns = horizontal(input, kernel_w, window);
  p.out_h = pool_output(function, rows, ceil_mode);
  p.out_w = pool_output(function, columns, ceil_mode);
  check_product(function, p.output_shape(), "the output");
  require_pixels(function, rows, p.out_h, true);
  require_pixels(function, columns, p.out_w, false);
  return p;
}

}  // namespace convolt
