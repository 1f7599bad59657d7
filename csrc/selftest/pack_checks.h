// The kernels that move elements: pad_rows, gather_taps, interleave_rows, against plain loops.
#pragma once

#include <algorithm>

#include "check.h"
#include "kernel_table.h"

namespace convolt::selftest {

// Samples of one padded row that lie inside a row of `width`, for step and start as they come.
inline RowSampling sampling_of(int64_t start, int64_t step, int64_t width, int64_t samples) {
  RowSampling sampling = {start, 0, 0};
  while (sampling.begin < samples && start + sampling.begin * step < 0) ++sampling.begin;
  sampling.end = sampling.begin;
  while (sampling.end < samples && start + sampling.end * step < width) ++sampling.end;
  return sampling;
}

template <typename T>
void check_pad_rows(const KernelTable<T>& kernels, Random& random) {
  constexpr int64_t kHeight = 3;
  for (const Guard guard : kGuards) {
    for (int64_t width = 1; width <= 3 * kernels.lanes + 1; width += random.integer(1, 3)) {
      for (const int64_t step : {1, 2, 3, 5}) {
        report.begin("pad_rows width " + std::to_string(width) + " step " + std::to_string(step) +
                     ", " + name(guard));
        const int64_t samples = width / step + random.integer(1, 4);
        const RowSampling samplings[] = {
            sampling_of(-random.integer(0, 4), step, width, samples),
            sampling_of(random.integer(-2, width), step, width, samples)};
        const int64_t row_offsets[] = {-1, 2 * width, 0, width, -1};
        constexpr int64_t kRows = 5;
        const int64_t row_pitch = 2 * samples + random.integer(0, 3);
        Guarded<T> plane(kHeight * width, guard);
        Guarded<T> padded((kRows - 1) * row_pitch + 2 * samples, guard);
        random.fill(plane);
        random.fill(padded);

        std::vector<T> expected = padded.copy();
        for (int64_t r = 0; r < kRows; ++r) {
          for (int64_t s = 0; s < 2; ++s) {
            for (int64_t i = 0; i < samples; ++i) {
              const int64_t x = samplings[s].start + i * step;
              const bool inside = row_offsets[r] >= 0 && x >= 0 && x < width;
              expected[static_cast<std::size_t>(r * row_pitch + s * samples + i)] =
                  inside ? plane[row_offsets[r] + x] : T{9};
            }
          }
        }
        const PaddedRows rows = {row_offsets, kRows, samplings, 2, samples, step, row_pitch};
        kernels.pad_rows(rows, plane.data(), T{9}, padded.data());
        report.expect_equal(padded.data(), expected, "padded");
      }
    }
  }
}

// Columns cut into panels of `width`, as runs of random length from random sources.
struct Runs {
  std::vector<PixelRun> runs;
  std::vector<int64_t> first_run;
  int64_t last_source = 0;  // the largest that is read at tap offset 0
  int64_t last_panel_columns = 0;

  Runs(int64_t panels, int64_t width, int64_t plane, bool ragged, Random& random) {
    for (int64_t p = 0; p < panels; ++p) {
      first_run.push_back(static_cast<int64_t>(runs.size()));
      const bool last = p + 1 == panels;
      const int64_t columns = last && ragged ? random.integer(1, width) : width;
      for (int64_t column = 0; column < columns;) {
        const int64_t wanted = random.integer(0, 2) == 0 ? width : random.integer(1, width);
        const int64_t length = std::min(wanted, columns - column);
        const int64_t source = random.integer(0, plane - length);
        runs.push_back({source, column, length});
        last_source = std::max(last_source, source + length - 1);
        column += length;
      }
      last_panel_columns = columns;
    }
    first_run.push_back(static_cast<int64_t>(runs.size()));
  }
};

template <typename T>
void check_gather(const KernelTable<T>& kernels, bool exact, Guard guard, Random& random) {
  const int64_t panels = random.integer(1, 3), taps = random.integer(1, 5);
  const bool tiles = !exact || random.integer(0, 1) == 0;
  const int64_t width = tiles ? kernels.nr : random.integer(1, 3 * kernels.lanes);
  report.begin(std::string(exact ? "gather_taps_exact" : "gather_taps") + " panels " +
               std::to_string(panels) + " taps " + std::to_string(taps) + " width " +
               std::to_string(width) + ", " + name(guard));
  const Runs runs(panels, width, 4 * kernels.nr, true, random);
  std::vector<int64_t> tap_offsets(static_cast<std::size_t>(taps));
  for (int64_t& offset : tap_offsets) offset = random.integer(0, 40);
  const int64_t row_pitch = width + (tiles ? 0 : random.integer(0, 5));
  const int64_t panel_pitch = taps * row_pitch + (exact ? random.integer(0, 3) : kernels.nr);
  // What the loose form may touch behind a run, and no more.
  const int64_t slack = exact ? 0 : kernels.nr - 1;
  const int64_t furthest = *std::max_element(tap_offsets.begin(), tap_offsets.end());
  Guarded<T> plane(furthest + runs.last_source + 1 + slack, guard);
  Guarded<T> dst(
      (panels - 1) * panel_pitch + (taps - 1) * row_pitch + runs.last_panel_columns + slack, guard);
  random.fill(plane);
  random.fill(dst);

  std::vector<T> expected = dst.copy();
  std::vector<bool> is_defined(expected.size(), exact);
  for (int64_t p = 0; p < panels; ++p) {
    for (int64_t t = 0; t < taps; ++t) {
      for (int64_t r = runs.first_run[static_cast<std::size_t>(p)];
           r < runs.first_run[static_cast<std::size_t>(p) + 1]; ++r) {
        const PixelRun& run = runs.runs[static_cast<std::size_t>(r)];
        for (int64_t i = 0; i < run.length; ++i) {
          const auto to =
              static_cast<std::size_t>(p * panel_pitch + t * row_pitch + run.column + i);
          expected[to] = plane[tap_offsets[static_cast<std::size_t>(t)] + run.source + i];
          is_defined[to] = true;
        }
      }
    }
  }
  const PixelPanels layout = {runs.runs.data(), runs.first_run.data(), panels, panel_pitch,
                              row_pitch};
  const auto gather = exact ? kernels.gather_taps_exact : kernels.gather_taps;
  gather(plane.data(), tap_offsets.data(), taps, layout, dst.data());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (!is_defined[i]) expected[i] = dst[static_cast<int64_t>(i)];
  }
  report.expect_equal(dst.data(), expected, "dst");
}

template <typename T>
void check_interleave_rows(const KernelTable<T>& kernels, Random& random) {
  for (const Guard guard : kGuards) {
    for (int64_t rows = 1; rows <= 18; ++rows) {
      for (const int64_t count : {0, 1, 2, 3, 4, 5, 8, 17, 33}) {
        report.begin("interleave_rows rows " + std::to_string(rows) + " count " +
                     std::to_string(count) + ", " + name(guard));
        const int64_t row_stride = count + random.integer(0, 3);
        const int64_t dst_stride = rows + random.integer(0, 3);
        Guarded<T> src((rows - 1) * row_stride + count, guard);
        Guarded<T> dst(count == 0 ? 0 : (count - 1) * dst_stride + rows, guard);
        random.fill(src);
        random.fill(dst);
        std::vector<T> expected = dst.copy();
        for (int64_t k = 0; k < count; ++k) {
          for (int64_t r = 0; r < rows; ++r) {
            expected[static_cast<std::size_t>(k * dst_stride + r)] = src[r * row_stride + k];
          }
        }
        kernels.interleave_rows(src.data(), row_stride, rows, count, dst.data(), dst_stride, 0);
        report.expect_equal(dst.data(), expected, "dst");
      }
    }
  }
}

template <typename T>
void check_copy_panels(const KernelTable<T>& kernels, Random& random) {
  for (const Guard guard : kGuards) {
    for (const int64_t width : {kernels.mr, kernels.nr}) {
      for (int64_t rows = 1; rows <= 3 * width + 1; ++rows) {
        const int64_t count = random.integer(0, 5);
        report.begin("copy_panels rows " + std::to_string(rows) + " width " +
                     std::to_string(width) + " count " + std::to_string(count) + ", " +
                     name(guard));
        const int64_t src_stride = rows + random.integer(0, 3);
        const int64_t dst_stride = width * random.integer(1, 3);
        const int64_t panel_pitch = std::max<int64_t>(count, 1) * dst_stride;
        const int64_t last = (rows - 1) % width + 1, panels = (rows - 1) / width + 1;
        Guarded<T> src(count == 0 ? 0 : (count - 1) * src_stride + rows, guard);
        Guarded<T> dst(count == 0 ? 0
                                  : (panels - 1) * panel_pitch + (count - 1) * dst_stride +
                                        (panels > 1 ? width : last),
                       guard);
        random.fill(src);
        random.fill(dst);
        std::vector<T> expected = dst.copy();
        for (int64_t k = 0; k < count; ++k) {
          for (int64_t i = 0; i < rows; ++i) {
            const int64_t to = i / width * panel_pitch + k * dst_stride + i % width;
            expected[static_cast<std::size_t>(to)] = src[k * src_stride + i];
          }
        }
        kernels.copy_panels(src.data(), src_stride, count, rows, width, dst.data(), dst_stride,
                            panel_pitch);
        report.expect_equal(dst.data(), expected, "dst");
      }
    }
  }
}

template <typename T>
void check_packing(const KernelTable<T>& kernels, Random& random) {
  check_pad_rows(kernels, random);
  for (int repeat = 0; repeat < 100; ++repeat) {
    for (const Guard guard : kGuards) {
      check_gather(kernels, true, guard, random);
      check_gather(kernels, false, guard, random);
    }
  }
  check_interleave_rows(kernels, random);
  check_copy_panels(kernels, random);
}

}  // namespace convolt::selftest
