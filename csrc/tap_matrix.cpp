// unfold and fold: the column matrix with a row for each tap, from and to padded rows of a plane.
#include <algorithm>

#include "im2col.h"
#include "isa.h"
#include "parallel.h"
#include "staged_rows.h"
#include "tap_fold.h"

namespace convolt {
namespace {

constexpr int64_t kTaskElements = 32768;  // of the matrix, at least, by taking several planes
constexpr int64_t kMostColumns = 512;     // windows of a row at a time

int64_t planes_at_once(const Conv2dProblem& p, int64_t rows) {
  return std::clamp<int64_t>(kTaskElements / (rows * p.out_w * p.taps()) + 1, 1, p.in_channels);
}

// Rows of windows whose padded rows, of so many elements each, fill the staging area.
int64_t window_rows(const Conv2dProblem& p, int64_t row_elements) {
  const int64_t staged = kStagedElements / row_elements;
  const int64_t reach = (p.kernel_h - 1) * p.window.dilation_h + 1;
  const int64_t rows = (staged - reach) / p.window.stride_h + 1;
  return staged < reach ? 1 : std::min(rows, p.out_h);
}

template <typename T>
class Unfolder {
 public:
  Unfolder(const Conv2dProblem& p, int64_t rows, int64_t columns, Slicer& scratch)
      : p_(p),
        kernels_(selected_kernels<T>()),
        samplings_(tap_axis(p, columns), scratch),
        window_rows_(p, rows, scratch),
        tap_offsets_(scratch.take<int64_t>(p.taps())),
        padded_(scratch.take<T>(WindowRows::count(p, rows) *
                                    RunSamplings::row_elements(tap_axis(p, columns)) +
                                kernels_.lanes)) {}

  void prepare(int64_t first_row, int64_t rows, int64_t first_column, int64_t columns) {
    const WindowParams& w = p_.window;
    samplings_.prepare(tap_axis(p_, columns), first_column * w.stride_w - w.pad_left, p_.in_w);
    window_rows_.prepare(first_row, rows);
    const int64_t pitch = samplings_.row_pitch();
    for (int64_t kh = 0; kh < p_.kernel_h; ++kh) {
      for (int64_t kw = 0; kw < p_.kernel_w; ++kw) {
        tap_offsets_[kh * p_.kernel_w + kw] =
            window_rows_.row(0, kh) * pitch + samplings_.run_offsets()[kw];
      }
    }
    staged_ = samplings_.padded_rows(window_rows_.offsets(), window_rows_.count());
    taps_ = {tap_offsets_, p_.taps(), p_.out_pixels(), rows, window_rows_.window_step() * pitch,
             p_.out_w,     columns};
    if (window_rows_.has_border() || samplings_.has_border()) {
      std::fill(padded_, padded_ + staged_.rows * pitch, T{0});
    }
  }

  void run(const T* plane, T* col) {
    kernels_.stage_rows(staged_, plane, padded_);
    kernels_.copy_tap_rows(taps_, padded_, col);
  }

 private:
  const Conv2dProblem& p_;
  const KernelTable<T>& kernels_;
  RunSamplings samplings_;
  WindowRows window_rows_;
  int64_t* tap_offsets_;
  T* padded_;
  PaddedRows staged_{};
  TapRows taps_{};
};

}  // namespace

template <typename T>
void image_to_taps(const Conv2dProblem& p, const T* x, T* col) {
  const Parts columns{p.out_w, std::min(p.out_w, kMostColumns)};
  const Parts rows{p.out_h, window_rows(p, RunSamplings::row_elements(tap_axis(p, columns.size)))};
  const Parts channels{p.in_channels, planes_at_once(p, rows.size)};
  const int64_t plane_elements = p.taps() * p.out_pixels();
  const int64_t planes = p.batch * p.in_channels;
  const int threads =
      threads_for(static_cast<double>(planes) * static_cast<double>(plane_elements));

  Slicer size;
  Unfolder<T>(p, rows.size, columns.size, size);
  const Scratch scratch(size.used() * static_cast<std::size_t>(threads));
  const int64_t blocks = rows.count() * columns.count();
  parallel_for(p.batch * channels.count() * blocks, threads, [&](int64_t task, int thread) {
    Slicer slice(scratch.data() + size.used() * static_cast<std::size_t>(thread));
    Unfolder<T> unfolder(p, rows.size, columns.size, slice);
    const int64_t block = task % blocks;
    const int64_t group = task / blocks % channels.count();
    const int64_t row = block / columns.count();
    const int64_t column = block % columns.count();
    unfolder.prepare(rows.begin(row), rows.length(row), columns.begin(column),
                     columns.length(column));
    const int64_t first = task / blocks / channels.count() * p.in_channels + channels.begin(group);
    for (int64_t plane = first; plane < first + channels.length(group); ++plane) {
      unfolder.run(
          x + plane * p.in_pixels(),
          col + plane * plane_elements + rows.begin(row) * p.out_w + columns.begin(column));
    }
  });
}

template <typename T>
void taps_to_image(const Conv2dProblem& p, const T* col, T* x) {
  const Parts columns{p.out_w, std::min(p.out_w, kMostColumns)};
  const Parts rows{p.in_h, staged_rows_at_once(p, columns.size)};
  const Parts channels{p.in_channels, planes_at_once(p, ceil_div(rows.size, p.window.stride_h))};
  const int64_t plane_elements = p.taps() * p.out_pixels();
  const int64_t planes = p.batch * p.in_channels;
  const int threads =
      threads_for(static_cast<double>(planes) * static_cast<double>(plane_elements));

  Slicer size;
  Folder<T>(p, rows.size, columns.size, size);
  const Scratch scratch(size.used() * static_cast<std::size_t>(threads));
  parallel_for(p.batch * channels.count() * rows.count(), threads, [&](int64_t task, int thread) {
    Slicer slice(scratch.data() + size.used() * static_cast<std::size_t>(thread));
    Folder<T> folder(p, rows.size, columns.size, slice);
    const int64_t row = task % rows.count();
    const int64_t group = task / rows.count() % channels.count();
    const int64_t first =
        task / rows.count() / channels.count() * p.in_channels + channels.begin(group);
    for (int64_t column = 0; column < columns.count(); ++column) {
      folder.prepare(rows.begin(row), rows.length(row), columns.begin(column),
                     columns.length(column));
      for (int64_t plane = first; plane < first + channels.length(group); ++plane) {
        T* const image = x + plane * p.in_pixels();
        if (column == 0 && !folder.overwrites()) {
          std::fill(image + rows.begin(row) * p.in_w,
                    image + (rows.begin(row) + rows.length(row)) * p.in_w, T{0});
        }
        folder.run({col + plane * plane_elements, p.out_pixels()}, column > 0, image);
      }
    }
  });
}

template void image_to_taps(const Conv2dProblem&, const float*, float*);
template void image_to_taps(const Conv2dProblem&, const double*, double*);
template void taps_to_image(const Conv2dProblem&, const float*, float*);
template void taps_to_image(const Conv2dProblem&, const double*, double*);

}  // namespace convolt
