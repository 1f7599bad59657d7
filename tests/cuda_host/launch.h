// The kernel that runs, for those who check what it does.
#pragma once

#include <cstddef>
#include <string>

#include "include/cuda_runtime.h"

namespace convolt::cuda_host {

// Of the arrays that a kernel declares, on every GPU.
constexpr std::size_t kMostSharedBytes = std::size_t{48} << 10;

// Reports "KERNEL: block B, thread T: text" and abandons the kernel that runs.
[[noreturn]] void kernel_fault(cudaError code, const std::string& text);

// The report without the end, for faults that are no thread's alone.
void note_kernel_fault(cudaError code, const std::string& text);

}  // namespace convolt::cuda_host
