#include "tap_rows.h"

#include <algorithm>
#include <vector>

#include "isa.h"
#include "parallel.h"
#include "staged_planes.h"

namespace convolt {
namespace {

// What forward and backward_data differ in. Group g of image n sees the unit n * groups + g of the
// image, and writes the unit of that number of the output, `outputs` planes.
template <typename T>
struct RowProblem {
  const KernelTable<T>* kernels;
  StagedPlanes planes;
  int64_t batch, groups, outputs;
  const T* image;
  // Weight (output, channel, tap) of a group.
  const T* weight;
  int64_t group_step, output_step, channel_step, kernel_w;
  T* out;
  int64_t out_h, out_w, stride_h, stride_w;
  const T* bias;
  bool relu;

  int64_t units() const { return batch * groups; }
};

// One phase of each axis: the window of its outputs.
struct PhaseWindow {
  const GridPhase* v;
  const GridPhase* h;
  std::vector<int64_t> tap_starts;
};

std::vector<PhaseWindow> phase_windows(const StagedPlanes& planes) {
  std::vector<PhaseWindow> windows;
  for (const GridPhase& v : planes.vertical.phases) {
    for (const GridPhase& h : planes.horizontal.phases) {
      windows.push_back({&v, &h, planes.tap_starts(v, h)});
    }
  }
  return windows;
}

template <typename T>
class RowWorker {
 public:
  RowWorker(const KernelTable<T>& kernels, const RowProblem<T>& problem,
            const std::vector<PhaseWindow>& windows, Slicer& scratch)
      : kernels_(kernels),
        p_(problem),
        windows_(windows),
        phases_(static_cast<int64_t>(problem.planes.horizontal.phases.size())),
        phase_pitch_(round_up(problem.planes.block_columns, kernels.lanes)) {
    const StagedPlanes& planes = problem.planes;
    std::size_t taps = 0;
    for (const PhaseWindow& window : windows) taps = std::max(taps, window.tap_starts.size());
    room_ = planes.template take_room<T>(scratch);
    weight_ = scratch.take<T>(static_cast<int64_t>(taps) * problem.outputs);
    phase_rows_ = scratch.take<T>(
        phases_ > 1 ? problem.outputs * planes.block_rows * phases_ * phase_pitch_ : 0);
  }

  // One block of up to planes.units units.
  void run(int64_t first_unit, int64_t units, int64_t block_index) {
    const StagedPlanes& planes = p_.planes;
    const GridBlock block = planes.block(block_index);
    const int64_t in_pixels = planes.vertical.size * planes.horizontal.size;
    planes.stage(kernels_, p_.image + first_unit * planes.channels * in_pixels, block, units,
                 room_);
    for (int64_t u = 0; u < units; ++u) {
      const T* const padded = room_.padded + u * planes.unit_pitch();
      for (const PhaseWindow& window : windows_) {
        convolve(window, padded, first_unit + u, block);
        if (phases_ > 1 && window.h == &planes.horizontal.phases.back()) {
          interleave(*window.v, first_unit + u, block);
        }
      }
    }
  }

 private:
  T* output(int64_t unit, const GridPhase& v, const GridBlock& block) const {
    const int64_t row = v.phase + block.y * p_.stride_h;
    return p_.out + (unit * p_.outputs * p_.out_h + row) * p_.out_w + block.x * p_.stride_w;
  }

  void convolve(const PhaseWindow& phase, const T* padded, int64_t unit, const GridBlock& block) {
    RowWindow<T> window;
    window.rows = std::min(block.rows, phase.v->positions - block.y);
    window.columns = std::min(block.columns, phase.h->positions - block.x);
    if (window.rows <= 0 || window.columns <= 0) return;
    window.padded = padded;
    window.tap_starts = phase.tap_starts.data();
    window.taps = static_cast<int64_t>(phase.tap_starts.size());
    window.row_pitch = p_.planes.row_pitch();
    const int64_t group = unit % p_.groups;
    const T* const bias = p_.bias == nullptr ? nullptr : p_.bias + group * p_.outputs;
    PlaneRows<T> target;
    if (phases_ == 1) {
      target = {output(unit, *phase.v, block), p_.out_h * p_.out_w, p_.stride_h * p_.out_w};
    } else {
      const int64_t row_pitch = phases_ * phase_pitch_;
      target = {phase_rows_ + phase.h->phase * phase_pitch_, p_.planes.block_rows * row_pitch,
                row_pitch};
    }
    kernels_.tap_rows(window, packed_weight(phase, group), p_.outputs, target,
                      Epilogue<T>{bias, false, p_.relu});
  }

  // weight[tap * outputs + output] in the order of the window's taps.
  const T* packed_weight(const PhaseWindow& phase, int64_t group) {
    T* packed = weight_;
    for (int64_t channel = 0; channel < p_.planes.channels; ++channel) {
      const T* const weight = p_.weight + group * p_.group_step + channel * p_.channel_step;
      for (const TapPlace& v : phase.v->taps) {
        for (const TapPlace& h : phase.h->taps) {
          for (int64_t m = 0; m < p_.outputs; ++m) {
            *packed++ = weight[m * p_.output_step + v.tap * p_.kernel_w + h.tap];
          }
        }
      }
    }
    return weight_;
  }

  // The rows of one vertical phase from those of its horizontal phases.
  void interleave(const GridPhase& v, int64_t unit, const GridBlock& block) {
    const std::vector<GridPhase>& horizontal = p_.planes.horizontal.phases;
    const int64_t rows = std::min(block.rows, v.positions - block.y);
    const int64_t whole = std::min(block.columns, horizontal.back().positions - block.x);
    for (int64_t m = 0; m < p_.outputs; ++m) {
      for (int64_t r = 0; r < rows; ++r) {
        const T* const from = phase_rows_ + (m * p_.planes.block_rows + r) * phases_ * phase_pitch_;
        T* const to = output(unit, v, block) + (m * p_.out_h + r * p_.stride_h) * p_.out_w;
        kernels_.interleave_rows(from, phase_pitch_, phases_, whole, to, p_.stride_w, 0);
        if (whole == block.columns) continue;
        for (int64_t i = 0; horizontal[static_cast<std::size_t>(i)].positions > block.x + whole;
             ++i) {
          to[whole * p_.stride_w + i] = from[i * phase_pitch_ + whole];
        }
      }
    }
  }

  const KernelTable<T>& kernels_;
  const RowProblem<T>& p_;
  const std::vector<PhaseWindow>& windows_;
  int64_t phases_, phase_pitch_;
  typename StagedPlanes::Room<T> room_;
  T* weight_;
  T* phase_rows_;
};

template <typename T>
void run_rows(const RowProblem<T>& problem, double products) {
  const KernelTable<T>& kernels = *problem.kernels;
  const StagedPlanes& planes = problem.planes;
  const std::vector<PhaseWindow> windows = phase_windows(planes);
  const int threads = threads_for(2.0 * products);
  Slicer size;
  RowWorker<T>(kernels, problem, windows, size);
  const Scratch scratch(size.used() * static_cast<std::size_t>(threads));

  constexpr int64_t kTasksPerThread = 8;
  const int64_t steps = ceil_div(problem.units(), planes.units) * planes.blocks();
  const int64_t steps_per_task = ceil_div(std::max<int64_t>(steps, 1), kTasksPerThread * threads);
  parallel_for(ceil_div(steps, steps_per_task), threads, [&](int64_t task, int thread) {
    Slicer slice(scratch.data() + size.used() * static_cast<std::size_t>(thread));
    RowWorker<T> worker(kernels, problem, windows, slice);
    const int64_t end = std::min(steps, (task + 1) * steps_per_task);
    for (int64_t step = task * steps_per_task; step < end && !stop_requested(); ++step) {
      const int64_t unit = step / planes.blocks() * planes.units;
      worker.run(unit, std::min(planes.units, problem.units() - unit), step % planes.blocks());
    }
  });
}

}  // namespace

template <typename T>
void tap_rows_forward(const Conv2dProblem& p, const T* x, const T* weight, const T* bias, bool relu,
                      T* y) {
  const WindowParams& w = p.window;
  const KernelTable<T>& kernels = kernels_for_columns<T>(p.out_w);
  RowProblem<T> problem = {
      &kernels,
      StagedPlanes(forward_axis(p.in_h, p.kernel_h, w.stride_h, w.dilation_h, w.pad_top, p.out_h),
                   forward_axis(p.in_w, p.kernel_w, w.stride_w, w.dilation_w, w.pad_left, p.out_w),
                   p.group_in_channels(), kernels.lanes, static_cast<int64_t>(sizeof(T))),
      p.batch,
      p.groups,
      p.group_out_channels(),
      x,
      weight,
      p.group_out_channels() * p.group_in_channels() * p.taps(),
      p.group_in_channels() * p.taps(),
      p.taps(),
      p.kernel_w,
      y,
      p.out_h,
      p.out_w,
      1,
      1,
      bias,
      relu};
  run_rows(problem, static_cast<double>(p.batch * p.out_channels * p.out_pixels()) *
                        static_cast<double>(p.group_in_channels() * p.taps()));
}

template <typename T>
void tap_rows_backward_data(const Conv2dProblem& p, const T* dy, const T* weight, const T* bias,
                            T* dx) {
  const WindowParams& w = p.window;
  const KernelTable<T>& kernels = kernels_for_columns<T>(ceil_div(p.in_w, w.stride_w));
  RowProblem<T> problem = {
      &kernels,
      StagedPlanes(backward_axis(p.in_h, p.kernel_h, w.stride_h, w.dilation_h, w.pad_top, p.out_h),
                   backward_axis(p.in_w, p.kernel_w, w.stride_w, w.dilation_w, w.pad_left, p.out_w),
                   p.group_out_channels(), kernels.lanes, static_cast<int64_t>(sizeof(T))),
      p.batch,
      p.groups,
      p.group_in_channels(),
      dy,
      weight,
      p.group_out_channels() * p.group_in_channels() * p.taps(),
      p.taps(),
      p.group_in_channels() * p.taps(),
      p.kernel_w,
      dx,
      p.in_h,
      p.in_w,
      w.stride_h,
      w.stride_w,
      bias,
      false};
  run_rows(problem, static_cast<double>(p.batch * p.out_channels * p.out_pixels()) *
                        static_cast<double>(p.group_in_channels() * p.taps()));
}

template void tap_rows_forward(const Conv2dProblem&, const float*, const float*, const float*, bool,
                               float*);
template void tap_rows_forward(const Conv2dProblem&, const double*, const double*, const double*,
                               bool, double*);
template void tap_rows_backward_data(const Conv2dProblem&, const float*, const float*, const float*,
                                     float*);
template void tap_rows_backward_data(const Conv2dProblem&, const double*, const double*,
                                     const double*, double*);

}  // namespace convolt
