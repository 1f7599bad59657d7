#include <atomic>

#include "direct.h"
#include "implicit_gemm.h"
#include "kernel_choice.h"

namespace convolt::cuda {
namespace {

std::atomic<Kernels> asked_for{Kernels::kAuto};

// In the unit of TilePlan::cost. A launch takes about 3 us, 5000 cycles of the 128 multiply-adds
// of a multiprocessor.
constexpr double kLaunch = 5000 * 128;
// And a byte of device memory as long as 10 multiply-adds: 20 operations, as on an H100; on other
// devices it is 12 to 80, half of it for doubles, which are twice as long.
constexpr double kFourBytes = 40.0 / kMultiprocessors;
// What cuBLAS reaches with a tile, against ours.
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
  const WindowParams& w = p.window;
  const bool is_pointwise =
      p.taps() == 1 && w.stride_h == 1 && w.stride_w == 1 && p.in_pixels() == p.out_pixels();
  const int64_t taps = p.group_in_channels() * p.taps(), outputs = p.group_out_channels();
  const int64_t images = p.groups * p.batch;
  ProductSize size = {images, outputs, p.out_pixels(), taps};
  if (pass == Pass::kBackwardData) size = {images, taps, p.out_pixels(), outputs};
  if (pass == Pass::kBackwardWeights) size = backward_weights_size(p);
  const double product = kLaunch + plan_tiles<T>(size).cost / kBlasGain;
  if (is_pointwise) return product;
  const double columns = static_cast<double>(images * taps) * static_cast<double>(p.out_pixels());
  return product + kLaunch + 2 * kFourBytes * columns;
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
