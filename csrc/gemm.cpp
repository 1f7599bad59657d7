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
void macro_kernel(const KernelTable<T>& kernels, const PackedBlocks<T>& blocks,
                  const TileTarget<T>& target, const Epilogue<T>& epilogue, T* tile) {
  const Epilogue<T> plain = {nullptr, false, false};
  const T* b = blocks.b;
  for (int64_t p = 0; p < blocks.panels; ++p, b += blocks.panel_pitch) {
    const PixelRun* const begin = target.runs + target.first_run[p];
    const PixelRun* const end = target.runs + target.first_run[p + 1];
    const int64_t columns = (end - 1)->column + (end - 1)->length;
    const GemmMicrokernel<T>* const tiles =
        kernels.gemm_microkernels + (ceil_div(columns, kernels.lanes) - 1) * kernels.mr;
    const bool direct =
        target.x_stride == 1 && begin->length == columns && columns % kernels.lanes == 0;
    for (int64_t row = 0; row < blocks.rows; row += kernels.mr) {
      const int64_t used = std::min(kernels.mr, blocks.rows - row);
      const GemmMicrokernel<T> microkernel = tiles[used - 1];
      const T* const a = blocks.a + row * blocks.kc;
      TileTarget<T> rows = target;
      rows.c += row * target.row_stride;
      Epilogue<T> own = epilogue;
      if (own.bias != nullptr) own.bias += row;
      if (direct) {
        microkernel(blocks.kc, a, b, rows.c + begin->source, target.row_stride, own);
      } else {
        microkernel(blocks.kc, a, b, tile, kernels.nr, plain);
        kernels.store_tile(tile, kernels.nr, used, rows, p, own);
      }
    }
  }
}

template <typename T>
GemmWorker<T>::GemmWorker(const KernelTable<T>& kernels, const Im2colView& view,
                          const ColumnBlocks& blocks, const WeightView<T>& a, bool packs_a,
                          Slicer& scratch)
    : kernels_(kernels),
      kc_(even_block(a.columns(), kernels.kc)),
      panel_pitch_(kc_ * kernels.nr + kernels.nr),  // the slack of gather_taps
      columns_(view, blocks, kernels.nr, scratch) {
  const int64_t panels = ceil_div(blocks.size, kernels.nr);
  padded_ = scratch.take<T>(ColumnBlock::padded_elements(view, blocks, kernels.nr));
  packed_b_ = scratch.take<T>(panels * panel_pitch_);
  packed_a_ =
      scratch.take<T>(packs_a ? std::min(kernels.mc, round_up(a.rows, kernels.mr)) * kc_ : 0);
  tile_ = scratch.take<T>(kernels.mr * kernels.nr);
  store_runs_ = scratch.take<PixelRun>(panels + blocks.size / view.grid_w + 2);
  first_store_run_ = scratch.take<int64_t>(panels + 1);
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
    columns_.pack(kernels_, problem.image, k_begin, k_begin + k_count, padded_, packed_b_,
                  panel_pitch_, kernels_.nr);
    for (int64_t row = row_begin; row < row_end && !stop_requested(); row += kernels_.mc) {
      const int64_t rows = std::min(kernels_.mc, row_end - row);
      const T* a = packed_a_;
      if (problem.packed_a.data != nullptr) {
        a = problem.packed_a.panel(problem.a, k_begin, k_count, row);
      } else {
        problem.a.pack(kernels_, kernels_.mr, row, row + rows, k_begin, k_count, packed_a_);
      }
      const PackedBlocks<T> blocks = {a,      rows, packed_b_, columns_.panel_count(), panel_pitch_,
                                      k_count};
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
template void macro_kernel(const KernelTable<float>&, const PackedBlocks<float>&,
                           const TileTarget<float>&, const Epilogue<float>&, float*);
template void macro_kernel(const KernelTable<double>&, const PackedBlocks<double>&,
                           const TileTarget<double>&, const Epilogue<double>&, double*);

}  // namespace convolt
