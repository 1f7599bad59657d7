#include "gemm.h"

#include <algorithm>

#include "parallel.h"

namespace convolt {

template <typename T>
void find_store_runs(const OutputGrid<T>& c, int64_t first, int64_t columns, int64_t panel_width,
                     PixelRun* runs, int64_t* first_run) {
  const bool join = c.rows_join();
  PixelRun* run = runs;
  int64_t panel_end = 0;
  for_each_run(first, columns, panel_width, c.row_length(),
               [&](int64_t panel, int64_t column, int64_t row, int64_t offset, int64_t length) {
                 const int64_t base =
                     join ? row * c.batch_stride
                          : row / c.grid_h * c.batch_stride + row % c.grid_h * c.y_stride;
                 if (column == 0) first_run[panel] = run - runs;
                 panel_end = panel + 1;
                 *run++ = {base + offset * c.x_stride, column, length};
               });
  first_run[panel_end] = run - runs;
}

template <typename T>
void macro_kernel(const KernelTable<T>& kernels, const GemmBlocks<T>& blocks,
                  const TileTarget<T>& target, const Epilogue<T>& epilogue, T* tile) {
  const Epilogue<T> plain = {nullptr, false, false};
  const GemmMicrokernel<T>* const microkernels =
      blocks.of_rows ? kernels.gemm_microkernels_of_rows : kernels.gemm_microkernels;
  for (int64_t p = 0; p < blocks.panels; ++p) {
    const PixelRun* const begin = target.runs + target.first_run[p];
    const PixelRun* const end = target.runs + target.first_run[p + 1];
    const int64_t columns = (end - 1)->column + (end - 1)->length;
    const GemmMicrokernel<T>* const tiles =
        microkernels + (ceil_div(columns, kernels.lanes) - 1) * kernels.mr;
    TileOperands<T> operands = {nullptr, blocks.lda, blocks.b[p].data, blocks.b[p].pitch};
    const bool direct =
        target.x_stride == 1 && begin->length == columns && columns % kernels.lanes == 0;
    for (int64_t row = 0; row < blocks.rows; row += kernels.mr) {
      const int64_t used = std::min(kernels.mr, blocks.rows - row);
      const GemmMicrokernel<T> microkernel = tiles[used - 1];
      operands.a = blocks.a + row * blocks.row_step;
      TileTarget<T> rows = target;
      rows.c += row * target.row_stride;
      Epilogue<T> own = epilogue;
      if (own.bias != nullptr) own.bias += row;
      if (direct) {
        microkernel(blocks.kc, operands, rows.c + begin->source, target.row_stride, own);
      } else {
        microkernel(blocks.kc, operands, tile, kernels.nr, plain);
        kernels.store_tile(tile, kernels.nr, used, rows, p, own);
      }
    }
  }
}

template <typename T>
GemmWorker<T>::GemmWorker(const KernelTable<T>& kernels, const Im2colView& view,
                          const ColumnBlocks& blocks, const WeightView<T>& a, OperandA operand,
                          Slicer& scratch)
    : kernels_(kernels),
      operand_(operand),
      kc_(even_block(a.columns(), kernels.kc)),
      panel_pitch_(kc_ * kernels.nr + kernels.nr),  // the slack of gather_taps
      columns_(view, blocks, kernels.nr, scratch) {
  const int64_t panels = ceil_div(blocks.size, kernels.nr);
  padded_ = scratch.take<T>(ColumnBlock::padded_elements(view, blocks, kernels.nr));
  packed_b_ = scratch.take<T>(panels * panel_pitch_);
  panels_ = scratch.take<PanelOfB<T>>(panels);
  packed_a_ = scratch.take<T>(operand == OperandA::kPackedByTask
                                  ? std::min(kernels.mc, round_up(a.rows, kernels.mr)) * kc_
                                  : 0);
  tile_ = scratch.take<T>(kernels.mr * kernels.nr);
  store_runs_ = scratch.take<PixelRun>(panels + blocks.size / view.grid_w + 2);
  first_store_run_ = scratch.take<int64_t>(panels + 1);
}

// Packs what cannot be read where it lies, and says where each panel is.
template <typename T>
void GemmWorker<T>::pack_panels(const GemmProblem<T>& problem, int64_t k_begin, int64_t k_count,
                                int64_t row_count) {
  // Read in place, a panel is a line or two from each of kc planes, and too spread out for the
  // first level of the cache to hold it from tile to tile; packed, it costs a store for each load.
  // Up to 32 output channels gain 10-25 %, from 64 on it is 5 % one way or the other.
  constexpr int64_t kMostRows = 36;
  const int64_t panels = columns_.panel_count();
  const bool in_place = row_count <= kMostRows;
  int64_t first_packed = 0;
  for (int64_t p = 0; p <= panels; ++p) {
    const PanelOfB<T> plane = in_place && p < panels
                                  ? columns_.panel_in_place(kernels_, problem.image, k_begin, p)
                                  : PanelOfB<T>{nullptr, 0};
    if (plane.data == nullptr && p < panels) {
      panels_[p] = {packed_b_ + p * panel_pitch_, kernels_.nr};
      continue;
    }
    if (first_packed < p) {
      columns_.pack(kernels_, problem.image, k_begin, k_begin + k_count, padded_, packed_b_,
                    {panel_pitch_, kernels_.nr, first_packed, p});
    }
    first_packed = p + 1;
    if (p < panels) panels_[p] = plane;
  }
}

template <typename T>
void GemmWorker<T>::run(const GemmProblem<T>& problem, int64_t first_column, int64_t columns,
                        int64_t row_begin, int64_t row_end) {
  columns_.prepare(first_column, columns);
  find_store_runs(problem.c, first_column, columns, kernels_.nr, store_runs_, first_store_run_);
  const int64_t k = problem.a.columns();
  int64_t k_begin = 0;
  do {  // once for k = 0 as well: C is then the bias
    const int64_t k_count = std::min(kc_, k - k_begin);
    const bool last = k_begin + k_count == k;
    if (columns % kernels_.nr !=
        0) {  // the lanes beyond must not hold denormals by chance: they are slow
      T* const ragged = packed_b_ + (columns_.panel_count() - 1) * panel_pitch_;
      std::fill_n(ragged, k_count * kernels_.nr, T{0});
    }
    pack_panels(problem, k_begin, k_count, row_end - row_begin);
    for (int64_t row = row_begin; row < row_end && !stop_requested(); row += kernels_.mc) {
      const int64_t rows = std::min(kernels_.mc, row_end - row);
      GemmBlocks<T> blocks = {
          packed_a_, kernels_.mr, k_count, false, rows, panels_, columns_.panel_count(), k_count};
      switch (operand_) {
        case OperandA::kPrepacked:
          blocks.a = problem.packed_a.panel(problem.a, k_begin, k_count, row);
          break;
        case OperandA::kPackedByTask:
          problem.a.pack(kernels_, kernels_.mr, row, row + rows, k_begin, k_count, packed_a_);
          break;
        case OperandA::kInPlace:
          blocks.of_rows = problem.a.rows_are_consecutive();
          blocks.a = problem.a.at(row, k_begin);
          blocks.row_step = problem.a.row_stride;
          blocks.lda = blocks.of_rows ? problem.a.row_stride : problem.a.channel_stride;
          break;
      }
      const TileTarget<T> target = {problem.c.data + row * problem.c.row_stride - problem.c.origin,
                                    problem.c.row_stride, problem.c.x_stride, store_runs_,
                                    first_store_run_};
      const bool biased = last && problem.bias != nullptr;
      const Epilogue<T> epilogue = {biased ? problem.bias + row : nullptr, k_begin > 0,
                                    last && problem.relu};
      macro_kernel(kernels_, blocks, target, epilogue, tile_);
    }
    k_begin += k_count;
  } while (k_begin < k && !stop_requested());
}

template class GemmWorker<float>;
template class GemmWorker<double>;
template void find_store_runs(const OutputGrid<float>&, int64_t, int64_t, int64_t, PixelRun*,
                              int64_t*);
template void find_store_runs(const OutputGrid<double>&, int64_t, int64_t, int64_t, PixelRun*,
                              int64_t*);
template void macro_kernel(const KernelTable<float>&, const GemmBlocks<float>&,
                           const TileTarget<float>&, const Epilogue<float>&, float*);
template void macro_kernel(const KernelTable<double>&, const GemmBlocks<double>&,
                           const TileTarget<double>&, const Epilogue<double>&, double*);

}  // namespace convolt
