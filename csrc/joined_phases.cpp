#include "joined_phases.h"

#include <algorithm>

#include "parallel.h"
#include "work_split.h"

namespace convolt {
namespace {

template <typename T>
struct JoinedPlan {
  explicit JoinedPlan(const JoinedPhases<T>& joined)
      : kernels(*joined.first().kernels),
        rows(joined.first().first.a.rows),
        threads(threads_for(operations(joined))),
        split(split_work(grid(joined), rows, joined.first().groups, sizes(joined), threads)),
        row_pitch(round_up(split.blocks.size, kernels.nr)),
        operand(split.blocks.count > kMostPackings ? OperandA::kPrepacked
                                                   : OperandA::kPackedByTask) {
    // At most one block of A, so that the phases of C stay in the second level of the cache.
    split.rows_per_task = std::min(kernels.mc, split.rows_per_task);
    split.row_parts = ceil_div(rows, split.rows_per_task);
    phase_pitch = split.rows_per_task * row_pitch;
  }

  const KernelTable<T>& kernels;
  int64_t rows;
  int threads;
  WorkSplit split;
  int64_t row_pitch, phase_pitch;  // in the scratch for C
  OperandA operand;

  bool prepacks_a() const { return operand == OperandA::kPrepacked; }

  // Cut at the ends of grid rows, as every phase can be; a phase of one tap could be cut otherwise.
  static ColumnGrid grid(const JoinedPhases<T>& joined) {
    const Im2colView& view = joined.first().view;
    return {view.columns(), view.grid_w};
  }

  static TileSizes sizes(const JoinedPhases<T>& joined) {
    constexpr int64_t kLeastPanels = 4;
    const KernelTable<T>& kernels = *joined.first().kernels;
    const auto phases = static_cast<int64_t>(joined.phases.size());
    return {kernels.mr, kernels.nr, std::max(kernels.nc / phases, kLeastPanels * kernels.nr)};
  }

  static double operations(const JoinedPhases<T>& joined) {
    double sum = 0;
    for (const GroupedGemm<T>& gemm : joined.phases) {
      sum += 2.0 * static_cast<double>(gemm.first.a.rows * gemm.groups) *
             static_cast<double>(gemm.first.a.columns() * gemm.view.columns());
    }
    return sum;
  }
};

template <typename T>
class JoinedWorker {
 public:
  JoinedWorker(const JoinedPhases<T>& joined, const JoinedPlan<T>& plan, Slicer& scratch)
      : joined_(joined), plan_(plan) {
    c_ = scratch.take<T>(static_cast<int64_t>(joined.phases.size()) * plan.phase_pitch);
    workspace_ = scratch.take<std::byte>(static_cast<int64_t>(worker_bytes(joined, plan)));
  }

  void run(int64_t group, int64_t first, int64_t columns, int64_t row_begin, int64_t row_end) {
    T* c = c_;
    for (const GroupedGemm<T>& gemm : joined_.phases) {
      multiply(gemm, gemm.of_group(group), c, first, columns, row_begin, row_end);
      c += plan_.phase_pitch;
    }
    join(group, first, columns, row_begin, row_end);
  }

 private:
  // What a worker of any phase takes: each has the workspace to itself for a while.
  static std::size_t worker_bytes(const JoinedPhases<T>& joined, const JoinedPlan<T>& plan) {
    std::size_t bytes = 0;
    for (const GroupedGemm<T>& gemm : joined.phases) {
      if (gemm.first.a.columns() == 0) continue;
      Slicer size;
      GemmWorker<T>(plan.kernels, gemm.view, plan.split.blocks, gemm.first.a, plan.operand, size);
      bytes = std::max(bytes, size.used());
    }
    return bytes;
  }

  // One phase of the block, in scratch.
  void multiply(const GroupedGemm<T>& gemm, GemmProblem<T> problem, T* c, int64_t first,
                int64_t columns, int64_t row_begin, int64_t row_end) {
    if (problem.a.columns() == 0) {
      for (int64_t row = row_begin; row < row_end; ++row, c += plan_.row_pitch) {
        std::fill_n(c, columns, problem.bias == nullptr ? T{0} : problem.bias[row]);
      }
      return;
    }
    const Im2colView& view = gemm.view;
    const int64_t grid = view.grid_h * view.grid_w;
    problem.c = {c, plan_.row_pitch, grid,        view.grid_w,
                 1, view.grid_h,     view.grid_w, row_begin * plan_.row_pitch + first};
    Slicer slice(workspace_);
    GemmWorker<T> worker(plan_.kernels, view, plan_.split.blocks, problem.a, plan_.operand, slice);
    worker.run(problem, first, columns, row_begin, row_end);
  }

  // The rows of dx from the phases in scratch.
  void join(int64_t group, int64_t first, int64_t columns, int64_t row_begin, int64_t row_end) {
    const Im2colView& view = joined_.first().view;
    const auto phases = static_cast<int64_t>(joined_.phases.size());
    // Pixels that every phase has; the first phases may have one more.
    const int64_t common = joined_.width / joined_.x_stride;
    for (int64_t row = row_begin; row < row_end; ++row) {
      const T* const c = c_ + (row - row_begin) * plan_.row_pitch;
      T* const channel = joined_.dx + (group * plan_.rows + row) * joined_.channel_stride;
      for_each_run(
          first, columns, columns, view.grid_w,
          [&](int64_t, int64_t column, int64_t grid_row, int64_t x, int64_t length) {
            T* const target = channel + grid_row / view.grid_h * joined_.batch_stride +
                              grid_row % view.grid_h * joined_.y_stride + x * joined_.x_stride;
            const int64_t whole = std::clamp<int64_t>(common - x, 0, length);
            plan_.kernels.interleave_rows(c + column, plan_.phase_pitch, phases, whole, target,
                                          joined_.x_stride, 0);
            if (whole == length) return;
            const int64_t rest = joined_.width - common * joined_.x_stride;
            for (int64_t i = 0; i < rest; ++i) {
              target[whole * joined_.x_stride + i] = c[column + whole + i * plan_.phase_pitch];
            }
          });
    }
  }

  const JoinedPhases<T>& joined_;
  const JoinedPlan<T>& plan_;
  T* c_;
  std::byte* workspace_;
};

// The scratch of a run: A of each phase where it is packed beforehand, then a slice for each
// thread.
struct JoinedScratch {
  std::size_t shared, per_thread;
};

template <typename T>
JoinedScratch measure_scratch(const JoinedPhases<T>& joined, const JoinedPlan<T>& plan) {
  Slicer size;
  for (const GroupedGemm<T>& gemm : joined.phases) {
    const int64_t elements = PackedWeight<T>::elements(gemm.first.a, plan.kernels.mr);
    size.take<T>(plan.prepacks_a() ? gemm.groups * elements : 0);
  }
  const std::size_t shared = size.used();
  JoinedWorker<T>(joined, plan, size);
  return {shared, size.used() - shared};
}

template <typename T>
JoinedPhases<T> with_packed_a(const JoinedPhases<T>& joined, const JoinedPlan<T>& plan,
                              std::byte* scratch) {
  JoinedPhases<T> packed = joined;
  Slicer slice(scratch);
  for (GroupedGemm<T>& gemm : packed.phases) {
    const WeightView<T>& a = gemm.first.a;
    const int64_t elements = PackedWeight<T>::elements(a, plan.kernels.mr);
    T* const panels = slice.take<T>(gemm.groups * elements);
    pack_weights(plan.kernels, a, gemm.groups, gemm.weight_step, plan.kernels.mr, panels);
    gemm.first.packed_a = {panels, plan.kernels.mr};
  }
  return packed;
}

}  // namespace

template <typename T>
std::size_t joined_phases_scratch_bytes(const JoinedPhases<T>& joined) {
  const JoinedPlan<T> plan(joined);
  const JoinedScratch bytes = measure_scratch(joined, plan);
  return bytes.shared + bytes.per_thread * static_cast<std::size_t>(plan.threads);
}

template <typename T>
void run_joined_phases(const JoinedPhases<T>& given, std::byte* scratch) {
  const JoinedPlan<T> plan(given);
  const JoinedScratch bytes = measure_scratch(given, plan);
  const JoinedPhases<T> joined = plan.prepacks_a() ? with_packed_a(given, plan, scratch) : given;
  const int64_t tasks = plan.split.tasks(joined.first().groups);
  parallel_for(tasks, plan.threads, [&](int64_t task, int thread) {
    const int64_t part = task % plan.split.row_parts;
    const int64_t block = task / plan.split.row_parts % plan.split.blocks.count;
    Slicer slice(scratch + bytes.shared + bytes.per_thread * static_cast<std::size_t>(thread));
    JoinedWorker<T> worker(joined, plan, slice);
    const int64_t row = part * plan.split.rows_per_task;
    worker.run(task / plan.split.row_parts / plan.split.blocks.count,
               plan.split.blocks.first(block), plan.split.blocks.columns(block), row,
               std::min(plan.rows, row + plan.split.rows_per_task));
  });
}

template std::size_t joined_phases_scratch_bytes(const JoinedPhases<float>&);
template std::size_t joined_phases_scratch_bytes(const JoinedPhases<double>&);
template void run_joined_phases(const JoinedPhases<float>&, std::byte*);
template void run_joined_phases(const JoinedPhases<double>&, std::byte*);

}  // namespace convolt
