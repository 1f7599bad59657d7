#include "plan.h"

#include <algorithm>
#include <type_traits>

#include "isa.h"
#include "winograd_cost.h"

namespace convolt {
namespace {

// Whether the row kernels beat the GEMM, as measured with 2 to 32 channels in a group on AVX2 and
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
  return outputs <= (columns < narrow && channels > 1 ? 4 : 8) && pairs <= 320;
}

// Both have channels enough for tiles of a product. Of 8 channels and 8 outputs the row kernels are
// as fast.
bool suits_winograd(const Conv2dProblem& p) {
  constexpr int64_t kLeastChannels = 8, kLeastPairs = 128;
  const int64_t channels = p.group_in_channels(), outputs = p.group_out_channels();
  return winograd_applies(p.kernel_h, p.kernel_w, p.window) &&
         std::min(channels, outputs) >= kLeastChannels && channels * outputs >= kLeastPairs;
}

// For the gradient of filters, whose errors are those of whole tiles: against the few products of a
// tap in a corner they would be large, as measured with images of 4 to 16 pixels a side.
bool has_pixels_enough(const Conv2dProblem& p) {
  constexpr int64_t kLeastPixels = 128;
  return p.batch * (p.out_h - 1) * (p.out_w - 1) >= kLeastPixels;
}

}  // namespace

template <typename T>
Algorithm plan(const Conv2dProblem& problem, Pass pass, Algorithm asked, bool prepared) {
  const bool of_weights = pass == Pass::kBackwardWeights;
  if (asked == Algorithm::kWinograd) {
    return !of_weights && fewest_products(problem, pass) == 2 ? Algorithm::kWinograd2x2
                                                              : Algorithm::kWinograd4x4;
  }
  if (asked != Algorithm::kAuto) return asked;
  if (std::is_same_v<T, float> && suits_winograd(problem)) {
    const KernelTable<T>& kernels = selected_kernels<T>();
    const ProductTile tile = {kernels.mr, kernels.lanes};
    if (!of_weights) return cheapest_3x3(problem, pass, prepared, tile);
    if (has_pixels_enough(problem)) return cheapest_3x3_gradient(problem, tile);
  }
  return suits_rows(problem, pass) ? Algorithm::kDepthwise : Algorithm::kGemm;
}

template Algorithm plan<float>(const Conv2dProblem&, Pass, Algorithm, bool);
template Algorithm plan<double>(const Conv2dProblem&, Pass, Algorithm, bool);

}  // namespace convolt
