// Windows that slide over padded rows: which elements of the image the windows of one output row
// need, where they lie in the scratch, and the walk over all output rows of all planes.
#pragma once

#include <algorithm>
#include <new>
#include <numeric>

#include "geometry.h"
#include "isa.h"
#include "parallel.h"
#include "plane_sweep.h"
#include "workspace.h"

namespace convolt {

// Padded rows of one block of output rows, in bytes: what L1 holds beside the state and the output.
constexpr int64_t kPaddedBytes = int64_t{32} << 10;

// More taps in a row of windows than any memory could hold.
constexpr int64_t kMostTaps = int64_t{1} << 40;

// The work for threads_for(): an element that a window visits takes as long as some sixteen
// operations of a product. In floating point, for the most absurd windows are beyond int64.
inline double pooling_work(const Pool2dProblem& p) {
  constexpr double kOperationsPerVisit = 16;
  return kOperationsPerVisit * static_cast<double>(p.planes() * p.out_pixels()) *
         static_cast<double>(p.kernel_h) * static_cast<double>(p.kernel_w);
}

// The elements x = start + i * step that lie in [0, size), for i < samples.
inline RowSampling sample_row(int64_t start, int64_t step, int64_t size, int64_t samples) {
  const TapRange inside = taps_inside(0, size, samples, 1, step, -start);
  return {start, inside.begin, inside.end};
}

// How the taps of some windows along one axis share samples of it. Sampling s takes the elements
// s * dilation + i * stride; tap k of window o is sample  o + shift(k)  of sampling  k % samplings.
//
//   kernel 3, stride 2, dilation 1      sampling 0: x0 x2 x4 x6 ..  taps 0 and 2 (shift 1)
//                                       sampling 1: x1 x3 x5 ..     tap 1
//
// Where sharing would keep more than it saves (a wide dilation), each tap has its own.
struct TapLayout {
  int64_t stride, dilation;
  int64_t samplings, samples;

  TapLayout(const WindowAxis& axis, int64_t taps, int64_t windows)
      : stride(axis.stride),
        dilation(axis.dilation),
        samplings(std::min(taps, stride / std::gcd(stride, dilation))),
        samples(windows + shift(taps - 1)) {
    if (windows > kMostTaps / taps) throw std::bad_alloc();
    const int64_t unshared = taps * windows;
    if (samples > unshared / samplings) {
      samplings = taps;
      samples = windows;
    }
  }

  int64_t elements() const { return samplings * samples; }
  int64_t shift(int64_t tap) const { return (tap - tap % samplings) * dilation / stride; }
  int64_t start(int64_t tap) const { return tap % samplings * samples + shift(tap); }
};

// Which output rows share padded rows, and how many rows of taps fit at once: all, except for tall
// windows, whose output rows come alone and in several steps.
struct RowBlocks {
  int64_t outputs = 1;
  int64_t taps = 1;

  RowBlocks(const WindowAxis& axis, int64_t padded_rows) {
    taps = std::min(axis.kernel, padded_rows);
    if (taps < axis.kernel) return;
    outputs = std::min(axis.out, padded_rows);
    while (outputs > 1 && TapLayout(axis, taps, outputs).elements() > padded_rows) {
      outputs = ceil_div(outputs, 2);
    }
  }
};

// What the offset of a tap counts: row * (taps from the top) + tap * (taps from the left).
struct TapUnits {
  int64_t row, tap;
};

// Tasks are many, so that a thread which the system holds up has fewer of them.
constexpr int64_t kTasksPerThread = 8;

// What one thread needs.
template <typename T>
struct Worker {
  T* padded;
  int64_t* row_offsets;
  PoolState<T> state;
};

// The forward pass of every pooling: reduces each window row by row with a kernel. The result of an
// output row goes to a caller's function, which finishes it.
template <typename T>
class WindowReduction {
 public:
  WindowReduction(const Pool2dProblem& problem, PoolRow<T> reduce, T identity,
                  const TapUnits& units = {})
      : kernels_(selected_kernels<T>()),
        problem_(problem),
        vertical_(vertical(problem)),
        horizontal_(horizontal(problem)),
        reduce_(reduce),
        units_(units),
        identity_(identity),
        columns_(horizontal_, problem.kernel_w, problem.out_w),
        row_pitch_(round_up(columns_.elements(), kernels_.lanes)),
        blocks_(vertical_,
                std::max<int64_t>(1, kPaddedBytes / static_cast<int64_t>(sizeof(T)) / row_pitch_)),
        rows_(vertical_, blocks_.taps, blocks_.outputs) {}

  // Each output row by `sweep`, or else by the row kernel, whose results go to
  // finish(state, plane, oh).
  template <typename Finish>
  void run(const T* x, const PlaneSweep<T>& sweep, const Finish& finish) {
    const int64_t output_rows = problem_.planes() * problem_.out_h;
    const int threads =
        threads_for(sweep.applies() ? sweep_work(problem_) : pooling_work(problem_));
    Slicer size;
    take_tables(size);
    const std::size_t shared = size.used();
    take_worker(size);
    sweep.take_scratch(size);
    const std::size_t per_thread = size.used() - shared;
    const Scratch scratch(shared + per_thread * static_cast<std::size_t>(threads));
    Slicer tables(scratch.data());
    take_tables(tables);
    fill_tables();

    const int64_t tasks = threads == 1 ? 1 : kTasksPerThread * threads;
    const int64_t unit = problem_.planes() >= tasks ? problem_.out_h : blocks_.outputs;
    const int64_t rows_per_task =
        round_up(ceil_div(std::max<int64_t>(output_rows, 1), tasks), unit);
    parallel_for(ceil_div(output_rows, rows_per_task), threads, [&](int64_t task, int thread) {
      Slicer slice(scratch.data() + shared + per_thread * static_cast<std::size_t>(thread));
      const Worker<T> worker = take_worker(slice);
      const SweepScratch<T> room = sweep.take_scratch(slice);
      const int64_t end = std::min(output_rows, (task + 1) * rows_per_task);
      for (int64_t row = task * rows_per_task; row < end && !stop_requested();) {
        const int64_t count = sweep.applies() ? sweep.chunk(row, end) : end - row;
        if (!sweep.applies() || !sweep.pool(row, count, end, room)) {
          reduce_rows(worker, x, row, row + count, finish);
        }
        row += count;
      }
    });
  }

 private:
  void take_tables(Slicer& slicer) {
    samplings_ = slicer.take<RowSampling>(columns_.samplings);
    column_starts_ = slicer.take<int64_t>(problem_.kernel_w);
    row_starts_ = slicer.take<int64_t>(blocks_.taps);
    initial_ = take_state(slicer);
  }

  PoolState<T> take_state(Slicer& slicer) const {
    const int64_t count = round_up(problem_.out_w, kernels_.lanes);
    PoolState<T> state;
    state.values = slicer.take<T>(count);
    state.offsets = slicer.take<PoolOffset<T>>(count);
    return state;
  }

  Worker<T> take_worker(Slicer& slicer) const {
    Worker<T> worker;
    worker.padded = slicer.take<T>(rows_.elements() * row_pitch_ + kernels_.lanes);
    worker.row_offsets = slicer.take<int64_t>(rows_.elements());
    worker.state = take_state(slicer);
    return worker;
  }

  void fill_tables() const {
    for (int64_t s = 0; s < columns_.samplings; ++s) {
      samplings_[s] = sample_row(s * horizontal_.dilation - horizontal_.pad_before,
                                 horizontal_.stride, horizontal_.size, columns_.samples);
    }
    for (int64_t k = 0; k < problem_.kernel_w; ++k) column_starts_[k] = columns_.start(k);
    for (int64_t k = 0; k < blocks_.taps; ++k) row_starts_[k] = rows_.start(k) * row_pitch_;
    for (int64_t ow = 0; ow < problem_.out_w; ++ow) {
      const int64_t first_tap = horizontal_.inside(ow).begin;
      initial_.values[ow] = identity_;
      initial_.offsets[ow] = static_cast<PoolOffset<T>>(first_tap * units_.tap);
    }
  }

  // The padded rows that taps first_tap, first_tap + 1, ... of `count` windows from `oh` on need.
  void pad_block(const Worker<T>& worker, const T* plane, int64_t oh, int64_t first_tap) const {
    int64_t* offset = worker.row_offsets;
    for (int64_t s = 0; s < rows_.samplings; ++s) {
      int64_t h = vertical_.input(oh, first_tap + s);
      for (int64_t i = 0; i < rows_.samples; ++i, h += vertical_.stride) {
        *offset++ = h >= 0 && h < vertical_.size ? h * problem_.in_w : -1;
      }
    }
    const PaddedRows rows = {worker.row_offsets, rows_.elements(),   samplings_, columns_.samplings,
                             columns_.samples,   horizontal_.stride, row_pitch_};
    kernels_.pad_rows(rows, plane, identity_, worker.padded);
  }

  template <typename Finish>
  void reduce_rows(const Worker<T>& worker, const T* x, int64_t row, int64_t end,
                   const Finish& finish) const {
    while (row < end && !stop_requested()) {
      const int64_t plane = row / problem_.out_h;
      const int64_t oh = row % problem_.out_h;
      const int64_t count = std::min({blocks_.outputs, problem_.out_h - oh, end - row});
      reduce_block(worker, x + plane * problem_.in_pixels(), oh, count,
                   [&](int64_t o) { finish(worker.state, plane, o); });
      row += count;
    }
  }

  template <typename Finish>
  void reduce_block(const Worker<T>& worker, const T* plane, int64_t oh, int64_t count,
                    const Finish& finish) const {
    const int64_t first_tap = vertical_.inside(oh + count - 1).begin;
    const int64_t last_tap = vertical_.inside(oh).end;
    for (int64_t tap = first_tap; tap < last_tap; tap += blocks_.taps) {
      pad_block(worker, plane, oh, tap);
      for (int64_t i = 0; i < count; ++i) {
        const TapRange window = vertical_.inside(oh + i);
        const int64_t begin = std::max(window.begin, tap);
        const int64_t end = std::min(window.end, tap + blocks_.taps);
        PoolTaps<T> taps;
        taps.padded = worker.padded + i * row_pitch_;
        taps.row_starts = row_starts_ + (begin - tap);
        taps.rows = end - begin;
        taps.tap_starts = column_starts_;
        taps.taps = problem_.kernel_w;
        taps.columns = problem_.out_w;
        taps.row_offset = units_.row;
        taps.first_offset = (begin - window.begin) * taps.row_offset;
        taps.tap_offset = units_.tap;
        reduce_(taps, begin == window.begin ? initial_ : worker.state, worker.state);
        if (end == window.end) finish(oh + i);
      }
    }
  }

  const KernelTable<T>& kernels_;
  const Pool2dProblem& problem_;
  const WindowAxis vertical_, horizontal_;
  const PoolRow<T> reduce_;
  const TapUnits units_;
  const T identity_;
  const TapLayout columns_;
  const int64_t row_pitch_;
  const RowBlocks blocks_;
  const TapLayout rows_;
  RowSampling* samplings_ = nullptr;
  int64_t* column_starts_ = nullptr;
  int64_t* row_starts_ = nullptr;
  PoolState<T> initial_{};
};

}  // namespace convolt
