#include "plan.h"

#include <algorithm>
#include <type_traits>

#include "folded_taps.h"
#include "isa.h"
#include "winograd_cost.h"

namespace convolt {
namespace {

// Whether the row kernels beat the GEMM, as measured with 1 to 32 channels in a group on AVX2 and
// AVX-512, in float32 and float64. The GEMM packs each pixel once for every tap, which a few
// outputs do not pay for; the row kernels keep all channels of a group in cache, and sums in
// registers.
bool suits_rows(const Conv2dProblem& p, Pass pass) {
  constexpr int64_t kMostReach = 256;  // of a dilated kernel beyond its first tap
  if ((p.kernel_h - 1) * p.window.dilation_h >= kMostReach ||
      (p.kernel_w - 1) * p.window.dilation_w >= kMostReach) {
    return false;
  }
  const bool transposed = pass == Pass::kBackwardData;
  const int64_t outputs = transposed ? p.group_in_channels() : p.group_out_channels();
  const int64_t channels = transposed ? p.group_out_channels() : p.group_in_channels();
  if (outputs == 0 || channels == 0) return false;
  const bool of_weights = pass == Pass::kBackwardWeights;
  const int64_t pairs = outputs * channels;
  // 1x1 taps of whole planes are read where they lie; a single plane is no product.
  if (p.taps() == 1) return of_weights ? pairs <= 16 : channels == 1 && outputs <= 8;
  // Rows of few columns leave lanes idle, which counts where several channels are added.
  const int64_t narrow = of_weights ? 12 : 8;
  const int64_t columns = transposed ? p.in_w : p.out_w;
  if (channels == 1 && columns >= narrow) return outputs <= (of_weights ? 12 : 16);
  return outputs <= (columns < narrow && channels > 1 ? 4 : 8) && pairs <= 320;
}

// Both have channels enough for tiles of a product. Of 8 channels and 8 outputs the row kernels are
// as fast; a single output for each image is a product of whole images.
bool suits_winograd(const Conv2dProblem& p) {
  constexpr int64_t kLeastChannels = 8, kLeastPairs = 128;
  if (p.out_pixels() == 1) return false;
  const int64_t channels = p.group_in_channels(), outputs = p.group_out_channels();
  return winograd_applies(Algorithm::kWinograd, p.kernel_h, p.kernel_w, p.window) &&
         std::min(channels, outputs) >= kLeastChannels && channels * outputs >= kLeastPairs;
}

// For the gradient of filters: its errors grow with the root of all pixels, what they are measured
// by with the pixels that a tap in a corner meets. The shares keep them within 16 units of
// rounding, as measured with images of 4 to 56 pixels a side.
bool has_pixels_enough(const Conv2dProblem& p) {
  const double least = p.taps() == 9 ? 100 : 625;
  const int64_t reach = p.kernel_h / 2, h = std::max<int64_t>(p.out_h - reach, 0);
  const auto met = static_cast<double>(p.batch * h * std::max<int64_t>(p.out_w - reach, 0));
  return met * met >= least * static_cast<double>(p.batch * p.out_h * p.out_w);
}

// What a name of Winograd means for this problem. The gradient of filters has one size of tile for
// 3 x 3, which is not the small one.
Algorithm named_winograd(const Conv2dProblem& p, Pass pass, Algorithm asked) {
  const bool of_weights = pass == Pass::kBackwardWeights;
  if (p.taps() == 9 && of_weights) {
    return asked == Algorithm::kWinograd2x2 ? Algorithm::kGemm : Algorithm::kWinograd4x4;
  }
  if (asked != Algorithm::kWinograd) return asked;
  return fewest_products(p, pass) == 2 ? Algorithm::kWinograd2x2 : Algorithm::kWinograd4x4;
}

}  // namespace

template <typename T>
Algorithm plan(const Conv2dProblem& problem, Pass pass, Algorithm asked, bool prepared) {
  if (is_winograd(asked)) return named_winograd(problem, pass, asked);
  if (asked != Algorithm::kAuto) return asked;
  // Winograd wastes less on padding than the product does, and needs no fold of many channels.
  const double least_waste = problem.in_channels <= problem.out_channels ? 1.9 : 1e9;
  if (pass == Pass::kBackwardData && suits_folded_taps(problem, least_waste)) {
    return Algorithm::kGemm;
  }
  if (std::is_same_v<T, float> && suits_winograd(problem)) {
    const KernelTable<T>& kernels = selected_kernels<T>();
    const ProductTile tile = {kernels.mr, kernels.lanes};
    if (pass != Pass::kBackwardWeights) return cheapest(problem, pass, prepared, tile);
    if (has_pixels_enough(problem)) return cheapest_gradient(problem, tile);
  }
  return suits_rows(problem, pass) ? Algorithm::kDepthwise : Algorithm::kGemm;
}

template Algorithm plan<float>(const Conv2dProblem&, Pass, Algorithm, bool);
template Algorithm plan<double>(const Conv2dProblem&, Pass, Algorithm, bool);

}  // namespace convolt
