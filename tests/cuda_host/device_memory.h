// The memory of the devices.
#pragma once

#include <cstddef>
#include <cstdint>

#include "include/cuda_runtime.h"

namespace convolt::cuda_host {

// Null where there is no room.
void* allocate(int device, std::size_t bytes);
// Whether the address was that of an allocation.
bool release(void* address);

struct Allocation {
  std::size_t begin;
  std::size_t bytes;
  int device;
};
// The one that holds the address, or null.
const Allocation* find_allocation(const void* address);

int64_t live_allocations();

}  // namespace convolt::cuda_host
