// C = A B around the micro-kernel, in the vocabulary of BLIS: the loops JC, PC, IC, JR, IR, panels
// of MR rows of A and NR columns of B, blocks of KC x NC and MC x KC. B is an im2col view, and
// packing is where the image is read.
#pragma once

#include "im2col_view.h"
#include "kernel_table.h"
#include "weight_view.h"

namespace convolt {

// Where C lies: row i of column (n, y, x) of the grid at
//     data + i * row_stride + n * batch_stride + y * y_stride + x * x_stride - origin.
template <typename T>
struct OutputGrid {
  T* data;
  int64_t row_stride, batch_stride, y_stride, x_stride;
  int64_t grid_h, grid_w;
  int64_t origin = 0;  // where data holds a part of C only

  bool rows_join() const { return x_stride == 1 && y_stride == grid_w; }
  int64_t row_length() const { return rows_join() ? grid_h * grid_w : grid_w; }
};

// C = A B + bias, then the activation. `packed_a` holds all of A where many tasks share it; empty
// where each task packs what it needs, or reads it in place.
template <typename T>
struct GemmProblem {
  WeightView<T> a;
  PackedWeight<T> packed_a;
  const T* image;
  OutputGrid<T> c;
  const T* bias;  // null: none
  bool relu;
};

// The runs of C that each panel of `panel_width` columns covers.
template <typename T>
void find_store_runs(const OutputGrid<T>& c, int64_t first, int64_t columns, int64_t panel_width,
                     PixelRun* runs, int64_t* first_run);

// What a task does with A.
enum class OperandA { kPrepacked, kPackedByTask, kInPlace };

// Whether the micro-kernel can broadcast from rows that lie so far apart: not if all rows of a tile
// share a set of the first level of the cache, as lines 4 KiB apart do.
template <typename T>
bool rows_in_reach(const KernelTable<T>& kernels, int64_t row_stride) {
  constexpr int64_t kWayBytes = 4096;
  constexpr int64_t kWays = 8;
  return kernels.mr <= kWays || row_stride * static_cast<int64_t>(sizeof(T)) % kWayBytes != 0;
}

// What one thread needs: reused for each of its tasks.
template <typename T>
class GemmWorker {
 public:
  GemmWorker(const KernelTable<T>& kernels, const Im2colView& view, const ColumnBlocks& blocks,
             const WeightView<T>& a, OperandA operand, Slicer& scratch);
  // One block of columns, and the rows [row_begin, row_end) of A, multiples of MR: one task.
  void run(const GemmProblem<T>& problem, int64_t first_column, int64_t columns, int64_t row_begin,
           int64_t row_end);

 private:
  void pack_panels(const GemmProblem<T>& problem, int64_t k_begin, int64_t k_count,
                   int64_t row_count);

  const KernelTable<T>& kernels_;
  OperandA operand_;
  int64_t kc_, panel_pitch_;
  ColumnBlock columns_;
  T* padded_;
  T* packed_b_;
  PanelOfB<T>* panels_;
  T* packed_a_;
  T* tile_;
  PixelRun* store_runs_;
  int64_t* first_store_run_;
};

// The blocks that the inner loops multiply: `rows` rows of A, `panels` panels of B.
template <typename T>
struct GemmBlocks {
  const T* a;
  int64_t lda, row_step;  // row r begins at a + r * row_step
  bool of_rows;           // the micro-kernel for rows of A
  int64_t rows;
  const PanelOfB<T>* b;
  int64_t panels;
  int64_t kc;
};

// The inner loops, JR over panels of B and IR over panels of A, and the stores of their tiles.
// `tile` is scratch for one.
template <typename T>
void macro_kernel(const KernelTable<T>& kernels, const GemmBlocks<T>& blocks,
                  const TileTarget<T>& target, const Epilogue<T>& epilogue, T* tile);

}  // namespace convolt
