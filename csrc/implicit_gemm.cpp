#include "implicit_gemm.h"

#include <algorithm>
#include <vector>

#include "grouped_gemm.h"
#include "isa.h"
#include "parallel.h"
#include "phase_axis.h"

namespace convolt {
namespace {

// Where the phases share out the taps, the weight is turned first. Where one takes them all,
// turning it while packing is faster.
bool turns_weight(const Conv2dProblem& p) {
  return p.taps() > 1 && (p.window.stride_h > 1 || p.window.stride_w > 1);
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
  const int64_t tap_step = turned ? p.out_channels * p.group_in_channels() : 1;
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

bool all_met(const std::vector<PhaseAxis>& axes) {
  return std::all_of(axes.begin(), axes.end(), [](const PhaseAxis& axis) { return axis.taps > 0; });
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
                              p.out_channels * channels, kChannels * taps);
    }
  });
}

// What the pixels hold that no tap meets.
template <typename T>
void fill_with_bias(const Conv2dProblem& p, const T* bias, T* dx) {
  const int64_t planes = p.batch * p.in_channels;
  const int threads = threads_for(static_cast<double>(planes * p.in_pixels()));
  parallel_for(planes, threads, [&](int64_t plane, int) {
    const T value = bias == nullptr ? T{0} : bias[plane % p.in_channels];
    std::fill_n(dx + plane * p.in_pixels(), p.in_pixels(), value);
  });
}

}  // namespace

template <typename T>
void gemm_forward(const Conv2dProblem& p, const T* x, const T* weight,
                  const PreparedWeight<T>* prepared, const T* bias, bool relu, T* y) {
  GroupedGemm<T> gemm{};
  gemm.kernels = &selected_kernels<T>();
  gemm.view = forward_view(p);
  gemm.groups = p.groups;
  WeightView<T>& a = gemm.first.a;
  a.data = weight;
  a.rows = p.group_out_channels();
  a.channels = p.group_in_channels();
  a.row_stride = gemm.view.rows();
  a.channel_stride = p.taps();
  a.taps_h = p.kernel_h;
  a.taps_w = p.kernel_w;
  a.tap_stride_h = p.kernel_w;
  a.tap_stride_w = 1;
  gemm.first.image = x;
  gemm.first.c = {y, p.out_pixels(), p.out_channels * p.out_pixels(), p.out_w, 1, p.out_h, p.out_w};
  gemm.first.bias = bias;
  gemm.first.relu = relu;
  gemm.weight_step = p.group_out_channels() * gemm.view.rows();
  gemm.image_step = p.group_in_channels() * p.in_pixels();
  gemm.c_step = p.group_out_channels() * p.out_pixels();
  if (prepared != nullptr) {
    const int64_t width = weight_panel_width(*gemm.kernels, a, gemm.view.columns());
    gemm.first.packed_a = prepared->panels(*gemm.kernels, a, p.groups, gemm.weight_step, width);
  }
  const Scratch scratch(gemm_scratch_bytes(gemm));
  run_gemm(gemm, scratch.data());
}

template <typename T>
void gemm_backward_data(const Conv2dProblem& p, const T* dy, const T* weight, const T* bias,
                        T* dx) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  const WindowParams& w = p.window;
  const std::vector<PhaseAxis> rows =
      phases(p.in_h, p.kernel_h, w.stride_h, w.dilation_h, w.pad_top);
  const std::vector<PhaseAxis> columns =
      phases(p.in_w, p.kernel_w, w.stride_w, w.dilation_w, w.pad_left);
  if (!all_met(rows) || !all_met(columns)) fill_with_bias(p, bias, dx);

  std::vector<GroupedGemm<T>> gemms;
  std::size_t gemm_bytes = 0;
  for (const PhaseAxis& v : rows) {
    for (const PhaseAxis& h : columns) {
      if (v.taps == 0 || h.taps == 0) continue;
      GroupedGemm<T> gemm = backward_data_gemm<T>(p, v, h);
      gemm.kernels = &kernels;
      gemm.first.image = dy;
      gemm.first.c = {dx + v.phase * p.in_w + h.phase,
                      p.in_pixels(),
                      p.in_channels * p.in_pixels(),
                      w.stride_h * p.in_w,
                      w.stride_w,
                      v.pixels,
                      h.pixels};
      gemm.first.bias = bias;
      gemm_bytes = std::max(gemm_bytes, gemm_scratch_bytes(gemm));
      gemms.push_back(gemm);
    }
  }

  Slicer size;
  size.take<T>(turns_weight(p) ? p.out_channels * p.group_in_channels() * p.taps() : 0);
  const Scratch scratch(size.used() + gemm_bytes);
  T* const turned = reinterpret_cast<T*>(scratch.data());
  if (turns_weight(p)) turn_weight(kernels, p, weight, turned);
  for (GroupedGemm<T>& gemm : gemms) {
    gemm.first.a.data = turns_weight(p) ? turned : weight;
    run_gemm(gemm, scratch.data() + size.used());
  }
}

template void gemm_forward(const Conv2dProblem&, const float*, const float*,
                           const PreparedWeight<float>*, const float*, bool, float*);
template void gemm_forward(const Conv2dProblem&, const double*, const double*,
                           const PreparedWeight<double>*, const double*, bool, double*);
template void gemm_backward_data(const Conv2dProblem&, const float*, const float*, const float*,
                                 float*);
template void gemm_backward_data(const Conv2dProblem&, const double*, const double*, const double*,
                                 double*);

}  // namespace convolt
