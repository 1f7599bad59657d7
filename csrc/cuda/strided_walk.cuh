// How a thread finds an element of strided arrays: the index of the result, taken apart by as few
// axes as there can be.
#pragma once

#include "elementwise.h"
#include "launch.cuh"

namespace convolt::cuda {

template <int kOperands>
struct StridedWalk {
  int axes;  // 1 at least
  int64_t extents[kMostAxes];
  int64_t strides[kOperands][kMostAxes];

  int64_t count() const {
    int64_t product = 1;
    for (int axis = 0; axis < axes; ++axis) product *= extents[axis];
    return product;
  }

  // Whether all operands lie as the index runs.
  bool is_contiguous() const {
    bool contiguous = axes == 1;
    for (int o = 0; o < kOperands; ++o) contiguous &= strides[o][0] == 1;
    return contiguous;
  }

  // Where element `index` is in each operand. The division by an extent, 20 instructions where both
  // numbers have 32 bits, is what the walk costs: for one axis beside the first it hides behind the
  // memory of three operands.
  __device__ void find(int64_t index, int64_t (&offsets)[kOperands]) const {
    for (int64_t& offset : offsets) offset = 0;
    for (int axis = axes - 1; axis > 0; --axis) {
      const int64_t outer = index / extents[axis], inner = index - outer * extents[axis];
#pragma unroll
      for (int o = 0; o < kOperands; ++o) offsets[o] += inner * strides[o][axis];
      index = outer;
    }
#pragma unroll
    for (int o = 0; o < kOperands; ++o) offsets[o] += index * strides[o][0];
  }
};

// Drops axes of one element, and joins those that every operand walks as if they were one.
template <int kOperands>
StridedWalk<kOperands> strided_walk(const Extents& extents,
                                    const std::array<Extents, kOperands>& strides) {
  StridedWalk<kOperands> walk{};
  for (std::size_t axis = 0; axis < extents.size(); ++axis) {
    if (extents[axis] == 1) continue;
    const int last = walk.axes - 1;
    bool joins = walk.axes > 0;
    for (std::size_t o = 0; o < kOperands && joins; ++o) {
      joins = walk.strides[o][last] == extents[axis] * strides[o][axis];
    }
    const int to = joins ? last : walk.axes++;
    walk.extents[to] = joins ? walk.extents[to] * extents[axis] : extents[axis];
    for (std::size_t o = 0; o < kOperands; ++o) walk.strides[o][to] = strides[o][axis];
  }
  if (walk.axes > 0) return walk;
  // A single element, which lies as any other array of one.
  walk.axes = 1;
  walk.extents[0] = 1;
  for (auto& of_operand : walk.strides) of_operand[0] = 1;
  return walk;
}

}  // namespace convolt::cuda
