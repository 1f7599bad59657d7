// What the kernels of pooling share: the walk over the elements of planes, and windows as outputs
// and pixels see them. All of it is arithmetic of ../geometry.h.
//
// Pooling is bound by memory: a 2 x 2 maximum moves 20 bytes for an output, and an H100 has some
// 170 instructions for it in that time. An int64 division takes 30 to 70 of them, so there are none
// for each element: walks carry instead, and strides and dilations are constants where they are
// the usual ones.
#pragma once

#include <algorithm>
#include <utility>

#include "../geometry.h"
#include "launch.cuh"

namespace convolt::cuda {

// An element of planes that lie one behind the other.
struct PlanePoint {
  int64_t element, plane, row, column;
};

// How the threads of a grid go through all elements of `planes` planes of rows x columns:
//     for (PlanePoint at = walk.first(); at.element < walk.elements; walk.advance(at))
// Threads beside each other have columns beside each other: their loads and stores coalesce.
// Made on the host: what is the same for all threads takes none of their registers.
struct PlaneWalk {
  int64_t rows, columns, elements;
  PlanePoint step;  // of all threads of the grid together

  PlaneWalk(int64_t planes, int64_t rows_of_plane, int64_t columns_of_row, const Grid& grid)
      : rows(rows_of_plane), columns(columns_of_row), elements(planes * rows * columns) {
    step = point(static_cast<int64_t>(grid.blocks) * grid.threads);
  }

  CONVOLT_HOST_DEVICE PlanePoint point(int64_t element) const {
    const int64_t row = element / columns;
    return {element, row / rows, row % rows, element % columns};
  }
  __device__ PlanePoint first() const { return point(first_element()); }
  __device__ void advance(PlanePoint& at) const {
    at.element += step.element;
    at.plane += step.plane;
    at.row += step.row;
    at.column += step.column;
    if (at.column >= columns) {
      at.column -= columns;
      ++at.row;
    }
    if (at.row >= rows) {
      at.row -= rows;
      ++at.plane;
    }
  }
};

// Some waves of blocks on the largest devices, so that the last wave wastes little; with more
// elements a thread divides once for several of them.
constexpr int64_t kMostWalkingBlocks = 8192;

// Launches kernel(walk, arguments...) for a walk over such planes.
template <typename... Parameters, typename... Arguments>
void launch_walk(const char* name, void (*kernel)(PlaneWalk, Parameters...), int64_t planes,
                 int64_t rows, int64_t columns, Arguments&&... arguments) {
  const int64_t blocks = ceil_div(planes * rows * columns, kThreads);
  const Grid grid = grid_of_blocks(std::min(blocks, kMostWalkingBlocks));
  launch(name, kernel, grid, PlaneWalk(planes, rows, columns, grid),
         std::forward<Arguments>(arguments)...);
}

// The same axis; a stride or dilation that is not 0 here is a constant to the compiler.
template <int kStride, int kDilation>
__device__ inline WindowAxis with_constants(WindowAxis axis) {
  if (kStride != 0) axis.stride = kStride;
  if (kDilation != 0) axis.dilation = kDilation;
  return axis;
}

inline bool has_dilation(const Pool2dProblem& p) {
  return p.window.dilation_h != 1 || p.window.dilation_w != 1;
}

// The outputs [begin, end) whose windows reach over element i, from their first tap to their last:
// the taps inside an image, with outputs for taps.
__device__ inline TapRange windows_over(const WindowAxis& axis, int64_t i) {
  const int64_t reach = (axis.kernel - 1) * axis.dilation + 1;
  return taps_inside(0, reach, axis.out, 1, axis.stride, i + axis.pad_before - (reach - 1));
}

// --- pairs --------------------------------------------------------------------------------------

// Two elements beside each other, as one access to memory. At an even element of aligned memory.
template <typename T>
struct PairOf;
template <>
struct PairOf<float> {
  using Type = float2;
};
template <>
struct PairOf<double> {
  using Type = double2;
};
template <typename T>
using Pair = typename PairOf<T>::Type;

// Windows of 2 x 2 beside each other, none beyond an edge: their rows are pairs of columns of the
// image. An odd last row may be in no window.
template <typename T>
bool has_windows_of_pairs(const Pool2dProblem& p, const T* image) {
  const WindowParams& w = p.window;
  const bool are_squares = p.kernel_h == 2 && p.kernel_w == 2 && w.stride_h == 2 && w.stride_w == 2;
  const bool are_inside =
      w.pad_top == 0 && w.pad_left == 0 && 2 * p.out_h <= p.in_h && 2 * p.out_w == p.in_w;
  return are_squares && are_inside && !has_dilation(p) &&
         reinterpret_cast<std::uintptr_t>(image) % sizeof(Pair<T>) == 0;
}

// --- averages -----------------------------------------------------------------------------------

CONVOLT_HOST_DEVICE inline int64_t averaged_rows(const Pool2dProblem& p, int64_t oh) {
  const WindowParams& w = p.window;
  return averaged_extent(oh, p.in_h, p.kernel_h, w.stride_h, w.pad_top, w.pad_bottom,
                         p.count_include_pad);
}

CONVOLT_HOST_DEVICE inline int64_t averaged_columns(const Pool2dProblem& p, int64_t ow) {
  const WindowParams& w = p.window;
  return averaged_extent(ow, p.in_w, p.kernel_w, w.stride_w, w.pad_left, w.pad_right,
                         p.count_include_pad);
}

// What every sum is divided by, or 0 if that differs: then the first or the last window of an axis
// counts less than the kernel.
template <typename T>
T common_divisor(const Pool2dProblem& p) {
  if (p.divisor_override != 0) return static_cast<T>(p.divisor_override);
  const bool is_whole =
      averaged_rows(p, 0) == p.kernel_h && averaged_rows(p, p.out_h - 1) == p.kernel_h &&
      averaged_columns(p, 0) == p.kernel_w && averaged_columns(p, p.out_w - 1) == p.kernel_w;
  return is_whole ? static_cast<T>(p.kernel_h * p.kernel_w) : T{0};
}

template <typename T>
__device__ inline T divisor_of(const Pool2dProblem& p, T common, int64_t oh, int64_t ow) {
  return common != 0 ? common : static_cast<T>(averaged_rows(p, oh) * averaged_columns(p, ow));
}

}  // namespace convolt::cuda
