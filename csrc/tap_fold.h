// fold: the rows of a column matrix, one for each tap, summed into padded rows of a plane.
#pragma once

#include <algorithm>

#include "isa.h"
#include "staged_rows.h"

namespace convolt {

constexpr int64_t kStagedElements = 8192;  // of one plane: with the rows of a tap in L1

inline RunAxis tap_axis(const Conv2dProblem& p, int64_t columns) {
  return {p.kernel_w, p.window.dilation_w, columns, p.window.stride_w};
}

// Rows of dx that fill the staging area.
inline int64_t staged_rows_at_once(const Conv2dProblem& p, int64_t columns) {
  const int64_t row_elements = RunSamplings::row_elements(tap_axis(p, columns));
  return std::clamp<int64_t>(kStagedElements / row_elements, 1, p.in_h);
}

// The windows of one plane: data[tap * pitch + window].
template <typename T>
struct TapColumns {
  const T* data;
  int64_t pitch;
};

// Sums the taps of some rows of a plane, in the order of the taps. There is a vector between its
// rows: sums that go too far would make those of the next row wait for them.
template <typename T>
class Folder {
 public:
  Folder(const Conv2dProblem& p, int64_t rows, int64_t columns, Slicer& scratch)
      : p_(p),
        kernels_(selected_kernels<T>()),
        samplings_(tap_axis(p, columns), scratch),
        row_offsets_(scratch.take<int64_t>(rows)),
        padded_(scratch.take<T>(
            rows * (RunSamplings::row_elements(tap_axis(p, columns)) + kernels_.lanes))) {}

  void prepare(int64_t first_row, int64_t rows, int64_t first_column, int64_t columns) {
    const WindowParams& w = p_.window;
    samplings_.prepare(tap_axis(p_, columns), first_column * w.stride_w - w.pad_left, p_.in_w);
    for (int64_t r = 0; r < rows; ++r) row_offsets_[r] = (first_row + r) * p_.in_w;
    staged_ = samplings_.padded_rows(row_offsets_, rows, kernels_.lanes);
    first_row_ = first_row;
    first_column_ = first_column;
    columns_ = columns;
  }

  // `add` to what the rows hold, else overwrite.
  void run(const TapColumns<T>& col, bool add, T* plane) {
    const WindowParams& w = p_.window;
    const int64_t pitch = staged_.row_pitch;
    std::fill(padded_, padded_ + staged_.rows * pitch, T{0});
    for (int64_t kh = 0; kh < p_.kernel_h; ++kh) {
      // The rows of windows whose tap row lies in ours: row r in row r * stride_h + top.
      const int64_t top = kh * w.dilation_h - w.pad_top - first_row_;
      const int64_t begin = std::clamp<int64_t>(ceil_quotient(-top, w.stride_h), 0, p_.out_h);
      const int64_t end =
          std::clamp(ceil_quotient(staged_.rows - top, w.stride_h), begin, p_.out_h);
      const TapRows taps = {samplings_.run_offsets(), p_.kernel_w, col.pitch, end - begin,
                            w.stride_h * pitch,       p_.out_w,    columns_};
      kernels_.add_tap_rows(
          taps, col.data + kh * p_.kernel_w * col.pitch + begin * p_.out_w + first_column_,
          padded_ + (begin * w.stride_h + top) * pitch);
    }
    if (add || !samplings_.shared()) {
      kernels_.add_staged_rows(staged_, padded_, plane);
    } else {
      kernels_.write_staged_rows(staged_, p_.in_w, padded_, plane);
    }
  }

  bool overwrites() const { return samplings_.shared(); }

 private:
  const Conv2dProblem& p_;
  const KernelTable<T>& kernels_;
  RunSamplings samplings_;
  int64_t* row_offsets_;
  T* padded_;
  PaddedRows staged_{};
  int64_t first_row_ = 0, first_column_ = 0, columns_ = 0;
};

}  // namespace convolt
