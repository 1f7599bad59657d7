// The products between Winograd's transforms: how they are cut into tasks, and one thread's part.
#pragma once

#include "gemm.h"
#include "winograd_filters.h"
#include "workspace.h"

namespace convolt {

// The operands as both passes see them; planes and bias are those of group 0.
template <typename T>
struct WinogradProblem {
  int64_t batch;
  GroupedFilters<T> filters;
  WinogradPlanes<const T> image;
  WinogradPlanes<T> output;
  int64_t pad_top, pad_left;  // negative: so many rows or columns are left out
  const T* bias;
  bool relu;
};

// The tiles of all images in one row: the columns of the products.
struct TileGrid {
  WinogradSize size;
  int64_t h, w;  // tiles of an image
  int64_t count;

  TileGrid(const WinogradSize& tile_size, int64_t batch, int64_t out_h, int64_t out_w)
      : size(tile_size),
        h(ceil_div(out_h, size.tile)),
        w(ceil_div(out_w, size.tile)),
        count(batch * h * w) {}

  int64_t elements() const { return size.elements(); }
  int64_t most_runs(int64_t tiles) const { return w == 0 ? 0 : tiles / w + 2; }

  // The runs of the tiles [first, first + tiles) of images that lie `image_step` apart.
  WinogradRuns find_runs(int64_t first, int64_t tiles, int64_t image_step, int64_t shift_y,
                         int64_t shift_x, WinogradRun* runs) const {
    WinogradRun* run = runs;
    int64_t column = 0;
    for_each_run(first, tiles, tiles, w,
                 [&](int64_t, int64_t, int64_t row, int64_t offset, int64_t length) {
                   *run++ = {row / h * image_step, row % h * size.tile - shift_y,
                             offset * size.tile - shift_x, column, length};
                   column += length;
                 });
    return {runs, run - runs};
  }
};

// Scratch for `elements` matrices rows x columns. Rows are an odd number of cache lines, and
// elements lie a line apart from a multiple of 4 KiB, so that neither share a set of the first
// level of the cache.
template <typename T>
WinogradMatrices<T> take_matrices(Slicer& scratch, int64_t elements, int64_t rows,
                                  int64_t columns) {
  const int64_t line = static_cast<int64_t>(kCacheLine / sizeof(T));
  const int64_t pitch = (ceil_div(columns, line) | 1) * line;
  const int64_t step = rows * pitch + line;
  return {scratch.take<T>(elements * step), step, pitch};
}

// The transformed filters that a task multiplies with: rows, or panels of MR rows.
template <typename T>
struct ProductFilters {
  const T* data;
  int64_t step;         // from element to element
  int64_t pitch;        // from row to row; 0: packed
  int64_t padded_rows;  // of all panels

  // The rows from `row` on, a multiple of MR, of the channels [k, k + kc).
  GemmBlocks<T> blocks(const KernelTable<T>& kernels, int64_t e, int64_t row, int64_t k,
                       int64_t kc) const {
    const T* const u = data + e * step;
    if (pitch == 0) {
      return {u + k * padded_rows + row * kc, kernels.mr, kc, false, 0, nullptr, 0, kc};
    }
    return {u + row * pitch + k, pitch, pitch, true, 0, nullptr, 0, kc};
  }
};

// How the products are cut. Transformed input is kept for `strip` tiles, by each thread or by all
// of them together; a task multiplies `rows` rows of filters with `block` tiles at a time.
struct WinogradPlan {
  int threads;
  int64_t strips, strip;
  int64_t block;
  int64_t parts, rows;
  bool filters_first;  // else each task transforms its own, for one strip is all there is
  bool strip_by_thread;

  template <typename T>
  WinogradPlan(const KernelTable<T>& kernels, const WinogradProblem<T>& p, const TileGrid& grid,
               bool prepared);
};

// The transformed filters of all groups, or of none where each task transforms its own.
template <typename T>
struct SharedFilters {
  ProductFilters<T> first;
  int64_t group_step;
};

// A part of the products: the tiles [first, first + tiles) of the grid, whose transformed input is
// v, and some rows of filters of a group.
template <typename T>
struct WinogradTask {
  int64_t group, first, tiles;
  int64_t row_begin, row_end;
  WinogradMatrices<const T> v;
};

// The scratch of one thread, and the work it is for.
template <typename T>
class WinogradWorker {
 public:
  WinogradWorker(const KernelTable<T>& kernels, const WinogradProblem<T>& p, const TileGrid& grid,
                 const WinogradPlan& plan, Slicer& scratch);
  // Transforms its filters where nobody did, multiplies, and brings the outputs to their planes.
  void run(const WinogradTask<T>& task, const SharedFilters<T>& shared);

 private:
  void multiply(const WinogradTask<T>& task, const ProductFilters<T>& u);
  void transform_output(const WinogradTask<T>& task);

  const KernelTable<T>& kernels_;
  const WinogradKernels<T>& transforms_;
  const WinogradProblem<T>& p_;
  const TileGrid& grid_;
  const WinogradPlan& plan_;
  int64_t elements_, kc_;
  FilterLayout layout_;
  WinogradMatrices<T> m_;
  T* own_filters_;
  PanelOfB<T>* panels_;
  PixelRun* store_runs_;
  int64_t* first_store_run_;
  WinogradRun* runs_;
};

}  // namespace convolt
