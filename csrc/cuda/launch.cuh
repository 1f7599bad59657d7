// How kernels are launched: every one through launch(), every call of the runtime through check().
#pragma once

#include <cuda_runtime.h>

#include <algorithm>

#include "../common.h"
#include "device.h"

namespace convolt::cuda {

// Throws Error "what: reason", and clears the error, so that the next call starts anew.
void check(cudaError_t status, const char* what);
// For destructors, which cannot throw: an error that lasts comes back from the next call.
void check_in_destructor(cudaError_t status) noexcept;

constexpr int kThreads = 256;
// On a multiprocessor, for __launch_bounds__(kThreads, kBlocksAtOnce): room for 64 registers a
// thread. Left to itself nvcc 13.0 saved on them in kernels that need 40, and spilled.
constexpr int kBlocksAtOnce = 4;

struct Grid {
  unsigned blocks;
  unsigned threads = kThreads;
  std::size_t shared_bytes = 0;
};

// A block for each of `count` pieces of work, as far as there are blocks.
inline Grid grid_of_blocks(int64_t count, unsigned threads = kThreads) {
  return {static_cast<unsigned>(std::min(count, most_blocks())), threads};
}

// A thread for each of `count` elements, likewise.
inline Grid grid_of_threads(int64_t count) { return grid_of_blocks(ceil_div(count, kThreads)); }

// Enqueues kernel<<<...>>>(arguments...) on the current stream; nothing if the grid is empty.
// `name` is what an error says: the kernel's own.
template <typename... Parameters, typename... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), const Grid& grid,
            Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments));
  if (grid.blocks == 0) return;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(grid.blocks);
  config.blockDim = dim3(grid.threads);
  config.dynamicSmemBytes = grid.shared_bytes;
  config.stream = current_stream();
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), name);
}

// The elements of a thread: for (int64_t i = first_element(); i < count; i += all_threads()).
__device__ inline int64_t first_element() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline int64_t all_threads() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

}  // namespace convolt::cuda
