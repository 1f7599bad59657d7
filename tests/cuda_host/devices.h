// The devices that there are, and which one a thread uses.
#pragma once

#include <cstddef>

namespace convolt::cuda_host {

// A number from the environment.
std::size_t setting(const char* name, std::size_t otherwise);

int count_devices();
// Of the calling thread.
int current_device();
// Bytes of each.
std::size_t memory_of_device();
// Bytes that are allocated on one.
std::size_t used_bytes(int device);

}  // namespace convolt::cuda_host
