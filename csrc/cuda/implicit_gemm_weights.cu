#include "elementwise.h"
#include "implicit_gemm.h"
#include "tiled_product.cuh"

namespace convolt::cuda {
namespace {

// The rows of all groups, one below the other: `dweight`, or one part of it after the other.
template <typename T>
Target<T> weight_target(const ProductSize& size, T* data) {
  Target<T> target = {};
  target.data = data;
  target.group_stride = size.m * size.n;
  target.part_stride = size.groups * size.m * size.n;
  target.plane_stride = size.n;
  target.column_stride = 1;
  target.pixels = make_walk<3>({1, 1, size.n}, 1);
  target.in_vectors = size.n % kVectorWidth<T> == 0;
  return target;
}

}  // namespace

ProductSize backward_weights_size(const Conv2dProblem& p) {
  return {p.groups, p.group_out_channels(), p.group_in_channels() * p.taps(),
          p.batch * p.out_pixels(), true};
}

template <typename T>
void implicit_gemm_backward_weights(const Conv2dProblem& p, const T* dy, const T* x, T* dweight) {
  Product<ArrayOperand<T>, ImageOperand<T>, true> product = {};
  product.size = backward_weights_size(p);
  product.a = {dy,
               p.group_out_channels() * p.out_pixels(),
               p.out_pixels(),
               {p.out_channels * p.out_pixels(), p.out_w, 1, 0, 0, 0}};
  product.b = {x,
               p.group_in_channels() * p.in_pixels(),
               static_cast<int>(p.in_h),
               static_cast<int>(p.in_w),
               pixel_points(vertical(p), horizontal(p), p.in_channels * p.in_pixels()),
               tap_points(vertical(p), horizontal(p), p.in_pixels()),
               make_walk<3>({p.group_in_channels(), p.kernel_h, p.kernel_w}, 1)};
  product.k_extents = {p.batch, p.out_h, p.out_w};
  const TilePlan plan = plan_tiles<T>(product.size);
  if (plan.parts.count == 1) {
    product.c = weight_target(product.size, dweight);
    return launch_product(plan, product);
  }
  const int64_t elements = product.size.groups * product.size.m * product.size.n;
  const Scratch<T> parts(plan.parts.count * elements);
  product.c = weight_target(product.size, parts.data());
  launch_product(plan, product);
  sum(1, plan.parts.count, elements, parts.data(), dweight);
}

template void implicit_gemm_backward_weights(const Conv2dProblem&, const float*, const float*,
                                             float*);
template void implicit_gemm_backward_weights(const Conv2dProblem&, const double*, const double*,
                                             double*);

}  // namespace convolt::cuda
