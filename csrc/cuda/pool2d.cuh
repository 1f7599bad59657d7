// What the kernels of pooling share: the walk over the elements of planes, and windows as outputs
// and pixels see them. All of it is arithmetic of ../geometry.h.
//
// Pooling would be bound by memory: in the time of a byte an H100 has some nine instructions for a
// thread (132 multiprocessors of 128 lanes at 1.75 GHz, 3.35 TB/s). An int64 division takes 30 to
// 70, so there are none for each element: walks carry instead, and where strides and dilations are
// the usual ones they are constants.
#pragma once

#include <array>

#include "../geometry.h"
#include "launch.cuh"
#include "vector_access.cuh"
#include "walk.cuh"

namespace convolt::cuda {

// Blocks of a multiprocessor at least: enough loads under way for its memory, and 64 registers for
// a thread. Left alone, ptxas aims at more blocks for some devices and spills around divisions.
constexpr int kResidentBlocks = 4;

// An element of planes that lie one behind the other.
struct PlanePoint {
  int64_t element, plane, row, column;
};

using PlaneWalk = Walk<3>;
using PlaneExtents = std::array<int64_t, 3>;

inline PlaneExtents pixels_of(const Pool2dProblem& p) { return {p.planes(), p.in_h, p.in_w}; }
inline PlaneExtents outputs_of(const Pool2dProblem& p) { return {p.planes(), p.out_h, p.out_w}; }

// Calls visit(point) for the elements of a thread. Threads beside each other have columns beside
// each other: their loads and stores coalesce.
template <typename F>
__device__ void visit_points(const PlaneWalk& walk, const F& visit) {
  walk_elements(walk, [&](int64_t element, const Index<3>& at) {
    visit(PlanePoint{element, at[0], at[1], at[2]});
  });
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
