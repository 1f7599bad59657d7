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
#include "vector_access.cuh"

namespace convolt::cuda {

// Blocks of a multiprocessor at least: enough loads under way for its memory, and 64 registers for
// a thread. Left alone, ptxas aims at more blocks for some devices and spills around divisions.
constexpr int kResidentBlocks = 4;

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

inline Grid grid_of_walk(int64_t elements, int64_t most_walking_blocks = kMostWalkingBlocks) {
  return grid_of_blocks(std::min(ceil_div(elements, kThreads), most_walking_blocks));
}

// Launches kernel(walk, arguments...).
template <typename... Parameters, typename... Arguments>
void launch_walk(const char* name, void (*kernel)(PlaneWalk, Parameters...), int64_t planes,
                 int64_t rows, int64_t columns, Arguments&&... arguments) {
  const Grid grid = grid_of_walk(planes * rows * columns);
  launch(name, kernel, grid, PlaneWalk(planes, rows, columns, grid),
         std::forward<Arguments>(arguments)...);
}

// The windows of a problem, as kernels see them.
struct Axes {
  WindowAxis rows, columns;
};

// Strides and dilations that are not 0 here are constants to the compiler.
template <int kStride, int kDilation>
__device__ Axes axes_of(const Pool2dProblem& p) {
  Axes axes = {vertical(p), horizontal(p)};
  if (kStride != 0) axes.rows.stride = axes.columns.stride = kStride;
  if (kDilation != 0) axes.rows.dilation = axes.columns.dilation = kDilation;
  return axes;
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

// Two elements beside each other, as one access to memory.
constexpr int kPair = 2;

// Windows of 2 x 2 beside each other, none beyond an edge: their rows are pairs of columns of the
// image. An odd last row may be in no window.
template <typename T>
bool has_windows_of_pairs(const Pool2dProblem& p, const T* image) {
  const WindowParams& w = p.window;
  const bool are_squares = p.kernel_h == 2 && p.kernel_w == 2 && w.stride_h == 2 && w.stride_w == 2;
  const bool are_inside =
      w.pad_top == 0 && w.pad_left == 0 && 2 * p.out_h <= p.in_h && 2 * p.out_w == p.in_w;
  return are_squares && are_inside && !has_dilation(p) &&
         reinterpret_cast<std::uintptr_t>(image) % sizeof(Run<T, kPair>) == 0;
}

// What the sum of a window is divided by.
template <typename T>
__device__ T divisor_of(const Pool2dProblem& p, const PlanePoint& out) {
  if (p.divisor_override != 0) return static_cast<T>(p.divisor_override);
  const WindowParams& w = p.window;
  return static_cast<T>(averaged_extent(out.row, p.in_h, p.kernel_h, w.stride_h, w.pad_top,
                                        w.pad_bottom, p.count_include_pad) *
                        averaged_extent(out.column, p.in_w, p.kernel_w, w.stride_w, w.pad_left,
                                        w.pad_right, p.count_include_pad));
}

}  // namespace convolt::cuda
