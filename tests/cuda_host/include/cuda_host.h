// What tests ask of the stand-in of the CUDA runtime, and what they plant.
//
// A kernel is abandoned at its first fault; the fault is written down as a report, and the launch,
// or the call that waits for it, returns an error with the text of the report. Faults of host code
// are reports too. What nobody has taken by the end of the process is printed there, and the
// process ends with status 1.
//
// The environment, read at the first call of the runtime:
//   CONVOLT_CUDA_HOST_DEVICES  how many devices there are (2); 0: none, as without a driver
//   CONVOLT_CUDA_HOST_MEMORY   bytes of each device (2 GiB)
//   CONVOLT_CUDA_HOST_ORDER    of blocks and of threads between barriers: forward (the default),
//                              reverse, or the seed of a shuffle
//   CONVOLT_CUDA_HOST_LOCK     1: device memory can be touched by kernels and copies only, and
//   other
//                              code that does so crashes; launches take longer
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace convolt::cuda_host {

// The reports since the last call.
std::vector<std::string> take_reports();

// What has been created and not yet destroyed.
struct LiveObjects {
  int64_t allocations;
  std::size_t bytes;
  int64_t streams;
  int64_t events;
  int64_t cublas_handles;
};
LiveObjects live_objects();

// The n-th call of the runtime or of cuBLAS from now on fails, n >= 1: an allocation for want of
// memory, any other call with an unknown error. What frees or destroys does so nevertheless.
// 0 takes the plan back.
void fail_call(int64_t n);
// Whether the planned failure is still to come.
bool failure_is_planned();

// Of each device; what is allocated already counts.
void set_memory_limit(std::size_t bytes);

// Kernels that have run.
int64_t launch_count();

}  // namespace convolt::cuda_host
