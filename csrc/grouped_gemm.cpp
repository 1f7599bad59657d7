#include "grouped_gemm.h"

#include <algorithm>

#include "narrow_gemm.h"
#include "parallel.h"
#include "work_split.h"

namespace convolt {
namespace {

struct GemmPlan {
  int threads;
  WorkSplit split;
  OperandA operand;
};

template <typename T>
bool can_read_a_in_place(const GroupedGemm<T>& gemm) {
  const WeightView<T>& a = gemm.first.a;
  if (gemm.first.packed_a.data != nullptr) return false;
  if (a.is_panel()) {
    // Read across its rows, a weight beyond the second level of the cache would come line by line:
    // two thirds of the speed at 832 x 256, 1.3 times at 832 x 32.
    constexpr int64_t kMostBytes = int64_t{384} << 10;
    return a.rows * a.columns() * static_cast<int64_t>(sizeof(T)) <= kMostBytes;
  }
  return a.rows_are_consecutive() && rows_in_reach(*gemm.kernels, a.row_stride);
}

// A narrow product has less to compute, but it has to have its weight packed: read in place, the
// weight arrives while the wide product computes.
template <typename T>
bool runs_narrow(const GroupedGemm<T>& gemm) {
  return !can_read_a_in_place(gemm) && is_narrow(*gemm.kernels, gemm.first.a, gemm.view.columns());
}

template <typename T>
GemmPlan plan_gemm(const GroupedGemm<T>& gemm) {
  const KernelTable<T>& kernels = *gemm.kernels;
  const int64_t columns = gemm.view.columns();
  const WeightView<T>& a = gemm.first.a;
  const int threads = threads_for(2.0 * static_cast<double>(a.rows * gemm.groups) *
                                  static_cast<double>(std::max<int64_t>(a.columns(), 1)) *
                                  static_cast<double>(columns));
  GemmPlan result = {
      threads, split_work(gemm.view.grid(), a.rows, gemm.groups, tile_sizes(kernels), threads),
      OperandA::kPrepacked};
  if (gemm.first.packed_a.data == nullptr && result.split.blocks.count <= kMostPackings) {
    result.operand = can_read_a_in_place(gemm) ? OperandA::kInPlace : OperandA::kPackedByTask;
  }
  return result;
}

// Whether A has yet to be packed before the tasks begin.
template <typename T>
bool packs_first(const GroupedGemm<T>& gemm, const GemmPlan& plan) {
  return plan.operand == OperandA::kPrepacked && gemm.first.packed_a.data == nullptr;
}

// The scratch of a run: all of A where it is packed beforehand, then a slice for each thread.
struct GemmScratch {
  std::size_t shared, per_thread;
};

template <typename T>
GemmScratch measure_scratch(const GroupedGemm<T>& gemm, const GemmPlan& plan) {
  const KernelTable<T>& kernels = *gemm.kernels;
  const WeightView<T>& a = gemm.first.a;
  Slicer size;
  size.take<T>(packs_first(gemm, plan) ? gemm.groups * PackedWeight<T>::elements(a, kernels.mr)
                                       : 0);
  const std::size_t shared = size.used();
  GemmWorker<T>(kernels, gemm.view, plan.split.blocks, a, plan.operand, size);
  return {shared, size.used() - shared};
}

}  // namespace

template <typename T>
int64_t weight_panel_width(const KernelTable<T>& kernels, const WeightView<T>& a, int64_t columns) {
  return is_narrow(kernels, a, columns) ? kernels.nr : kernels.mr;
}

template <typename T>
std::size_t gemm_scratch_bytes(const GroupedGemm<T>& gemm) {
  if (runs_narrow(gemm)) {
    return narrow_gemm_scratch_bytes(gemm);
  }
  const GemmPlan plan = plan_gemm(gemm);
  if (plan.split.tasks(gemm.groups) == 0) return 0;
  const GemmScratch bytes = measure_scratch(gemm, plan);
  return bytes.shared + bytes.per_thread * static_cast<std::size_t>(plan.threads);
}

template <typename T>
void run_gemm(const GroupedGemm<T>& gemm, std::byte* scratch) {
  if (runs_narrow(gemm)) {
    run_narrow_gemm(gemm, scratch);
    return;
  }
  const KernelTable<T>& kernels = *gemm.kernels;
  const GemmPlan plan = plan_gemm(gemm);
  if (plan.split.tasks(gemm.groups) == 0) return;
  const WeightView<T>& a = gemm.first.a;
  const GemmScratch bytes = measure_scratch(gemm, plan);
  GroupedGemm<T> packed = gemm;
  if (packs_first(gemm, plan)) {
    T* const packed_a = reinterpret_cast<T*>(scratch);
    pack_weights(kernels, a, gemm.groups, gemm.weight_step, kernels.mr, packed_a);
    packed.first.packed_a = {packed_a, kernels.mr};
  }

  parallel_for(plan.split.tasks(gemm.groups), plan.threads, [&](int64_t task, int thread) {
    const int64_t part = task % plan.split.row_parts;
    const int64_t block = task / plan.split.row_parts % plan.split.blocks.count;
    const int64_t group = task / plan.split.row_parts / plan.split.blocks.count;
    Slicer slice(scratch + bytes.shared + bytes.per_thread * static_cast<std::size_t>(thread));
    GemmWorker<T> worker(kernels, gemm.view, plan.split.blocks, a, plan.operand, slice);
    const int64_t row = part * plan.split.rows_per_task;
    worker.run(packed.of_group(group), plan.split.blocks.first(block),
               plan.split.blocks.columns(block), row,
               std::min(a.rows, row + plan.split.rows_per_task));
  });
}

template int64_t weight_panel_width(const KernelTable<float>&, const WeightView<float>&, int64_t);
template int64_t weight_panel_width(const KernelTable<double>&, const WeightView<double>&, int64_t);
template std::size_t gemm_scratch_bytes(const GroupedGemm<float>&);
template std::size_t gemm_scratch_bytes(const GroupedGemm<double>&);
template void run_gemm(const GroupedGemm<float>&, std::byte*);
template void run_gemm(const GroupedGemm<double>&, std::byte*);

}  // namespace convolt
