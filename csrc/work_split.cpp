#include "work_split.h"

#include <algorithm>

namespace convolt {
namespace {

constexpr int64_t kTasksPerThread = 4;

WorkSplit cut(const ColumnGrid& grid, int64_t rows, const TileSizes& sizes, int64_t blocks,
              int64_t parts) {
  const int64_t width = std::min(sizes.nc, ceil_div(grid.columns, blocks));
  WorkSplit split = {ColumnBlocks(grid, width, sizes.nr), 0, 0};
  split.rows_per_task = std::max(round_up(ceil_div(rows, parts), sizes.mr), sizes.mr);
  split.row_parts = ceil_div(rows, split.rows_per_task);
  return split;
}

// The time of the longest row of tasks, in units of a column of one row.
double makespan(const WorkSplit& split, int64_t rows, int64_t groups, int threads) {
  constexpr double kPackingRows = 4;  // packing a column costs as much as computing so many rows
  const auto turns = static_cast<double>(ceil_div(split.tasks(groups), threads));
  return turns * static_cast<double>(split.blocks.size) *
         (static_cast<double>(std::min(split.rows_per_task, rows)) + kPackingRows);
}

}  // namespace

WorkSplit split_work(const ColumnGrid& grid, int64_t rows, int64_t groups, const TileSizes& sizes,
                     int threads) {
  const int64_t least_blocks = std::max<int64_t>(ceil_div(grid.columns, sizes.nc), 1);
  WorkSplit best = cut(grid, rows, sizes, least_blocks, 1);
  const int64_t enough = kTasksPerThread * threads;
  if (threads == 1 || best.tasks(groups) == 0 || best.tasks(groups) >= enough) return best;
  double best_time = makespan(best, rows, groups, threads);
  for (int64_t blocks = least_blocks; blocks * groups <= enough; ++blocks) {
    for (int64_t parts = 1; parts * blocks * groups <= enough; parts *= 2) {
      const WorkSplit split = cut(grid, rows, sizes, blocks, parts);
      const double time = makespan(split, rows, groups, threads);
      if (time < best_time) {
        best = split;
        best_time = time;
      }
    }
  }
  return best;
}

}  // namespace convolt
