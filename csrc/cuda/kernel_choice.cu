#include <atomic>

#include "direct.h"
#include "implicit_gemm.h"
#include "kernel_choice.h"

namespace convolt::cuda {
namespace {

std::atomic<Kernels> asked_for{Kernels::kAuto};

// Times in the unit of TilePlan::cost, the multiply-adds of one multiprocessor. A launch takes some
// 3 us: 5000 cycles of 128.
constexpr double kLaunch = 5000 * 128;
// An element on its way to or from device memory: 20 operations a byte, as on an H100, on other
// devices 12 to 80; for a double half as many, and twice the bytes.
constexpr double kElement = 40.0 / kMultiprocessors;
// The speed of cuBLAS, at 90 % of the peak, over that of a tile at 66 %.
constexpr double kBlasGain = 1.35;

template <typename T>
double implicit_gemm_cost(const Conv2dProblem& p, Pass pass) {
  if (pass == Pass::kForward) return kLaunch + plan_tiles<T>(forward_size(p)).cost;
  if (pass == Pass::kBackwardWeights) return kLaunch + plan_tiles<T>(backward_weights_size(p)).cost;
  // As if the phases shared out pixels and taps evenly.
  const int64_t across = std::min(p.window.stride_h, p.in_h);
  const int64_t along = std::min(p.window.stride_w, p.in_w);
  const ProductSize phase = {p.groups, p.group_in_channels(),
                             p.batch * ceil_div(p.in_h, across) * ceil_div(p.in_w, along),
                             ceil_div(p.group_out_channels() * p.taps(), across * along)};
  return static_cast<double>(across * along) * (kLaunch + plan_tiles<T>(phase).cost);
}

// A product for each image and group, whose columns go to memory and come back; those of a
// pointwise convolution are the image.
template <typename T>
double columns_cost(const Conv2dProblem& p, Pass pass) {
  const int64_t taps = p.group_in_channels() * p.taps(), outputs = p.group_out_channels();
  const int64_t images = p.groups * p.batch;
  ProductSize size = {images, outputs, p.out_pixels(), taps};
  if (pass == Pass::kBackwardData) size = {images, taps, p.out_pixels(), outputs};
  if (pass == Pass::kBackwardWeights) size = backward_weights_size(p);
  const double product = kLaunch + plan_tiles<T>(size).cost / kBlasGain;
  if (p.is_pointwise()) return product;
  const double columns = static_cast<double>(images * taps) * static_cast<double>(p.out_pixels());
  return product + kLaunch + 2 * kElement * columns;
}

template <typename T>
Kernels fastest(const Conv2dProblem& p, Pass pass) {
  if (has_direct_kernel(p)) return Kernels::kDirect;
  const bool implicit = implicit_gemm_cost<T>(p, pass) <= columns_cost<T>(p, pass);
  return implicit ? Kernels::kImplicitGemm : Kernels::kColumns;
}

}  // namespace

void set_kernels(Kernels kernels) { asked_for = kernels; }

template <typename T>
Kernels choose_kernels(const Conv2dProblem& problem, Pass pass, Algorithm asked) {
  Kernels kernels = asked_for;
  if (kernels == Kernels::kDirect && !has_direct_kernel(problem)) kernels = Kernels::kAuto;
  if (kernels == Kernels::kAuto) {
    kernels = asked == Algorithm::kGemm ? Kernels::kImplicitGemm : fastest<T>(problem, pass);
  }
  const bool possible = kernels != Kernels::kImplicitGemm || has_implicit_gemm(problem);
  return possible ? kernels : Kernels::kColumns;
}

template Kernels choose_kernels<float>(const Conv2dProblem&, Pass, Algorithm);
template Kernels choose_kernels<double>(const Conv2dProblem&, Pass, Algorithm);

}  // namespace convolt::cuda
