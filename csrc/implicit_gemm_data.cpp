// backward_data: one product for each phase of the stride.
#include <algorithm>
#include <vector>

#include "folded_taps.h"
#include "grouped_gemm.h"
#include "implicit_gemm.h"
#include "isa.h"
#include "joined_phases.h"
#include "parallel.h"
#include "phase_axis.h"

namespace convolt {
namespace {

// Where the phases share out the taps, the weight is turned first. Where one takes them all,
// turning it while packing is faster.
bool turns_weight(const Conv2dProblem& p) {
  return p.taps() > 1 && (p.window.stride_h > 1 || p.window.stride_w > 1);
}

// From tap to tap of the turned weight. A multiple of 4 KiB would send all taps to the same set of
// the first level of the cache.
int64_t turned_pitch(const Conv2dProblem& p) {
  constexpr int64_t kLine = 16, kPage = 1024;
  return round_up(p.out_channels * p.group_in_channels(), kPage) + 5 * kLine;
}

template <typename T>
GroupedGemm<T> backward_data_gemm(const Conv2dProblem& p, const PhaseAxis& v, const PhaseAxis& h) {
  GroupedGemm<T> gemm{};
  Im2colView& view = gemm.view;
  view.channels = p.group_out_channels();
  view.in_h = p.out_h;
  view.in_w = p.out_w;
  view.batch_stride = p.out_channels * p.out_pixels();
  view.channel_stride = p.out_pixels();
  view.taps_h = v.taps;
  view.taps_w = h.taps;
  view.dilation_h = v.dilation;
  view.dilation_w = h.dilation;
  view.origin_h = v.origin;
  view.origin_w = h.origin;
  view.batch = p.batch;
  view.grid_h = v.pixels;
  view.grid_w = h.pixels;
  view.stride_h = view.stride_w = 1;
  gemm.groups = p.groups;
  // From tap to tap, channel to channel, in the weight as it is or as turn_weight() leaves it.
  const bool turned = turns_weight(p);
  const int64_t tap_step = turned ? turned_pitch(p) : 1;
  const int64_t row_step = turned ? 1 : p.taps();
  WeightView<T>& weight = gemm.first.a;
  weight.rows = p.group_in_channels();
  weight.channels = p.group_out_channels();
  weight.row_stride = row_step;
  weight.channel_stride = p.group_in_channels() * row_step;
  weight.taps_h = v.taps;
  weight.taps_w = h.taps;
  weight.first_tap = (v.last_tap * p.kernel_w + h.last_tap) * tap_step;
  weight.tap_stride_h = -v.tap_step * p.kernel_w * tap_step;
  weight.tap_stride_w = -h.tap_step * tap_step;
  gemm.weight_step = p.group_out_channels() * p.group_in_channels() * row_step;
  gemm.image_step = p.group_out_channels() * p.out_pixels();
  gemm.c_step = p.group_in_channels() * p.in_pixels();
  return gemm;
}

// turned[tap][oc][c] = weight[oc][c][tap]: a panel holds channels of x, and a phase of the stride
// takes only some of the taps.
template <typename T>
void turn_weight(const KernelTable<T>& kernels, const Conv2dProblem& p, const T* weight,
                 T* turned) {
  constexpr int64_t kChannels = 32;  // what the kernel fetches ahead
  const int64_t channels = p.group_in_channels();
  const int64_t taps = p.taps();
  const int threads = threads_for(4.0 * static_cast<double>(p.out_channels * channels * taps));
  parallel_for(p.out_channels, threads, [&](int64_t oc, int) {
    for (int64_t c = 0; c < channels; c += kChannels) {
      kernels.interleave_rows(weight + (oc * channels + c) * taps, taps,
                              std::min(kChannels, channels - c), taps, turned + oc * channels + c,
                              turned_pitch(p), kChannels * taps);
    }
  });
}

// What the calls below share: a pass over dx, and the phases of its rows and of its columns.
template <typename T>
struct DataGradient {
  const Conv2dProblem& p;
  const KernelTable<T>& kernels;
  const T* dy;
  const T* weight;  // turned or not
  const T* bias;
  T* dx;
  std::vector<PhaseAxis> rows, columns;

  GroupedGemm<T> gemm(const PhaseAxis& v, const PhaseAxis& h) const {
    GroupedGemm<T> gemm = backward_data_gemm<T>(p, v, h);
    gemm.kernels = &kernels;
    gemm.first.a.data = weight;
    gemm.first.image = dy;
    gemm.first.bias = bias;
    return gemm;
  }
};

bool all_met(const std::vector<PhaseAxis>& axes) {
  return std::all_of(axes.begin(), axes.end(), [](const PhaseAxis& axis) { return axis.taps > 0; });
}

// What the pixels hold that no tap meets.
template <typename T>
void fill_with_bias(const DataGradient<T>& gradient) {
  const Conv2dProblem& p = gradient.p;
  const int64_t planes = p.batch * p.in_channels;
  const int threads = threads_for(static_cast<double>(planes * p.in_pixels()));
  parallel_for(planes, threads, [&](int64_t plane, int) {
    const T value = gradient.bias == nullptr ? T{0} : gradient.bias[plane % p.in_channels];
    std::fill_n(gradient.dx + plane * p.in_pixels(), p.in_pixels(), value);
  });
}

// Each phase writes its pixels of dx itself.
template <typename T>
std::vector<GroupedGemm<T>> separate_phases(const DataGradient<T>& gradient) {
  const Conv2dProblem& p = gradient.p;
  std::vector<GroupedGemm<T>> gemms;
  for (const PhaseAxis& v : gradient.rows) {
    for (const PhaseAxis& h : gradient.columns) {
      if (v.taps == 0 || h.taps == 0) continue;
      gemms.push_back(gradient.gemm(v, h));
      gemms.back().first.c = {gradient.dx + v.phase * p.in_w + h.phase,
                              p.in_pixels(),
                              p.in_channels * p.in_pixels(),
                              p.window.stride_h * p.in_w,
                              p.window.stride_w,
                              v.pixels,
                              h.pixels};
    }
  }
  return gemms;
}

// The phases of a row are joined before they are written. Only where the products are not narrow:
// those have few pixels to write.
template <typename T>
std::vector<JoinedPhases<T>> joined_phases(const DataGradient<T>& gradient) {
  const Conv2dProblem& p = gradient.p;
  std::vector<JoinedPhases<T>> rows;
  for (const PhaseAxis& v : gradient.rows) {
    JoinedPhases<T> joined = {{},
                              gradient.dx + v.phase * p.in_w,
                              p.in_pixels(),
                              p.in_channels * p.in_pixels(),
                              p.window.stride_h * p.in_w,
                              p.window.stride_w,
                              p.in_w};
    for (PhaseAxis h : gradient.columns) {
      h.pixels = gradient.columns.front().pixels;
      joined.phases.push_back(gradient.gemm(v, h));
    }
    rows.push_back(std::move(joined));
  }
  return rows;
}

bool joins_phases(const Conv2dProblem& p, const std::vector<PhaseAxis>& rows,
                  const std::vector<PhaseAxis>& columns) {
  constexpr int64_t kLeastPixels = 128;
  return p.window.stride_w > 1 &&
         p.batch * rows.front().pixels * columns.front().pixels >= kLeastPixels;
}

}  // namespace

template <typename T>
void gemm_backward_data(const Conv2dProblem& p, const T* dy, const T* weight, const T* bias,
                        T* dx) {
  if (p.batch == 0) return;
  constexpr double kLeastWaste = 1.5;
  if (bias == nullptr && suits_folded_taps(p, kLeastWaste)) {
    return folded_taps_backward_data(p, dy, weight, dx);
  }
  const WindowParams& w = p.window;
  DataGradient<T> gradient = {p,
                              selected_kernels<T>(),
                              dy,
                              weight,
                              bias,
                              dx,
                              phases(p.in_h, p.kernel_h, w.stride_h, w.dilation_h, w.pad_top),
                              phases(p.in_w, p.kernel_w, w.stride_w, w.dilation_w, w.pad_left)};
  const bool join = joins_phases(p, gradient.rows, gradient.columns);
  std::size_t gemm_bytes = 0;
  const auto note = [&](std::size_t bytes) { gemm_bytes = std::max(gemm_bytes, bytes); };
  if (join) {
    for (const auto& joined : joined_phases(gradient)) note(joined_phases_scratch_bytes(joined));
  } else {
    for (const auto& gemm : separate_phases(gradient)) note(gemm_scratch_bytes(gemm));
  }

  Slicer size;
  size.take<T>(turns_weight(p) ? turned_pitch(p) * p.taps() : 0);
  const Scratch scratch(size.used() + gemm_bytes);
  if (turns_weight(p)) {
    T* const turned = reinterpret_cast<T*>(scratch.data());
    turn_weight(gradient.kernels, p, weight, turned);
    gradient.weight = turned;
  }
  std::byte* const rest = scratch.data() + size.used();
  if (join) {
    for (const auto& joined : joined_phases(gradient)) run_joined_phases(joined, rest);
    return;
  }
  if (!all_met(gradient.rows) || !all_met(gradient.columns)) fill_with_bias(gradient);
  for (const auto& gemm : separate_phases(gradient)) run_gemm(gemm, rest);
}

template void gemm_backward_data(const Conv2dProblem&, const float*, const float*, const float*,
                                 float*);
template void gemm_backward_data(const Conv2dProblem&, const double*, const double*, const double*,
                                 double*);

}  // namespace convolt
