// The calls of the runtime that are about memory.
#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#include "device_memory.h"
#include "devices.h"
#include "report.h"
#include "streams.h"

namespace convolt::cuda_host {
namespace {

// What a stream does, where a reason against it was found.
void fault_in_stream(const char* call, const std::string& reason) {
  report_asynchronous(cudaErrorIllegalAddress, std::string(call) + ": " + reason);
}

cudaError allocate(void** pointer, int device, std::size_t bytes) {
  *pointer = nullptr;
  if (count_devices() == 0) return cudaErrorNoDevice;
  if (device < 0) return cudaErrorInvalidResourceHandle;
  if (bytes == 0) return cudaErrorInvalidValue;
  *pointer = reserve(device, bytes);
  return *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}

cudaError free_in_order(const char* call, void* pointer, cudaStream_t stream) {
  try {
    give_up(pointer);
  } catch (const std::invalid_argument& error) {
    report(std::string(call) + " of " + error.what());
    return cudaErrorInvalidValue;
  }
  return enqueue(stream, [=](int /*device*/) {
    const std::string what = describe(reinterpret_cast<std::size_t>(pointer));
    if (!end_life(pointer)) fault_in_stream(call, "too early, for " + what);
  });
}

bool is_device_memory(const void* pointer) {
  return all_device_memory.contains(reinterpret_cast<std::size_t>(pointer));
}

// Runs `copy` where both ends are in order.
template <typename Copy>
void copy_checked(const std::string& reading, const std::string& writing, const Copy& copy) {
  const std::string& reason = reading.empty() ? writing : reading;
  if (!reason.empty()) {
    fault_in_stream("cudaMemcpyAsync", (reading.empty() ? "writes " : "reads ") + reason);
  } else {
    const OpenMemory open;
    copy();
  }
}

void copy_to_device(void* to, const void* from, std::size_t bytes) {
  copy_checked({}, fault_of_writing(to, bytes), [=] {
    std::memcpy(to, from, bytes);
    mark_valued(to, bytes);
  });
}

void copy_to_host(void* to, const void* from, std::size_t bytes) {
  copy_checked(fault_of_reading(from, bytes), {}, [=] { std::memcpy(to, from, bytes); });
}

// Bytes without a value stay so.
void copy_on_device(void* to, const void* from, std::size_t bytes) {
  copy_checked(fault_of_writing(from, bytes), fault_of_writing(to, bytes), [=] {
    std::memmove(to, from, bytes);
    copy_valued(to, from, bytes);
  });
}

}  // namespace
}  // namespace convolt::cuda_host

using namespace convolt::cuda_host;

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  const Call call("cudaMalloc");
  *pointer = nullptr;
  if (call.fails()) return call.result(cudaErrorMemoryAllocation);
  const cudaError code = allocate(pointer, current_device(), bytes);
  if (code == cudaSuccess) begin_life(*pointer);
  return call.result(code);
}

cudaError_t cudaMallocAsync(void** pointer, std::size_t bytes, cudaStream_t stream) {
  const Call call("cudaMallocAsync");
  *pointer = nullptr;
  if (call.fails()) return call.result(cudaErrorMemoryAllocation);
  const cudaError code = allocate(pointer, device_of(stream), bytes);
  if (code != cudaSuccess) return call.result(code);
  return call.result(
      enqueue(stream, [address = *pointer](int /*device*/) { begin_life(address); }));
}

cudaError_t cudaFree(void* pointer) {
  const Call call("cudaFree");
  cudaError code = cudaSuccess;
  if (pointer != nullptr) {
    drain_device(current_device());
    code = free_in_order("cudaFree", pointer, nullptr);
  }
  return call.result(call.fails() ? cudaErrorUnknown : code);
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  const Call call("cudaFreeAsync");
  if (device_of(stream) < 0) return call.result(cudaErrorInvalidResourceHandle);
  const cudaError code = free_in_order("cudaFreeAsync", pointer, stream);
  return call.result(call.fails() ? cudaErrorUnknown : code);
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const Call call("cudaMemcpyAsync");
  if (call.fails()) return call.result(cudaErrorUnknown);
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  if (is_device_memory(from) != from_device || is_device_memory(to) != to_device) {
    return call.result(cudaErrorInvalidValue);
  }
  if (!from_device) {
    // Memory of the host is read by the device itself, when the stream has come to the copy.
    return call.result_of_work(
        enqueue(stream, [=](int /*device*/) { copy_to_device(to, from, bytes); }));
  }
  if (to_device) {
    return call.result_of_work(
        enqueue(stream, [=](int /*device*/) { copy_on_device(to, from, bytes); }));
  }
  const cudaError code = enqueue(stream, [=](int /*device*/) { copy_to_host(to, from, bytes); });
  // To pageable memory: waits for it.
  if (code == cudaSuccess) drain(stream);
  return call.result_of_work(code);
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  const Call call("cudaMemsetAsync");
  if (call.fails()) return call.result(cudaErrorUnknown);
  if (!is_device_memory(to)) return call.result(cudaErrorInvalidValue);
  return call.result_of_work(enqueue(stream, [=](int /*device*/) {
    const std::string reason = fault_of_writing(to, bytes);
    if (!reason.empty()) return fault_in_stream("cudaMemsetAsync", "writes " + reason);
    const OpenMemory open;
    std::memset(to, value, bytes);
    mark_valued(to, bytes);
  }));
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const Call call("cudaMemGetInfo");
  if (call.fails()) return call.result(cudaErrorUnknown);
  if (count_devices() == 0) return call.result(cudaErrorNoDevice);
  *total = memory_of_device();
  *free = *total - std::min(*total, used_bytes(current_device()));
  return call.result(cudaSuccess);
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  const Call call("cudaPointerGetAttributes");
  if (call.fails()) return call.result(cudaErrorUnknown);
  const int device = device_of_memory(pointer);
  void* const same = const_cast<void*>(pointer);
  if (device >= 0) {
    *attributes = {cudaMemoryTypeDevice, device, same, nullptr};
  } else {
    *attributes = {cudaMemoryTypeUnregistered, -2, nullptr, same};
  }
  return call.result(cudaSuccess);
}

cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* pool, int device) {
  const Call call("cudaDeviceGetMemPool");
  if (call.fails()) return call.result(cudaErrorUnknown);
  if (device < 0 || device >= count_devices()) return call.result(cudaErrorInvalidDevice);
  // Never looked into: any address does.
  static char the_pool;
  *pool = reinterpret_cast<cudaMemPool_t>(&the_pool);
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
