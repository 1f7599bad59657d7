// The calls of the runtime that are about memory.
#include <cstring>
#include <memory>
#include <vector>

#include "device_memory.h"
#include "devices.h"
#include "report.h"
#include "streams.h"

using namespace convolt::cuda_host;

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  const Call call("cudaMalloc");
  *pointer = nullptr;
  if (call.fails()) return call.result(cudaErrorMemoryAllocation);
  *pointer = allocate(current_device(), bytes);
  return call.result(*pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess);
}

cudaError_t cudaMallocAsync(void** pointer, std::size_t bytes, cudaStream_t stream) {
  const Call call("cudaMallocAsync");
  *pointer = nullptr;
  if (call.fails()) return call.result(cudaErrorMemoryAllocation);
  const int device = device_of(stream);
  if (device < 0) return call.result(cudaErrorInvalidResourceHandle);
  *pointer = allocate(device, bytes);
  return call.result(*pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess);
}

cudaError_t cudaFree(void* pointer) {
  const Call call("cudaFree");
  drain_device(current_device());
  const bool known = pointer == nullptr || release(pointer);
  if (call.fails()) return call.result(cudaErrorUnknown);
  return call.result(known ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  const Call call("cudaFreeAsync");
  const cudaError code = enqueue(stream, [pointer](int /*device*/) { release(pointer); });
  if (call.fails()) return call.result(cudaErrorUnknown);
  return call.result(code);
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const Call call("cudaMemcpyAsync");
  if (call.fails()) return call.result(cudaErrorUnknown);
  if (kind == cudaMemcpyHostToDevice) {
    const auto* const begin = static_cast<const char*>(from);
    auto snapshot = std::make_shared<std::vector<char>>(begin, begin + bytes);
    return call.result(enqueue(
        stream, [=](int /*device*/) { std::memcpy(to, snapshot->data(), snapshot->size()); }));
  }
  const cudaError code = enqueue(stream, [=](int /*device*/) { std::memcpy(to, from, bytes); });
  if (code == cudaSuccess && kind == cudaMemcpyDeviceToHost) drain(stream);
  return call.result(code);
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  const Call call("cudaMemsetAsync");
  if (call.fails()) return call.result(cudaErrorUnknown);
  return call.result(enqueue(stream, [=](int /*device*/) { std::memset(to, value, bytes); }));
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const Call call("cudaMemGetInfo");
  if (call.fails()) return call.result(cudaErrorUnknown);
  *total = memory_of_device();
  *free = *total - used_bytes(current_device());
  return call.result(cudaSuccess);
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  const Call call("cudaPointerGetAttributes");
  if (call.fails()) return call.result(cudaErrorUnknown);
  *attributes = {cudaMemoryTypeUnregistered, -1, nullptr, const_cast<void*>(pointer)};
  if (const Allocation* const found = find_allocation(pointer)) {
    *attributes = {cudaMemoryTypeDevice, found->device, const_cast<void*>(pointer), nullptr};
  }
  return call.result(cudaSuccess);
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  const Call call("cudaDeviceGetDefaultMemPool");
  if (call.fails()) return call.result(cudaErrorUnknown);
  if (device < 0 || device >= count_devices()) return call.result(cudaErrorInvalidDevice);
  // Never looked into: any address does.
  static char pools[64];
  *pool = reinterpret_cast<cudaMemPool_t>(&pools[device]);
  return call.result(cudaSuccess);
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr /*attribute*/,
                                    void* value) {
  const Call call("cudaMemPoolSetAttribute");
  if (call.fails()) return call.result(cudaErrorUnknown);
  const bool valid = pool != nullptr && value != nullptr;
  return call.result(valid ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, std::size_t /*bytes*/) {
  const Call call("cudaMemPoolTrimTo");
  if (call.fails()) return call.result(cudaErrorUnknown);
  return call.result(pool != nullptr ? cudaSuccess : cudaErrorInvalidValue);
}
