// Pooling by the kernels that walk straight over the planes (kernels/pool_windows.h): which windows
// they know, and how the output rows of all planes come in chunks that stay in cache.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "geometry.h"
#include "isa.h"
#include "pool2d.h"
#include "workspace.h"

namespace convolt {

// What they know: square windows of 2 or 3 with stride 1 or 2.
template <typename T>
bool has_plane_kernel(const Pool2dProblem& p) {
  const WindowParams& w = p.window;
  return plane_kernels<T>().pool_windows != nullptr && p.kernel_h == p.kernel_w &&
         w.stride_h == w.stride_w && w.dilation_h == 1 && w.dilation_w == 1 &&
         (p.kernel_h == 2 || p.kernel_h == 3) && (w.stride_h == 1 || w.stride_h == 2);
}

// The work of these kernels for threads_for(): an element that a window visits takes as long as
// some four operations of a product.
inline double sweep_work(const Pool2dProblem& p) {
  return 4.0 * static_cast<double>(p.planes() * p.out_pixels() * p.kernel_h * p.kernel_w);
}

// The divisors of avg_pool2d are products of one factor for each row and one for each column.
template <typename T>
struct Divisors {
  std::vector<T> rows, columns;  // columns: and a vector of ones

  explicit Divisors(const Pool2dProblem& p)
      : rows(static_cast<std::size_t>(p.out_h), T{1}),
        columns(static_cast<std::size_t>(p.out_w + selected_kernels<T>().lanes), T{1}) {
    const WindowParams& w = p.window;
    if (p.divisor_override != 0) {
      std::fill_n(columns.begin(), p.out_w, static_cast<T>(p.divisor_override));
      return;
    }
    for (int64_t oh = 0; oh < p.out_h; ++oh) {
      rows[static_cast<std::size_t>(oh)] = static_cast<T>(averaged_extent(
          oh, p.in_h, p.kernel_h, w.stride_h, w.pad_top, w.pad_bottom, p.count_include_pad));
    }
    for (int64_t ow = 0; ow < p.out_w; ++ow) {
      columns[static_cast<std::size_t>(ow)] = static_cast<T>(averaged_extent(
          ow, p.in_w, p.kernel_w, w.stride_w, w.pad_left, w.pad_right, p.count_include_pad));
    }
  }
};

// A chunk's results that do not go where they belong at once.
template <typename T>
struct SweepScratch {
  T* y;
  uint8_t* winners;
};

template <typename T>
class PlaneSweep {
 public:
  PlaneSweep(const Pool2dProblem& problem, PoolOperation operation, const T* x,
             const PoolResults<T>& results, const Divisors<T>* divisors = nullptr)
      : p_(problem),
        kernels_(plane_kernels<T>()),
        operation_(operation),
        x_(x),
        results_(results),
        divisors_(divisors),
        applies_(has_plane_kernel<T>(problem)),
        is_narrow_(problem.out_w < kernels_.lanes),
        needs_winners_(operation == PoolOperation::kMinimum || results.winners != nullptr ||
                       results.indices != nullptr) {
    const int64_t plane_bytes = p_.in_pixels() * static_cast<int64_t>(sizeof(T));
    planes_ = kChunkBytes / std::max<int64_t>(plane_bytes, 1);
    const int64_t parts = std::min(p_.out_h, ceil_div(plane_bytes, kChunkBytes));
    rows_ = ceil_div(p_.out_h, std::max<int64_t>(parts, 1));
  }

  bool applies() const { return applies_; }

  SweepScratch<T> take_scratch(Slicer& slicer) const {
    SweepScratch<T> scratch{};
    if (!applies_) return scratch;
    const int64_t count = std::max(planes_ * p_.out_h, rows_) * p_.out_w + kernels_.lanes;
    if (is_narrow_) scratch.y = slicer.take<T>(count);
    if (needs_winners_) scratch.winners = slicer.take<uint8_t>(count);
    return scratch;
  }

  // How many output rows, counted over all planes, to do at once from `row` on: some whole planes,
  // or a part of one. Of narrow rows the last ones come alone, see is_exact().
  int64_t chunk(int64_t row, int64_t end) const {
    const int64_t oh = row % p_.out_h;
    const int64_t whole = std::min(planes_, (end - row) / p_.out_h);
    if (oh != 0 || whole == 0) return std::min({rows_, p_.out_h - oh, end - row});
    const int64_t last = ceil_div(kernels_.lanes, p_.out_pixels());
    const bool cut = is_narrow_ && whole > last && row + whole * p_.out_h == end;
    return (cut ? whole - last : whole) * p_.out_h;
  }

  // Pools rows [row, row + count), of a task that goes as far as `end`. False: they have to be
  // pooled in another way.
  bool pool(int64_t row, int64_t count, int64_t end, const SweepScratch<T>& scratch) const {
    const int64_t plane = row / p_.out_h;
    const int64_t oh = row % p_.out_h;
    const int64_t planes = std::max<int64_t>(1, count / p_.out_h);
    const int64_t row_end = planes > 1 ? p_.out_h : oh + count;
    const int64_t begin = row * p_.out_w;
    const int64_t outputs = count * p_.out_w;
    const bool to_scratch = is_narrow_ && (end - row - count) * p_.out_w < kernels_.lanes;
    T* const y = to_scratch ? scratch.y : results_.y + begin;
    uint8_t* winners = nullptr;
    if (needs_winners_) {
      winners =
          to_scratch || results_.winners == nullptr ? scratch.winners : results_.winners + begin;
    }
    PoolWindows<T> w = windows(plane, planes, oh, row_end);
    w.y = y - oh * p_.out_w;
    w.winners = needs_winners_ ? winners - oh * p_.out_w : nullptr;
    if (!kernels_.pool_windows(w)) return false;
    if (to_scratch) {
      std::copy_n(y, outputs, results_.y + begin);
      if (results_.winners != nullptr) std::copy_n(winners, outputs, results_.winners + begin);
    }
    if (results_.indices != nullptr) widen_winners(winners, row, count);
    return true;
  }

 private:
  // Input of a chunk, in bytes: what L1 holds beside the output.
  static constexpr int64_t kChunkBytes = int64_t{16} << 10;

  PoolWindows<T> windows(int64_t plane, int64_t planes, int64_t row_begin, int64_t row_end) const {
    PoolWindows<T> w{};
    w.operation = operation_;
    w.x = x_ + plane * p_.in_pixels();
    w.planes = planes;
    w.in_h = p_.in_h;
    w.in_w = p_.in_w;
    w.kernel = p_.kernel_h;
    w.stride = p_.window.stride_h;
    w.pad_top = p_.window.pad_top;
    w.pad_left = p_.window.pad_left;
    w.out_h = p_.out_h;
    w.out_w = p_.out_w;
    w.row_begin = row_begin;
    w.row_end = row_end;
    const int64_t last = std::min(p_.in_h, (row_end - 1) * w.stride + w.kernel - w.pad_top);
    const int64_t last_plane = plane + planes - 1;
    w.readable = (p_.planes() * p_.in_h - last_plane * p_.in_h - last) * p_.in_w;
    if (divisors_ != nullptr) {
      w.row_divisors = divisors_->rows.data();
      w.column_divisors = divisors_->columns.data();
    }
    return w;
  }

  void widen_winners(const uint8_t* winners, int64_t row, int64_t count) const {
    int64_t places[9];
    for (int64_t tap = 0; tap < p_.kernel_h * p_.kernel_w; ++tap) {
      places[tap] = tap / p_.kernel_w * p_.in_w + tap % p_.kernel_w;
    }
    int64_t* index = results_.indices + row * p_.out_w;
    for (const int64_t end = row + count; row < end; ++row) {
      const int64_t h = row % p_.out_h * p_.window.stride_h - p_.window.pad_top;
      int64_t corner = h * p_.in_w - p_.window.pad_left;
      for (int64_t ow = 0; ow < p_.out_w; ++ow, corner += p_.window.stride_w) {
        *index++ = corner + places[*winners++];
      }
    }
  }

  const Pool2dProblem& p_;
  const KernelTable<T>& kernels_;
  const PoolOperation operation_;
  const T* const x_;
  const PoolResults<T> results_;
  const Divisors<T>* const divisors_;
  const bool applies_, is_narrow_, needs_winners_;
  int64_t planes_, rows_;  // of a chunk: planes, or rows of one that is too large
};

}  // namespace convolt
