#include "implicit_gemm.h"

#include <algorithm>
#include <vector>

#include "gemm.h"
#include "isa.h"
#include "parallel.h"
#include "phase_axis.h"

namespace convolt {
namespace {

// One product for each group: what the passes differ in.
template <typename T>
struct GroupedGemm {
  Im2colView view;
  int64_t groups;
  GemmProblem<T> first;  // of group 0
  // From group to group, in elements.
  int64_t weight_step, image_step, c_step;

  GemmProblem<T> of_group(int64_t group) const {
    GemmProblem<T> problem = first;
    problem.a.data += group * weight_step;
    problem.image += group * image_step;
    problem.c.data += group * c_step;
    if (problem.bias != nullptr) problem.bias += group * first.a.rows;
    return problem;
  }
};

// The split of the work. Nothing here changes a bit of the result: only the columns and rows of C
// are divided, never a sum.
struct GemmPlan {
  int threads;
  ColumnBlocks blocks;
  int64_t rows_per_task, row_parts;
  bool prepack_a;

  int64_t tasks(int64_t groups) const { return groups * blocks.count * row_parts; }
};

template <typename T>
GemmPlan plan_gemm(const KernelTable<T>& kernels, const GroupedGemm<T>& gemm) {
  const int64_t columns = gemm.view.columns();
  const WeightView<T>& a = gemm.first.a;
  const int threads = threads_for(2.0 * static_cast<double>(a.rows * gemm.groups) *
                                  static_cast<double>(std::max<int64_t>(a.columns(), 1)) *
                                  static_cast<double>(columns));
  // Four tasks a thread even out what the system takes; below four panels packing would not pay.
  constexpr int64_t kTasksPerThread = 4;
  constexpr int64_t kLeastPanels = 4;
  int64_t width = kernels.nc;
  if (threads > 1) {
    const int64_t even = ceil_div(columns * gemm.groups, kTasksPerThread * threads);
    width = std::min(width, std::max(even, kLeastPanels * kernels.nr));
  }
  GemmPlan result = {threads, ColumnBlocks(gemm.view, width, kernels.nr), 0, 1, false};
  const int64_t tasks = std::max<int64_t>(result.blocks.count * gemm.groups, 1);
  if (tasks < threads) result.row_parts = ceil_div(threads, tasks);
  result.rows_per_task =
      std::max(round_up(ceil_div(a.rows, result.row_parts), kernels.mr), kernels.mr);
  result.row_parts = ceil_div(a.rows, result.rows_per_task);
  // Packing A for each block of columns costs some 3 % of the block's product; packing it
  // beforehand costs a trip to memory.
  constexpr int64_t kMostPackings = 2;
  result.prepack_a = result.blocks.count > kMostPackings;
  return result;
}

// All of A for all groups, a panel of MR rows at a time.
template <typename T>
void prepack_a(const KernelTable<T>& kernels, const GroupedGemm<T>& gemm, T* packed) {
  const WeightView<T>& a = gemm.first.a;
  const int64_t elements = packed_a_elements(kernels, a);
  const int64_t kc = even_block(a.columns(), kernels.kc);
  const int64_t panels = ceil_div(a.rows, kernels.mr);
  constexpr double kOperationsPerElement = 4;
  const int threads =
      threads_for(kOperationsPerElement * static_cast<double>(gemm.groups * elements));
  parallel_for(gemm.groups * panels, threads, [&](int64_t task, int) {
    const int64_t group = task / panels;
    const int64_t row = task % panels * kernels.mr;
    const WeightView<T> weight = gemm.of_group(group).a;
    for (int64_t k = 0; k < a.columns(); k += kc) {
      const int64_t count = std::min(kc, a.columns() - k);
      weight.pack(kernels, row, std::min(row + kernels.mr, a.rows), k, count,
                  packed + group * elements + packed_a_offset(kernels, a, k, count, row));
    }
  });
}

template <typename T>
void run_gemm(const GroupedGemm<T>& gemm) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  const GemmPlan plan = plan_gemm(kernels, gemm);
  if (plan.tasks(gemm.groups) == 0) return;
  const WeightView<T>& a = gemm.first.a;
  const int64_t a_elements = plan.prepack_a ? packed_a_elements(kernels, a) : 0;

  Slicer size;
  size.take<T>(gemm.groups * a_elements);
  const std::size_t shared = size.used();
  GemmWorker<T>(kernels, gemm.view, plan.blocks, a, !plan.prepack_a, size);
  const std::size_t per_thread = size.used() - shared;
  const Scratch scratch(shared + per_thread * static_cast<std::size_t>(plan.threads));
  T* const packed_a = reinterpret_cast<T*>(scratch.data());
  if (plan.prepack_a) prepack_a(kernels, gemm, packed_a);

  parallel_for(plan.tasks(gemm.groups), plan.threads, [&](int64_t task, int thread) {
    const int64_t part = task % plan.row_parts;
    const int64_t block = task / plan.row_parts % plan.blocks.count;
    const int64_t group = task / plan.row_parts / plan.blocks.count;
    Slicer slice(scratch.data() + shared + per_thread * static_cast<std::size_t>(thread));
    GemmWorker<T> worker(kernels, gemm.view, plan.blocks, a, !plan.prepack_a, slice);
    GemmProblem<T> problem = gemm.of_group(group);
    problem.packed_a = plan.prepack_a ? packed_a + group * a_elements : nullptr;
    const int64_t row = part * plan.rows_per_task;
    worker.run(problem, plan.blocks.first(block), plan.blocks.columns(block), row,
               std::min(a.rows, row + plan.rows_per_task));
  });
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
  WeightView<T>& weight = gemm.first.a;
  weight.rows = p.group_in_channels();
  weight.channels = p.group_out_channels();
  weight.row_stride = p.taps();
  weight.channel_stride = p.group_in_channels() * p.taps();
  weight.taps_h = v.taps;
  weight.taps_w = h.taps;
  weight.first_tap = v.last_tap * p.kernel_w + h.last_tap;
  weight.tap_stride_h = -v.tap_step * p.kernel_w;
  weight.tap_stride_w = -h.tap_step;
  gemm.weight_step = p.group_out_channels() * p.group_in_channels() * p.taps();
  gemm.image_step = p.group_out_channels() * p.out_pixels();
  gemm.c_step = p.group_in_channels() * p.in_pixels();
  return gemm;
}

bool all_met(const std::vector<PhaseAxis>& axes) {
  return std::all_of(axes.begin(), axes.end(), [](const PhaseAxis& axis) { return axis.taps > 0; });
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
void gemm_forward(const Conv2dProblem& p, const T* x, const T* weight, const T* bias, bool relu,
                  T* y) {
  GroupedGemm<T> gemm{};
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
  run_gemm(gemm);
}

template <typename T>
void gemm_backward_data(const Conv2dProblem& p, const T* dy, const T* weight, const T* bias,
                        T* dx) {
  const WindowParams& w = p.window;
  const std::vector<PhaseAxis> rows =
      phases(p.in_h, p.kernel_h, w.stride_h, w.dilation_h, w.pad_top);
  const std::vector<PhaseAxis> columns =
      phases(p.in_w, p.kernel_w, w.stride_w, w.dilation_w, w.pad_left);
  if (!all_met(rows) || !all_met(columns)) fill_with_bias(p, bias, dx);
  for (const PhaseAxis& v : rows) {
    for (const PhaseAxis& h : columns) {
      if (v.taps == 0 || h.taps == 0) continue;
      GroupedGemm<T> gemm = backward_data_gemm<T>(p, v, h);
      gemm.first.a.data = weight;
      gemm.first.image = dy;
      gemm.first.c = {dx + v.phase * p.in_w + h.phase,
                      p.in_pixels(),
                      p.in_channels * p.in_pixels(),
                      w.stride_h * p.in_w,
                      w.stride_w,
                      v.pixels,
                      h.pixels};
      gemm.first.bias = bias;
      run_gemm(gemm);
    }
  }
}

template void gemm_forward(const Conv2dProblem&, const float*, const float*, const float*, bool,
                           float*);
template void gemm_forward(const Conv2dProblem&, const double*, const double*, const double*, bool,
                           double*);
template void gemm_backward_data(const Conv2dProblem&, const float*, const float*, const float*,
                                 float*);
template void gemm_backward_data(const Conv2dProblem&, const double*, const double*, const double*,
                                 double*);

}  // namespace convolt
