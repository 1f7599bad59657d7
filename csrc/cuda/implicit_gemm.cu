#include "../phase_axis.h"
#include "implicit_gemm.h"
#include "tiled_product.cuh"

namespace convolt::cuda {
namespace {

// Images of whole planes, `pixels` each.
template <typename T>
Target<T> image_target(T* images, int64_t channels, int64_t groups, int64_t batch, int64_t h,
                       int64_t w) {
  const int64_t plane = h * w;
  Target<T> target = {};
  target.data = images;
  target.group_stride = channels / groups * plane;
  target.image_stride = channels * plane;
  target.plane_stride = plane;
  target.row_stride = w;
  target.column_stride = 1;
  target.pixels = make_walk<3>({batch, h, w}, 1);
  target.in_vectors = plane % kVectorWidth<T> == 0;
  return target;
}

// Columns are windows on images, rows the taps.
template <typename T>
ImageOperand<T> window_columns(const T* images, int64_t channels, int64_t groups, int64_t batch,
                               const WindowAxis& v, const WindowAxis& h) {
  const int64_t plane = v.size * h.size;
  return {images,
          channels / groups * plane,
          static_cast<int>(v.size),
          static_cast<int>(h.size),
          tap_points(v, h, plane),
          pixel_points(v, h, channels * plane),
          make_walk<3>({batch, v.out, h.out}, 1)};
}

// A phase of the stride along both axes.
struct Phase {
  PhaseAxis vertical, horizontal;
};

// The windows of a phase on dy. Its taps come last to first, which makes it a convolution.
WindowAxis window_on_dy(const PhaseAxis& phase, int64_t size) {
  return {size, phase.taps, 1, phase.dilation, -phase.origin, phase.pixels};
}

// The weight of a phase: columns are channels of x, k runs over (oc, kh, kw).
template <typename T>
ArrayOperand<T> phase_weight(const Conv2dProblem& p, const Phase& phase, const T* weight) {
  const PhaseAxis &v = phase.vertical, &h = phase.horizontal;
  const int64_t output = p.group_in_channels() * p.taps();
  return {weight + v.last_tap * p.kernel_w + h.last_tap,
          p.group_out_channels() * output,
          p.taps(),
          {output, -v.tap_step * p.kernel_w, -h.tap_step, 0, 0, 0}};
}

// A phase that no tap meets is a product with k = 0, which leaves the bias.
template <typename T>
void backward_data(const Conv2dProblem& p, const Phase& phase, const T* dy, const T* weight,
                   const T* bias, T* dx) {
  const PhaseAxis &v = phase.vertical, &h = phase.horizontal;
  Product<ArrayOperand<T>, ImageOperand<T>, false> product = {};
  product.size = {p.groups, p.group_in_channels(), p.batch * v.pixels * h.pixels,
                  p.group_out_channels() * v.taps * h.taps};
  product.a = phase_weight(p, phase, weight);
  product.b = window_columns(dy, p.out_channels, p.groups, p.batch, window_on_dy(v, p.out_h),
                             window_on_dy(h, p.out_w));
  product.k_extents = {p.group_out_channels(), std::max<int64_t>(v.taps, 1),
                       std::max<int64_t>(h.taps, 1)};
  product.c = image_target(dx, p.in_channels, p.groups, p.batch, p.in_h, p.in_w);
  if (p.window.stride_h > 1 || p.window.stride_w > 1) {
    product.c.data += v.phase * p.in_w + h.phase;
    product.c.row_stride *= p.window.stride_h;
    product.c.column_stride = p.window.stride_w;
    product.c.pixels = product.b.columns_walk;
    product.c.in_vectors = false;
  }
  product.c.bias = bias;
  launch_product(plan_tiles<T>(product.size), product);
}

}  // namespace

bool has_implicit_gemm(const Conv2dProblem& p) {
  const WindowParams& w = p.window;
  const int64_t channels = std::max(p.group_in_channels(), p.group_out_channels());
  return p.in_h + w.pad_top + w.pad_bottom <= kLargestPaddedSize &&
         p.in_w + w.pad_left + w.pad_right <= kLargestPaddedSize &&
         channels * p.taps() <= kLongestSum;
}

ProductSize forward_size(const Conv2dProblem& p) {
  return {p.groups, p.group_out_channels(), p.batch * p.out_pixels(),
          p.group_in_channels() * p.taps()};
}

template <typename T>
void implicit_gemm_forward(const Conv2dProblem& p, const T* x, const T* weight, const T* bias,
                           bool relu, T* y) {
  Product<ContiguousOperand<T>, ImageOperand<T>, false> product = {};
  product.size = forward_size(p);
  const int64_t k = product.size.k;
  product.a = {weight, product.size.m * k, k, k % kVectorWidth<T> == 0};
  product.b = window_columns(x, p.in_channels, p.groups, p.batch, vertical(p), horizontal(p));
  product.k_extents = {p.group_in_channels(), p.kernel_h, p.kernel_w};
  product.c = image_target(y, p.out_channels, p.groups, p.batch, p.out_h, p.out_w);
  product.c.bias = bias;
  product.c.relu = relu;
  launch_product(plan_tiles<T>(product.size), product);
}

template <typename T>
void implicit_gemm_backward_data(const Conv2dProblem& p, const T* dy, const T* weight,
                                 const T* bias, T* dx) {
  const WindowParams& w = p.window;
  const auto rows = phases(p.in_h, p.kernel_h, w.stride_h, w.dilation_h, w.pad_top);
  const auto columns = phases(p.in_w, p.kernel_w, w.stride_w, w.dilation_w, w.pad_left);
  for (const PhaseAxis& v : rows) {
    for (const PhaseAxis& h : columns) backward_data(p, {v, h}, dy, weight, bias, dx);
  }
}

template void implicit_gemm_forward(const Conv2dProblem&, const float*, const float*, const float*,
                                    bool, float*);
template void implicit_gemm_forward(const Conv2dProblem&, const double*, const double*,
                                    const double*, bool, double*);
template void implicit_gemm_backward_data(const Conv2dProblem&, const float*, const float*,
                                          const float*, float*);
template void implicit_gemm_backward_data(const Conv2dProblem&, const double*, const double*,
                                          const double*, double*);

}  // namespace convolt::cuda
