// How a product is cut into tasks: blocks of its columns, and parts of its rows.
#pragma once

#include "im2col_view.h"
#include "kernel_table.h"

namespace convolt {

struct WorkSplit {
  ColumnBlocks blocks;
  int64_t rows_per_task, row_parts;

  int64_t tasks(int64_t groups) const { return groups * blocks.count * row_parts; }
};

// What the product has to be cut by: whole tiles, and columns that fit the second level of the
// cache.
struct TileSizes {
  int64_t mr, nr, nc;
};

template <typename T>
TileSizes tile_sizes(const KernelTable<T>& kernels) {
  return {kernels.mr, kernels.nr, kernels.nc};
}

// The split that keeps the threads busy to the end, in as few tasks as possible: each packs the
// columns that it reads. Nothing here changes a bit of the result: no sum is divided.
WorkSplit split_work(const ColumnGrid& grid, int64_t rows, int64_t groups, const TileSizes& sizes,
                     int threads);

}  // namespace convolt
