// im2col and col2im: the column matrix with a row for each window, from and to padded rows.
#include <algorithm>

#include "im2col.h"
#include "isa.h"
#include "parallel.h"
#include "staged_rows.h"

namespace convolt {
namespace {

constexpr int64_t kMostRuns = 384;          // of one window, with a line of a padded row each: L1
constexpr int64_t kStagedElements = 65536;  // of the padded rows, a part of L2
constexpr int64_t kTaskElements = 131072;   // of the matrix, about
constexpr int64_t kMostColumns = 512;       // windows of a row at a time

RunAxis window_axis(const Conv2dProblem& p, int64_t columns) {
  return {columns, p.window.stride_w, p.kernel_w, p.window.dilation_w};
}

// What a task does at once: windows in rows and columns, over all channels in parts.
struct WindowParts {
  Parts channels, rows, columns;
  int64_t row_elements;
};

WindowParts im2col_parts(const Conv2dProblem& p) {
  const int64_t columns = std::min(p.out_w, kMostColumns);
  const int64_t row_elements = RunSamplings::row_elements(window_axis(p, columns));
  const int64_t least = p.kernel_h * row_elements;
  const int64_t channels = std::clamp<int64_t>(
      std::min(kMostRuns / p.kernel_h, kStagedElements / least), 1, p.in_channels);
  const int64_t reach = (p.kernel_h - 1) * p.window.dilation_h + 1;
  const int64_t staged = kStagedElements / (channels * row_elements);
  const int64_t fitting = staged < reach ? 1 : (staged - reach) / p.window.stride_h + 1;
  const int64_t wanted = kTaskElements / (columns * p.in_channels * p.taps());
  const int64_t rows = std::clamp<int64_t>(std::min(fitting, wanted), 1, p.out_h);
  return {{p.in_channels, channels}, {p.out_h, rows}, {p.out_w, columns}, row_elements};
}

template <typename T>
class WindowCopier {
 public:
  WindowCopier(const Conv2dProblem& p, const WindowParts& parts, Slicer& scratch)
      : p_(p),
        kernels_(selected_kernels<T>()),
        samplings_(window_axis(p, parts.columns.size), scratch),
        window_rows_(p, parts.rows.size, scratch),
        run_offsets_(scratch.take<int64_t>(parts.channels.size * p.kernel_h)),
        padded_(scratch.take<T>(parts.channels.size * WindowRows::count(p, parts.rows.size) *
                                    parts.row_elements +
                                kernels_.lanes)) {}

  void prepare(int64_t first_row, int64_t rows, int64_t first_column, int64_t columns,
               int64_t channels) {
    const WindowParams& w = p_.window;
    samplings_.prepare(window_axis(p_, columns), first_column * w.stride_w - w.pad_left, p_.in_w);
    window_rows_.prepare(first_row, rows);
    staged_ = samplings_.padded_rows(window_rows_.offsets(), window_rows_.count());
    plane_elements_ = staged_.rows * staged_.row_pitch;
    for (int64_t c = 0, run = 0; c < channels; ++c) {
      for (int64_t kh = 0; kh < p_.kernel_h; ++kh, ++run) {
        run_offsets_[run] = c * plane_elements_ + window_rows_.row(0, kh) * staged_.row_pitch;
      }
    }
    rows_ = rows;
    columns_ = columns;
    if (window_rows_.has_border() || samplings_.has_border()) {
      std::fill(padded_, padded_ + channels * plane_elements_, T{0});
    }
  }

  // Some planes, to their elements of the rows of the first window.
  void run(const T* planes, int64_t channels, T* col) {
    for (int64_t c = 0; c < channels; ++c) {
      kernels_.stage_rows(staged_, planes + c * p_.in_pixels(), padded_ + c * plane_elements_);
    }
    const int64_t pitch = p_.in_channels * p_.taps();
    const WindowRuns runs = {run_offsets_, channels * p_.kernel_h,   p_.kernel_w,
                             pitch,        samplings_.run_offsets(), columns_};
    for (int64_t r = 0; r < rows_; ++r) {
      kernels_.copy_window_runs(runs, padded_ + r * window_rows_.window_step() * staged_.row_pitch,
                                col + r * p_.out_w * pitch);
    }
  }

 private:
  const Conv2dProblem& p_;
  const KernelTable<T>& kernels_;
  RunSamplings samplings_;
  WindowRows window_rows_;
  int64_t* run_offsets_;
  T* padded_;
  PaddedRows staged_{};
  int64_t plane_elements_ = 0, rows_ = 0, columns_ = 0;
};

// For col2im rows are those of the image, and one more takes what belongs to other tasks.
WindowParts col2im_parts(const Conv2dProblem& p) {
  const int64_t columns = std::min(p.out_w, kMostColumns);
  const int64_t row_elements = RunSamplings::row_elements(window_axis(p, columns));
  const int64_t channels = std::clamp<int64_t>(
      std::min(kMostRuns / p.kernel_h, kStagedElements / (8 * row_elements)), 1, p.in_channels);
  const int64_t rows =
      std::clamp<int64_t>(kStagedElements / (channels * row_elements) - 1, 1, p.in_h);
  return {{p.in_channels, channels}, {p.in_h, rows}, {p.out_w, columns}, row_elements};
}

// Sums some rows of some planes, window by window.
template <typename T>
class WindowAdder {
 public:
  WindowAdder(const Conv2dProblem& p, const WindowParts& parts, Slicer& scratch)
      : p_(p),
        kernels_(selected_kernels<T>()),
        samplings_(window_axis(p, parts.columns.size), scratch),
        row_offsets_(scratch.take<int64_t>(parts.rows.size)),
        run_offsets_(scratch.take<int64_t>(parts.channels.size * p.kernel_h)),
        padded_(scratch.take<T>(parts.channels.size * (parts.rows.size + 1) * parts.row_elements +
                                kernels_.lanes)) {}

  void prepare(int64_t first_row, int64_t rows, int64_t first_column, int64_t columns) {
    const WindowParams& w = p_.window;
    samplings_.prepare(window_axis(p_, columns), first_column * w.stride_w - w.pad_left, p_.in_w);
    for (int64_t r = 0; r < rows; ++r) row_offsets_[r] = (first_row + r) * p_.in_w;
    staged_ = samplings_.padded_rows(row_offsets_, rows);
    plane_elements_ = (rows + 1) * staged_.row_pitch;
    first_row_ = first_row;
    columns_ = columns;
  }

  // `col` is that of the first plane in the first row of windows, `add` as in fold.
  void run(const T* col, int64_t channels, bool add, T* planes) {
    std::fill(padded_, padded_ + channels * plane_elements_, T{0});
    const WindowParams& w = p_.window;
    const int64_t pitch = p_.in_channels * p_.taps();
    const WindowRuns runs = {run_offsets_, channels * p_.kernel_h,   p_.kernel_w,
                             pitch,        samplings_.run_offsets(), columns_};
    const int64_t reach = (p_.kernel_h - 1) * w.dilation_h;
    const int64_t origin = first_row_ + w.pad_top;
    const int64_t begin =
        std::clamp<int64_t>(ceil_quotient(origin - reach, w.stride_h), 0, p_.out_h);
    const int64_t end =
        std::clamp(ceil_quotient(origin + staged_.rows, w.stride_h), begin, p_.out_h);
    for (int64_t row = begin; row < end; ++row) {
      find_rows(row * w.stride_h - origin, channels);
      kernels_.add_window_runs(runs, col + row * p_.out_w * pitch, padded_);
    }
    for (int64_t c = 0; c < channels; ++c) {
      T* const plane = planes + c * p_.in_pixels();
      const T* const sums = padded_ + c * plane_elements_;
      if (add || !samplings_.shared()) {
        kernels_.add_staged_rows(staged_, sums, plane);
      } else {
        kernels_.write_staged_rows(staged_, p_.in_w, sums, plane);
      }
    }
  }

  bool overwrites() const { return samplings_.shared(); }

 private:
  // The runs of windows whose first tap row is row `top` of ours.
  void find_rows(int64_t top, int64_t channels) {
    for (int64_t kh = 0; kh < p_.kernel_h; ++kh) {
      const int64_t y = top + kh * p_.window.dilation_h;
      const int64_t row = y >= 0 && y < staged_.rows ? y : staged_.rows;
      for (int64_t c = 0; c < channels; ++c) {
        run_offsets_[c * p_.kernel_h + kh] = c * plane_elements_ + row * staged_.row_pitch;
      }
    }
  }

  const Conv2dProblem& p_;
  const KernelTable<T>& kernels_;
  RunSamplings samplings_;
  int64_t* row_offsets_;
  int64_t* run_offsets_;
  T* padded_;
  PaddedRows staged_{};
  int64_t plane_elements_ = 0, first_row_ = 0, columns_ = 0;
};

// A matrix of rows x columns, turned in parts of some columns.
template <typename T>
void turn(int64_t matrices, int64_t rows, int64_t columns, const T* src, T* dst) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  const int64_t wanted = std::max<int64_t>(kTaskElements / rows / 64 * 64, 64);
  const Parts parts{columns, std::min(wanted, columns)};
  const double elements = static_cast<double>(rows) * static_cast<double>(columns);
  const int threads = threads_for(static_cast<double>(matrices) * elements);
  parallel_for(matrices * parts.count(), threads, [&](int64_t task, int) {
    const int64_t first = task / parts.count() * rows * columns;
    const int64_t part = task % parts.count();
    kernels.interleave_rows(src + first + parts.begin(part), columns, rows, parts.length(part),
                            dst + first + parts.begin(part) * rows, rows, 0);
  });
}

}  // namespace

template <typename T>
void image_to_windows(const Conv2dProblem& p, const T* x, T* col) {
  if (p.is_pointwise()) return turn(p.batch, p.in_channels, p.in_pixels(), x, col);
  const WindowParts parts = im2col_parts(p);
  const int64_t pitch = p.in_channels * p.taps();
  const int threads =
      threads_for(static_cast<double>(p.batch * p.out_pixels()) * static_cast<double>(pitch));
  Slicer size;
  WindowCopier<T>(p, parts, size);
  const Scratch scratch(size.used() * static_cast<std::size_t>(threads));
  const int64_t blocks = parts.rows.count() * parts.columns.count();
  parallel_for(p.batch * blocks, threads, [&](int64_t task, int thread) {
    Slicer slice(scratch.data() + size.used() * static_cast<std::size_t>(thread));
    WindowCopier<T> copier(p, parts, slice);
    const int64_t image = task / blocks;
    const int64_t row = task % blocks / parts.columns.count();
    const int64_t column = task % parts.columns.count();
    copier.prepare(parts.rows.begin(row), parts.rows.length(row), parts.columns.begin(column),
                   parts.columns.length(column), parts.channels.size);
    const int64_t window =
        image * p.out_pixels() + parts.rows.begin(row) * p.out_w + parts.columns.begin(column);
    for (int64_t part = 0; part < parts.channels.count(); ++part) {
      const int64_t first = parts.channels.begin(part);
      copier.run(x + (image * p.in_channels + first) * p.in_pixels(), parts.channels.length(part),
                 col + window * pitch + first * p.taps());
    }
  });
}

template <typename T>
void windows_to_image(const Conv2dProblem& p, const T* col, T* x) {
  if (p.is_pointwise()) return turn(p.batch, p.in_pixels(), p.in_channels, col, x);
  const WindowParts parts = col2im_parts(p);
  const int64_t pitch = p.in_channels * p.taps();
  const int threads =
      threads_for(static_cast<double>(p.batch * p.out_pixels()) * static_cast<double>(pitch));
  Slicer size;
  WindowAdder<T>(p, parts, size);
  const Scratch scratch(size.used() * static_cast<std::size_t>(threads));
  const int64_t blocks = parts.channels.count() * parts.rows.count();
  parallel_for(p.batch * blocks, threads, [&](int64_t task, int thread) {
    Slicer slice(scratch.data() + size.used() * static_cast<std::size_t>(thread));
    WindowAdder<T> adder(p, parts, slice);
    const int64_t image = task / blocks;
    const int64_t part = task % blocks / parts.rows.count();
    const int64_t row = task % parts.rows.count();
    const int64_t first = parts.channels.begin(part);
    const int64_t channels = parts.channels.length(part);
    T* const planes = x + (image * p.in_channels + first) * p.in_pixels();
    for (int64_t column = 0; column < parts.columns.count(); ++column) {
      adder.prepare(parts.rows.begin(row), parts.rows.length(row), parts.columns.begin(column),
                    parts.columns.length(column));
      for (int64_t c = 0; column == 0 && !adder.overwrites() && c < channels; ++c) {
        T* const rows = planes + c * p.in_pixels() + parts.rows.begin(row) * p.in_w;
        std::fill(rows, rows + parts.rows.length(row) * p.in_w, T{0});
      }
      const int64_t window = image * p.out_pixels() + parts.columns.begin(column);
      adder.run(col + window * pitch + first * p.taps(), channels, column > 0, planes);
    }
  });
}

template void image_to_windows(const Conv2dProblem&, const float*, float*);
template void image_to_windows(const Conv2dProblem&, const double*, double*);
template void windows_to_image(const Conv2dProblem&, const float*, float*);
template void windows_to_image(const Conv2dProblem&, const double*, double*);

}  // namespace convolt
