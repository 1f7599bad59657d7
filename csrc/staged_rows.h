// Where the rows of a column matrix lie in padded rows of the image: what im2col, col2im, unfold
// and fold have in common. Along the width the matrix consists of runs:
//
//   im2col, col2im   for each window a run of taps       x = window * stride_w + tap * dilation_w
//   unfold, fold     for each tap a run of windows           - pad_left
//
// The samples of a padded row are those of one residue modulo the step within a run, so that every
// run is consecutive. Runs share them, unless they lie so far apart that copies are fewer.
#pragma once

#include "geometry.h"
#include "kernel_table.h"
#include "workspace.h"

namespace convolt {

struct RunAxis {
  int64_t runs, run_step;    // from run to run in the image,
  int64_t length, run_pace;  // and within a run
};

// Samplings and runs of the largest part of an axis, for any part of it.
class RunSamplings {
 public:
  RunSamplings(const RunAxis& largest, Slicer& scratch);

  // The runs that begin at x = origin in a row of `width` pixels.
  void prepare(const RunAxis& axis, int64_t origin, int64_t width);

  static int64_t row_elements(const RunAxis& axis);

  const int64_t* run_offsets() const { return run_offsets_; }  // of each run in the padded row
  int64_t row_pitch() const { return count_ * samples_; }
  bool has_border() const { return has_border_; }
  // Each pixel has one sample at most.
  bool shared() const { return shared_; }
  // The rows at these offsets, sampled so, with a gap behind each.
  PaddedRows padded_rows(const int64_t* row_offsets, int64_t rows, int64_t gap = 0) const {
    return {row_offsets, rows, samplings_, count_, samples_, pace_, row_pitch() + gap};
  }

 private:
  RowSampling* samplings_;
  int64_t* run_offsets_;
  int64_t count_ = 0, samples_ = 0, pace_ = 1;
  bool shared_ = true, has_border_ = false;
};

// The padded rows of consecutive rows of windows in one plane: that of tap row kh and window row r
// is row(r, kh). Windows that overlap share rows, under the same condition.
class WindowRows {
 public:
  WindowRows(const Conv2dProblem& p, int64_t most_rows, Slicer& scratch);

  void prepare(int64_t first_row, int64_t rows);

  static int64_t count(const Conv2dProblem& p, int64_t rows);

  int64_t count() const { return count_; }
  int64_t row(int64_t r, int64_t kh) const { return r * window_step_ + kh * tap_step_; }
  int64_t window_step() const { return window_step_; }
  const int64_t* offsets() const { return offsets_; }  // in the plane; negative: outside
  bool has_border() const { return has_border_; }

 private:
  const Conv2dProblem& problem_;
  int64_t* offsets_;
  int64_t count_ = 0, window_step_ = 0, tap_step_ = 0;
  bool has_border_ = false;
};

// Consecutive parts of at most `size`.
struct Parts {
  int64_t total, size;

  int64_t count() const { return ceil_div(total, size); }
  int64_t begin(int64_t part) const { return part * size; }
  int64_t length(int64_t part) const {
    return part * size + size <= total ? size : total - part * size;
  }
};

}  // namespace convolt
