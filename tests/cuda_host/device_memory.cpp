#include "device_memory.h"

#include <cstdlib>
#include <cstring>
#include <map>

#include "devices.h"
#include "include/cuda_host.h"
#include "report.h"

namespace convolt::cuda_host {
namespace {

std::map<std::size_t, Allocation> allocations;

}  // namespace

void* allocate(int device, std::size_t bytes) {
  if (bytes > memory_of_device() - used_bytes(device)) return nullptr;
  void* const memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (memory == nullptr) return nullptr;
  std::memset(memory, 0xFF, bytes);
  const auto begin = reinterpret_cast<std::size_t>(memory);
  allocations[begin] = {begin, bytes, device};
  return memory;
}

bool release(void* address) {
  if (allocations.erase(reinterpret_cast<std::size_t>(address)) == 0) return false;
  std::free(address);
  return true;
}

const Allocation* find_allocation(const void* address) {
  const auto wanted = reinterpret_cast<std::size_t>(address);
  auto next = allocations.upper_bound(wanted);
  if (next == allocations.begin()) return nullptr;
  const Allocation& found = std::prev(next)->second;
  return wanted - found.begin < found.bytes ? &found : nullptr;
}

int64_t live_allocations() { return static_cast<int64_t>(allocations.size()); }

std::size_t used_bytes(int device) {
  std::size_t bytes = 0;
  for (const auto& [begin, allocation] : allocations) {
    if (allocation.device == device) bytes += allocation.bytes;
  }
  return bytes;
}

}  // namespace convolt::cuda_host
