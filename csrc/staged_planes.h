// Planes of an image, padded and sampled block by block for the kernels of tap_rows.cpp: which
// elements the windows of a block need, and where each tap finds them.
#pragma once

#include <vector>

#include "geometry.h"
#include "kernel_table.h"
#include "workspace.h"

namespace convolt {

// One tap of a window along one axis: at grid position o it reads sample o + shift of a sampling.
struct TapPlace {
  int64_t tap;  // of the weight
  int64_t sampling, shift;
};

// The outputs phase, phase + stride, .. along one axis: one for each of the first `positions` of
// the grid, and the taps that reach them.
struct GridPhase {
  int64_t phase, positions;
  std::vector<TapPlace> taps;
};

// One axis of the image. Sample i of sampling s is the element  origin + s * spacing + i * step.
struct StagedAxis {
  int64_t size;
  int64_t origin, step;
  int64_t samplings, spacing;
  int64_t reach;                  // samples beyond the grid position itself
  std::vector<GridPhase> phases;  // the first has the most positions

  int64_t positions() const { return phases.front().positions; }
};

// What the windows of a convolution see of x: one phase, and a sampling for each remainder of the
// stride that a tap has.
//     kernel 3, stride 2      sampling 0: x0 x2 x4 x6 ..  taps 0 and 2 (shift 1)
//                             sampling 1: x1 x3 x5 ..     tap 1
StagedAxis forward_axis(int64_t size, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad,
                        int64_t out);
// What the elements of x see of dy: a phase for each remainder of the stride, in one sampling.
StagedAxis backward_axis(int64_t size, int64_t kernel, int64_t stride, int64_t dilation,
                         int64_t pad, int64_t out);

// A stretch of grid positions on each axis.
struct GridBlock {
  int64_t y, rows;
  int64_t x, columns;
};

// The blocks of the grid, and the layout of one in scratch. A unit is what one group sees of one
// image: `channels` planes. Small ones come several at a time.
class StagedPlanes {
 public:
  StagedPlanes(StagedAxis vertical, StagedAxis horizontal, int64_t channels, int64_t lanes,
               int64_t element_bytes);

  StagedAxis vertical, horizontal;
  int64_t channels;
  int64_t block_rows, block_columns;
  int64_t units;  // at a time

  // Blocks are numbered row by row.
  int64_t blocks() const { return row_blocks_ * column_blocks_; }
  GridBlock block(int64_t index) const;

  int64_t row_pitch() const { return row_pitch_; }
  int64_t unit_pitch() const { return channels * plane_pitch_; }

  // Where the taps of grid position (0, 0) begin: RowWindow::tap_starts.
  std::vector<int64_t> tap_starts(const GridPhase& v, const GridPhase& h) const;

  // What a thread needs for stage().
  template <typename T>
  struct Room {
    T* padded;
    RowSampling* samplings;
    int64_t* row_offsets;
  };
  template <typename T>
  Room<T> take_room(Slicer& slicer) const {
    Room<T> room;
    room.padded = slicer.take<T>(units * unit_pitch() + lanes_);
    room.samplings = slicer.take<RowSampling>(horizontal.samplings);
    room.row_offsets = slicer.take<int64_t>(rows_per_sampling_);
    return room;
  }

  // Pads what a block needs of the first `count` units from `image` on.
  template <typename T>
  void stage(const KernelTable<T>& kernels, const T* image, const GridBlock& block, int64_t count,
             const Room<T>& room) const;

 private:
  int64_t lanes_;
  int64_t row_blocks_, column_blocks_;
  int64_t rows_per_sampling_, samples_;
  int64_t row_pitch_, plane_pitch_;
};

}  // namespace convolt
