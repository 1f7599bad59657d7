#include "narrow_gemm.h"

#include <algorithm>

#include "parallel.h"

namespace convolt {
namespace {

// A tile of fewer rows than this has too few sums in flight, and takes as long as one of so many.
constexpr int64_t kLeastRows = 4;

// The pixels of a panel, at most MR: the width that leaves the best remainder.
int64_t pixel_panel_width(int64_t mr, int64_t columns) {
  int64_t best = mr, best_cost = 0;
  for (int64_t width = mr; width >= std::min(mr, kLeastRows); --width) {
    const int64_t rest = columns % width;
    const int64_t cost = columns - rest + (rest == 0 ? 0 : std::max(rest, kLeastRows));
    if (width == mr || cost < best_cost) {
      best = width;
      best_cost = cost;
    }
  }
  return best;
}

template <typename T>
struct NarrowPlan {
  explicit NarrowPlan(const GroupedGemm<T>& gemm)
      : kernels(*gemm.kernels),
        columns(gemm.view.columns()),
        k(gemm.first.a.columns()),
        kc(even_block(k, kernels.kc)),
        k_blocks(k == 0 ? 0 : ceil_div(k, kc)),
        panel_width(pixel_panel_width(kernels.mr, columns)),
        panels(ceil_div(columns, panel_width)),
        panel_pitch(round_up(kc * kernels.mr + kernels.nr, kernels.lanes)),
        blocks(gemm.view.grid(), columns, panel_width),
        threads(threads_for(2.0 * static_cast<double>(gemm.first.a.rows * gemm.groups) *
                            static_cast<double>(k * columns))) {
    // Packed a few panels at a time, rows of A that lie side by side are read as whole lines.
    constexpr int64_t kMostPanels = 4;
    constexpr int64_t kTasksPerThread = 4;
    const int64_t row_panels = ceil_div(gemm.first.a.rows, kernels.nr);
    const int64_t even = ceil_div(row_panels * gemm.groups, kTasksPerThread * threads);
    rows_per_task = std::min(kMostPanels, even) * kernels.nr;
    row_tasks = ceil_div(gemm.first.a.rows, rows_per_task);
  }

  const KernelTable<T>& kernels;
  int64_t columns, k, kc, k_blocks;
  int64_t panel_width, panels, panel_pitch;  // of the pixels
  ColumnBlocks blocks;                       // one
  int threads;
  int64_t rows_per_task, row_tasks;

  int64_t block_elements() const { return panels * panel_pitch; }
  int64_t tile_pitch() const { return round_up(columns, kernels.lanes); }
};

// The pixels of a group as panels of rows of C^T, one block of k in a task.
template <typename T>
class PixelPacker {
 public:
  PixelPacker(const GroupedGemm<T>& gemm, const NarrowPlan<T>& plan, Slicer& scratch)
      : plan_(plan), columns_(gemm.view, plan.blocks, plan.panel_width, scratch) {
    padded_ =
        scratch.take<T>(ColumnBlock::padded_elements(gemm.view, plan.blocks, plan.kernels.nr));
  }

  void run(const GemmProblem<T>& problem, int64_t k_begin, T* packed) {
    columns_.prepare(0, plan_.columns);
    columns_.pack(plan_.kernels, problem.image, k_begin, std::min(k_begin + plan_.kc, plan_.k),
                  padded_, packed, {plan_.panel_pitch, plan_.kernels.mr, 0, plan_.panels});
  }

 private:
  const NarrowPlan<T>& plan_;
  ColumnBlock columns_;
  T* padded_;
};

// Some panels of the weight against all pixels.
template <typename T>
class RowWorker {
 public:
  RowWorker(const NarrowPlan<T>& plan, bool packs_a, Slicer& scratch) : plan_(plan) {
    const KernelTable<T>& kernels = plan.kernels;
    tile_elements_ = plan.panels * plan.panel_width * kernels.nr;
    packed_a_ = scratch.take<T>(packs_a ? plan.kc * plan.rows_per_task : 0);
    tiles_ = scratch.take<T>(plan.rows_per_task / kernels.nr * tile_elements_);
    turned_ = scratch.take<T>(plan.tile_pitch() * kernels.nr);
    store_runs_ = scratch.take<PixelRun>(plan.columns + 1);
    first_store_run_ = scratch.take<int64_t>(2);
  }

  void run(const GemmProblem<T>& problem, const T* pixels, int64_t row_begin) {
    const int64_t nr = plan_.kernels.nr;
    const int64_t row_end = std::min(row_begin + plan_.rows_per_task, problem.a.rows);
    const int64_t panels = ceil_div(row_end - row_begin, nr);
    if (plan_.k == 0) std::fill_n(tiles_, panels * tile_elements_, T{0});
    for (int64_t k = 0; k < plan_.k; k += plan_.kc, pixels += plan_.block_elements()) {
      const int64_t count = std::min(plan_.kc, plan_.k - k);
      const T* a = packed_a_;
      if (problem.packed_a.data != nullptr) {
        a = problem.packed_a.panel(problem.a, k, count, row_begin);
      } else {
        const int64_t ragged = (row_end - row_begin) % nr;
        if (ragged != 0) std::fill_n(packed_a_ + (panels - 1) * nr * count, nr * count, T{0});
        problem.a.pack(plan_.kernels, nr, row_begin, row_end, k, count, packed_a_);
      }
      for (int64_t i = 0; i < panels; ++i, a += nr * count) {
        const int64_t rows = std::min(nr, row_end - row_begin - i * nr);
        multiply(a, rows, pixels, count, k > 0, tiles_ + i * tile_elements_);
      }
    }
    find_store_runs(problem.c, 0, plan_.columns, plan_.columns, store_runs_, first_store_run_);
    for (int64_t i = 0; i < panels; ++i) {
      const int64_t row = row_begin + i * nr;
      store(problem, tiles_ + i * tile_elements_, row, std::min(nr, row_end - row));
    }
  }

 private:
  // tile += C^T of one panel and one block of k.
  void multiply(const T* a, int64_t rows, const T* pixels, int64_t count, bool accumulate,
                T* tile) {
    const KernelTable<T>& kernels = plan_.kernels;
    const GemmMicrokernel<T>* const microkernels =
        kernels.gemm_microkernels + (ceil_div(rows, kernels.lanes) - 1) * kernels.mr;
    const Epilogue<T> epilogue = {nullptr, accumulate, false};
    for (int64_t p = 0; p < plan_.panels; ++p) {
      const int64_t first = p * plan_.panel_width;
      const int64_t used = std::min(plan_.panel_width, plan_.columns - first);
      const TileOperands<T> operands = {pixels + p * plan_.panel_pitch, kernels.mr, a, kernels.nr};
      microkernels[used - 1](count, operands, tile + first * kernels.nr, kernels.nr, epilogue);
    }
  }

  void store(const GemmProblem<T>& problem, const T* tile, int64_t row, int64_t rows) {
    const KernelTable<T>& kernels = plan_.kernels;
    kernels.interleave_rows(tile, kernels.nr, plan_.columns, rows, turned_, plan_.tile_pitch(), 0);
    const TileTarget<T> target = {problem.c.data + row * problem.c.row_stride, problem.c.row_stride,
                                  problem.c.x_stride, store_runs_, first_store_run_};
    const Epilogue<T> epilogue = {problem.bias == nullptr ? nullptr : problem.bias + row, false,
                                  problem.relu};
    kernels.store_tile(turned_, plan_.tile_pitch(), rows, target, 0, epilogue);
  }

  const NarrowPlan<T>& plan_;
  int64_t tile_elements_;
  T* packed_a_;
  T* tiles_;
  T* turned_;
  PixelRun* store_runs_;
  int64_t* first_store_run_;
};

struct NarrowScratch {
  std::size_t pixels, per_thread;
};

template <typename T>
NarrowScratch measure_scratch(const GroupedGemm<T>& gemm, const NarrowPlan<T>& plan) {
  Slicer pixels, packer, worker;
  pixels.take<T>(gemm.groups * plan.k_blocks * plan.block_elements());
  PixelPacker<T>(gemm, plan, packer);
  RowWorker<T>(plan, gemm.first.packed_a.data == nullptr, worker);
  return {pixels.used(), std::max(packer.used(), worker.used())};
}

}  // namespace

template <typename T>
bool is_narrow(const KernelTable<T>& kernels, const WeightView<T>& a, int64_t columns) {
  // The wide product computes whole vectors of pixels, this one whole vectors of rows, and beyond
  // so many panels of pixels those are too far from the first level of the cache.
  const int64_t most_columns = 4 * kernels.nr;
  constexpr int64_t kLeastRows = 128;  // fewer do not pay for packing the pixels
  return columns > 0 && columns <= most_columns && a.rows >= kLeastRows &&
         columns * round_up(a.rows, kernels.lanes) < a.rows * round_up(columns, kernels.lanes);
}

template <typename T>
std::size_t narrow_gemm_scratch_bytes(const GroupedGemm<T>& gemm) {
  const NarrowPlan<T> plan(gemm);
  const NarrowScratch bytes = measure_scratch(gemm, plan);
  return bytes.pixels + bytes.per_thread * static_cast<std::size_t>(plan.threads);
}

template <typename T>
void run_narrow_gemm(const GroupedGemm<T>& gemm, std::byte* scratch) {
  const NarrowPlan<T> plan(gemm);
  const NarrowScratch bytes = measure_scratch(gemm, plan);
  T* const pixels = reinterpret_cast<T*>(scratch);
  const auto slice_of = [&](int thread) {
    return Slicer(scratch + bytes.pixels + bytes.per_thread * static_cast<std::size_t>(thread));
  };
  const double copies = 4.0 * static_cast<double>(gemm.groups * plan.k * plan.columns);
  parallel_for(gemm.groups * plan.k_blocks, std::min(plan.threads, threads_for(copies)),
               [&](int64_t task, int thread) {
                 Slicer slice = slice_of(thread);
                 PixelPacker<T> packer(gemm, plan, slice);
                 packer.run(gemm.of_group(task / plan.k_blocks), task % plan.k_blocks * plan.kc,
                            pixels + task * plan.block_elements());
               });
  parallel_for(gemm.groups * plan.row_tasks, plan.threads, [&](int64_t task, int thread) {
    Slicer slice = slice_of(thread);
    RowWorker<T> worker(plan, gemm.first.packed_a.data == nullptr, slice);
    const int64_t group = task / plan.row_tasks;
    worker.run(gemm.of_group(group), pixels + group * plan.k_blocks * plan.block_elements(),
               task % plan.row_tasks * plan.rows_per_task);
  });
}

template bool is_narrow(const KernelTable<float>&, const WeightView<float>&, int64_t);
template bool is_narrow(const KernelTable<double>&, const WeightView<double>&, int64_t);
template std::size_t narrow_gemm_scratch_bytes(const GroupedGemm<float>&);
template std::size_t narrow_gemm_scratch_bytes(const GroupedGemm<double>&);
template void run_narrow_gemm(const GroupedGemm<float>&, std::byte*);
template void run_narrow_gemm(const GroupedGemm<double>&, std::byte*);

}  // namespace convolt
