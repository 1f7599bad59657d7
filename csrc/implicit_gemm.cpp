#include "implicit_gemm.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "gemm.h"
#include "isa.h"
#include "parallel.h"

namespace convolt {
namespace {

// A[row][(channel, ty, tx)] = data[row * row_stride + channel * channel_stride + first_tap
//                                  + ty * tap_stride_h + tx * tap_stride_w]
template <typename T>
struct WeightView {
  const T* data;
  int64_t row_stride, channel_stride;
  int64_t taps_h, taps_w;
  int64_t first_tap, tap_stride_h, tap_stride_w;

  int64_t taps() const { return taps_h * taps_w; }
  bool rows_contiguous() const {
    return channel_stride == taps() && first_tap == 0 && tap_stride_w == 1 &&
           tap_stride_h == taps_w;
  }
  int64_t offset(int64_t k) const {
    const int64_t tap = k % taps();
    return k / taps() * channel_stride + first_tap + tap / taps_w * tap_stride_h +
           tap % taps_w * tap_stride_w;
  }
};

// One product for each group: what the passes differ in.
template <typename T>
struct GroupedGemm {
  Im2colView view;
  int64_t m, groups;
  WeightView<T> weight;
  const T* image;
  OutputGrid<T> c;
  const T* bias;
  bool relu;
  // From group to group, in elements.
  int64_t weight_step, image_step, c_step;

  int64_t k() const { return view.rows(); }
};

// The split of the work. Nothing here changes a bit of the result: only the columns and rows of C are
// divided, never a sum.
struct GemmPlan {
  int threads;
  ColumnBlocks blocks;
  int64_t rows_per_task, row_parts;

  int64_t tasks(int64_t groups) const { return groups * blocks.count * row_parts; }
};

template <typename T>
GemmPlan plan_gemm(const KernelTable<T>& kernels, const GroupedGemm<T>& gemm) {
  const int64_t columns = gemm.view.columns();
  const int threads =
      threads_for(2.0 * static_cast<double>(gemm.m * gemm.groups) *
                  static_cast<double>(std::max<int64_t>(gemm.k(), 1)) * static_cast<double>(columns));
  // Four tasks a thread even out what the system takes; below four panels packing would not pay.
  constexpr int64_t kTasksPerThread = 4;
  constexpr int64_t kLeastPanels = 4;
  int64_t width = kernels.nc;
  if (threads > 1) {
    const int64_t even = ceil_div(columns * gemm.groups, kTasksPerThread * threads);
    width = std::min(width, std::max(even, kLeastPanels * kernels.nr));
  }
  GemmPlan result = {threads, ColumnBlocks(gemm.view, width, kernels.nr), 0, 1};
  const int64_t tasks = std::max<int64_t>(result.blocks.count * gemm.groups, 1);
  if (tasks < threads) result.row_parts = ceil_div(threads, tasks);
  result.rows_per_task =
      std::max(round_up(ceil_div(gemm.m, result.row_parts), kernels.mr), kernels.mr);
  result.row_parts = ceil_div(gemm.m, result.rows_per_task);
  return result;
}

// One panel of MR rows of A, all of k, block by block.
template <typename T>
void pack_a_panel(const KernelTable<T>& kernels, const WeightView<T>& weight, int64_t m, int64_t k,
                  int64_t row, T* packed) {
  const int64_t kc = even_block(k, kernels.kc);
  const int64_t rows = std::min(kernels.mr, m - row);
  const int64_t rows_padded = round_up(m, kernels.mr);
  const T* const src = weight.data + row * weight.row_stride;
  for (int64_t k_begin = 0; k_begin < k; k_begin += kc) {
    const int64_t k_count = std::min(kc, k - k_begin);
    T* const dst = packed + k_begin * rows_padded + row * k_count;
    if (weight.rows_contiguous()) {
      kernels.interleave_rows(src + k_begin, weight.row_stride, rows, k_count, dst, kernels.mr);
      continue;
    }
    for (int64_t i = 0; i < k_count; ++i) {
      const T* const column = src + weight.offset(k_begin + i);
      for (int64_t r = 0; r < rows; ++r) dst[i * kernels.mr + r] = column[r * weight.row_stride];
    }
  }
}

template <typename T>
void run_gemm(const GroupedGemm<T>& gemm) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  const GemmPlan plan = plan_gemm(kernels, gemm);
  if (plan.tasks(gemm.groups) == 0) return;
  const int64_t k = gemm.k();
  const int64_t a_elements = packed_a_elements(kernels, gemm.m, k);

  Slicer size;
  size.take<T>(gemm.groups * a_elements);
  const std::size_t shared = size.used();
  GemmWorker<T>(kernels, gemm.view, plan.blocks, k, size);
  const std::size_t per_thread = size.used() - shared;
  const Scratch scratch(shared + per_thread * static_cast<std::size_t>(plan.threads));
  T* const packed_a = Slicer(scratch.data()).take<T>(gemm.groups * a_elements);

  const int64_t panels = ceil_div(gemm.m, kernels.mr);
  constexpr double kOperationsPerElement = 4;
  const int pack_threads =
      threads_for(kOperationsPerElement * static_cast<double>(gemm.groups * a_elements));
  parallel_for(gemm.groups * panels, pack_threads, [&](int64_t task, int) {
    const int64_t group = task / panels;
    WeightView<T> weight = gemm.weight;
    weight.data += group * gemm.weight_step;
    pack_a_panel(kernels, weight, gemm.m, k, task % panels * kernels.mr,
                 packed_a + group * a_elements);
  });

  parallel_for(plan.tasks(gemm.groups), plan.threads, [&](int64_t task, int thread) {
    const int64_t part = task % plan.row_parts;
    const int64_t block = task / plan.row_parts % plan.blocks.count;
    const int64_t group = task / plan.row_parts / plan.blocks.count;
    Slicer slice(scratch.data() + shared + per_thread * static_cast<std::size_t>(thread));
    GemmWorker<T> worker(kernels, gemm.view, plan.blocks, k, slice);
    GemmProblem<T> problem = {
        gemm.m, k, {packed_a + group * a_elements, gemm.m, round_up(gemm.m, kernels.mr)},
        gemm.image + group * gemm.image_step, gemm.c,
        gemm.bias == nullptr ? nullptr : gemm.bias + group * gemm.m, gemm.relu};
    problem.c.data += group * gemm.c_step;
    const int64_t row = part * plan.rows_per_task;
    worker.run(problem, plan.blocks.first(block), plan.blocks.columns(block), row,
               std::min(gemm.m, row + plan.rows_per_task));
  });
}

// One axis of one phase of backward_data: the pixels i = phase + stride * t of x, t < pixels, and the
// taps that reach them. From  i + pad = o * stride + tap * dilation  follows that these taps are
// first, first + step, ... with step = stride / gcd(stride, dilation), and that the output o moves by
// dilation / gcd from one to the next. Taken from the last to the first, o ascends.
struct PhaseAxis {
  int64_t pixels, taps;
  int64_t last_tap, tap_step;
  int64_t origin, dilation;  // o = t + origin + ascending tap * dilation
};

PhaseAxis phase_axis(int64_t phase, int64_t size, int64_t kernel, int64_t stride, int64_t dilation,
                     int64_t pad) {
  const int64_t divisor = std::gcd(stride, dilation);
  PhaseAxis axis{};
  axis.pixels = phase < size ? ceil_div(size - phase, stride) : 0;
  axis.tap_step = stride / divisor;
  axis.dilation = dilation / divisor;
  int64_t first = 0;
  while (first < std::min(axis.tap_step, kernel) && (phase + pad - first * dilation) % stride != 0) {
    ++first;
  }
  if (first >= std::min(axis.tap_step, kernel)) return axis;  // no tap meets this phase
  axis.taps = ceil_div(kernel - first, axis.tap_step);
  axis.last_tap = first + (axis.taps - 1) * axis.tap_step;
  axis.origin = (phase + pad - axis.last_tap * dilation) / stride;
  return axis;
}

template <typename T>
GroupedGemm<T> backward_data_gemm(const Conv2dProblem& p, const PhaseAxis& v, const PhaseAxis& h) {
  GroupedGemm<T> gemm{};
  const bool met = v.taps > 0 && h.taps > 0;
  Im2colView& view = gemm.view;
  view.channels = met ? p.group_out_channels() : 0;
  view.in_h = p.out_h;
  view.in_w = p.out_w;
  view.batch_stride = p.out_channels * p.out_pixels();
  view.channel_stride = p.out_pixels();
  view.taps_h = met ? v.taps : 1;
  view.taps_w = met ? h.taps : 1;
  view.dilation_h = v.dilation;
  view.dilation_w = h.dilation;
  view.origin_h = v.origin;
  view.origin_w = h.origin;
  view.batch = p.batch;
  view.grid_h = v.pixels;
  view.grid_w = h.pixels;
  view.stride_h = view.stride_w = 1;
  gemm.m = p.group_in_channels();
  gemm.groups = p.groups;
  gemm.weight.row_stride = p.taps();
  gemm.weight.channel_stride = p.group_in_channels() * p.taps();
  gemm.weight.taps_h = view.taps_h;
  gemm.weight.taps_w = view.taps_w;
  gemm.weight.first_tap = v.last_tap * p.kernel_w + h.last_tap;
  gemm.weight.tap_stride_h = -v.tap_step * p.kernel_w;
  gemm.weight.tap_stride_w = -h.tap_step;
  gemm.weight_step = p.group_out_channels() * p.group_in_channels() * p.taps();
  gemm.image_step = p.group_out_channels() * p.out_pixels();
  gemm.c_step = p.group_in_channels() * p.in_pixels();
  return gemm;
}

}  // namespace

template <typename T>
void gemm_forward(const Conv2dProblem& p, const T* x, const T* weight, const T* bias, bool relu,
                  T* y) {
  GroupedGemm<T> gemm{};
  gemm.view = forward_view(p);
  gemm.m = p.group_out_channels();
  gemm.groups = p.groups;
  gemm.weight = {weight, gemm.view.rows(), p.taps(), p.kernel_h, p.kernel_w, 0, p.kernel_w, 1};
  gemm.image = x;
  gemm.c = {y, p.out_pixels(), p.out_channels * p.out_pixels(), p.out_w, 1, p.out_h, p.out_w};
  gemm.bias = bias;
  gemm.relu = relu;
  gemm.weight_step = gemm.m * gemm.view.rows();
  gemm.image_step = p.group_in_channels() * p.in_pixels();
  gemm.c_step = gemm.m * p.out_pixels();
  run_gemm(gemm);
}

template <typename T>
void gemm_backward_data(const Conv2dProblem& p, const T* dy, const T* weight, const T* bias,
                        T* dx) {
  const WindowParams& w = p.window;
  for (int64_t ph = 0; ph < std::min(w.stride_h, p.in_h); ++ph) {
    const PhaseAxis v = phase_axis(ph, p.in_h, p.kernel_h, w.stride_h, w.dilation_h, w.pad_top);
    for (int64_t pw = 0; pw < std::min(w.stride_w, p.in_w); ++pw) {
      const PhaseAxis h = phase_axis(pw, p.in_w, p.kernel_w, w.stride_w, w.dilation_w, w.pad_left);
      GroupedGemm<T> gemm = backward_data_gemm<T>(p, v, h);
      gemm.weight.data = weight;
      gemm.image = dy;
      gemm.c = {dx + ph * p.in_w + pw, p.in_pixels(), p.in_channels * p.in_pixels(),
                w.stride_h * p.in_w,   w.stride_w,    v.pixels,
                h.pixels};
      gemm.bias = bias;
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
