#include "staged_rows.h"

#include <algorithm>
#include <numeric>

namespace convolt {
namespace {

struct Samples {
  bool shared;
  int64_t count, samples;
};

Samples samples_of(const RunAxis& axis) {
  const int64_t residues =
      std::min(axis.runs, axis.run_pace / std::gcd(axis.run_step, axis.run_pace));
  const int64_t samples = axis.length + (axis.runs - 1) * axis.run_step / axis.run_pace;
  if (residues * samples <= axis.runs * axis.length) return {true, residues, samples};
  return {false, axis.runs, axis.length};
}

bool shares_rows(const Conv2dProblem& p, int64_t rows) {
  return (rows - 1) * p.window.stride_h + (p.kernel_h - 1) * p.window.dilation_h + 1 <=
         rows * p.kernel_h;
}

}  // namespace

RunSamplings::RunSamplings(const RunAxis& largest, Slicer& scratch)
    : samplings_(scratch.take<RowSampling>(largest.runs)),
      run_offsets_(scratch.take<int64_t>(largest.runs)) {}

int64_t RunSamplings::row_elements(const RunAxis& axis) {
  const Samples s = samples_of(axis);
  return s.count * s.samples;
}

void RunSamplings::prepare(const RunAxis& axis, int64_t origin, int64_t width) {
  const Samples s = samples_of(axis);
  shared_ = s.shared;
  count_ = s.count;
  samples_ = s.samples;
  pace_ = axis.run_pace;
  has_border_ = false;
  for (int64_t i = 0; i < s.count; ++i) {
    const int64_t offset = i * axis.run_step;
    const int64_t start = origin + (s.shared ? offset % pace_ : offset);
    const int64_t begin = std::clamp<int64_t>(ceil_quotient(-start, pace_), 0, s.samples);
    const int64_t end = std::clamp(ceil_quotient(width - start, pace_), begin, s.samples);
    samplings_[i] = {start, begin, end};
    has_border_ = has_border_ || end - begin < s.samples;
  }
  for (int64_t run = 0; run < axis.runs; ++run) {
    run_offsets_[run] = run % s.count * s.samples + (s.shared ? run * axis.run_step / pace_ : 0);
  }
}

WindowRows::WindowRows(const Conv2dProblem& p, int64_t most_rows, Slicer& scratch)
    : problem_(p), offsets_(scratch.take<int64_t>(p.kernel_h * most_rows)) {}

int64_t WindowRows::count(const Conv2dProblem& p, int64_t rows) {
  if (!shares_rows(p, rows)) return rows * p.kernel_h;
  return (rows - 1) * p.window.stride_h + (p.kernel_h - 1) * p.window.dilation_h + 1;
}

void WindowRows::prepare(int64_t first_row, int64_t rows) {
  const WindowParams& w = problem_.window;
  count_ = count(problem_, rows);
  const bool shared = shares_rows(problem_, rows);
  window_step_ = shared ? w.stride_h : 1;
  tap_step_ = shared ? w.dilation_h : rows;
  const int64_t top = first_row * w.stride_h - w.pad_top;
  has_border_ = false;
  for (int64_t i = 0; i < count_; ++i) {
    const int64_t y = top + (shared ? i : i % rows * w.stride_h + i / rows * w.dilation_h);
    const bool inside = y >= 0 && y < problem_.in_h;
    offsets_[i] = inside ? y * problem_.in_w : -1;
    has_border_ = has_border_ || !inside;
  }
}

}  // namespace convolt
