#include "implicit_gemm.h"

#include "grouped_gemm.h"
#include "isa.h"

namespace convolt {

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

template void gemm_forward(const Conv2dProblem&, const float*, const float*,
                           const PreparedWeight<float>*, const float*, bool, float*);
template void gemm_forward(const Conv2dProblem&, const double*, const double*,
                           const PreparedWeight<double>*, const double*, bool, double*);

}  // namespace convolt
