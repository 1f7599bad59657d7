// A walk over the elements of an array in the order of memory, with the index along each axis at
// hand. Only the first index of a thread is divided out: a division of int64_t takes some dozens of
// instructions. From there a thread steps by adding digits with a carry.
#pragma once

#include <array>

#include "launch.cuh"

namespace convolt::cuda {

template <std::size_t kAxes>
struct Index {
  int64_t at[kAxes];

  __device__ int64_t operator[](int axis) const { return at[axis]; }
};

template <std::size_t kAxes>
struct Walk {
  int64_t count;
  int64_t extents[kAxes];
  Index<kAxes> step;  // how far all threads go together

  CONVOLT_HOST_DEVICE Index<kAxes> index_of(int64_t element) const {
    Index<kAxes> index;
    for (int axis = kAxes - 1; axis > 0; --axis) {
      index.at[axis] = element % extents[axis];
      element /= extents[axis];
    }
    index.at[0] = element;
    return index;
  }

  __device__ void advance(Index<kAxes>& index) const {
    int64_t carry = 0;
    for (int axis = kAxes - 1; axis > 0; --axis) {
      const int64_t digit = index.at[axis] + step.at[axis] + carry;
      carry = digit >= extents[axis];
      index.at[axis] = carry ? digit - extents[axis] : digit;
    }
    index.at[0] += step.at[0] + carry;
  }
};

// Calls visit(element, index) for `begin`, then every `threads` elements as long as they are below
// `end`; `threads` is what the walk was made for.
template <std::size_t kAxes, typename F>
__device__ inline void walk_elements(const Walk<kAxes>& walk, int64_t begin, int64_t end,
                                     int64_t threads, const F& visit) {
  if (begin >= end) return;
  Index<kAxes> index = walk.index_of(begin);
  for (int64_t i = begin; i < end; i += threads, walk.advance(index)) visit(i, index);
}

// The elements of a thread, for kernels that launch_walk launches.
template <std::size_t kAxes, typename F>
__device__ inline void walk_elements(const Walk<kAxes>& walk, const F& visit) {
  walk_elements(walk, first_element(), walk.count, all_threads(), visit);
}

template <std::size_t kAxes>
Walk<kAxes> make_walk(const std::array<int64_t, kAxes>& extents, int64_t threads) {
  Walk<kAxes> walk = {1, {}, {}};
  for (std::size_t axis = 0; axis < kAxes; ++axis) {
    walk.extents[axis] = extents[axis];
    walk.count *= extents[axis];
  }
  if (walk.count > 0) walk.step = walk.index_of(threads);
  return walk;
}

// A thread for each element, up to the 2048 blocks that fill the largest of today's devices twice
// (132 multiprocessors with room for eight each); from there up to eight elements for a thread.
inline Grid grid_of_walk(int64_t count) {
  constexpr int64_t kFull = 2048, kElements = 8;
  const int64_t blocks = ceil_div(count, kThreads);
  return grid_of_blocks(std::min(blocks, std::max(kFull, ceil_div(blocks, kElements))));
}

// Launches kernel(walk, arguments...) over an array of these extents.
template <std::size_t kAxes, typename... Parameters, typename... Arguments>
void launch_walk(const char* name, void (*kernel)(Walk<kAxes>, Parameters...),
                 const std::array<int64_t, kAxes>& extents, const Arguments&... arguments) {
  int64_t count = 1;
  for (const int64_t extent : extents) count *= extent;
  const Grid grid = grid_of_walk(count);
  launch(name, kernel, grid, make_walk(extents, static_cast<int64_t>(grid.blocks) * grid.threads),
         arguments...);
}

}  // namespace convolt::cuda
