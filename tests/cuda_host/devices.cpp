#include "devices.h"

#include <cstdlib>
#include <cstring>
#include <string>

#include "blas.h"
#include "device_memory.h"
#include "include/cuda_host.h"
#include "report.h"
#include "streams.h"

namespace convolt::cuda_host {
namespace {

thread_local int device_of_thread = 0;

std::size_t& memory_limit() {
  static std::size_t bytes = setting("CONVOLT_CUDA_HOST_MEMORY", std::size_t{2} << 30);
  return bytes;
}

// cudaErrorNoDevice where there is none, which every call says then.
cudaError check_device(int device) {
  if (count_devices() == 0) return cudaErrorNoDevice;
  return device >= 0 && device < count_devices() ? cudaSuccess : cudaErrorInvalidDevice;
}

}  // namespace

std::size_t setting(const char* name, std::size_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoull(text);
}

int count_devices() {
  static const std::size_t count = setting("CONVOLT_CUDA_HOST_DEVICES", 2);
  return static_cast<int>(count);
}

int current_device() { return device_of_thread; }
std::size_t memory_of_device() { return memory_limit(); }

void set_memory_limit(std::size_t bytes) {
  const std::lock_guard<std::recursive_mutex> lock(library_mutex());
  memory_limit() = bytes;
}

LiveObjects live_objects() {
  const std::lock_guard<std::recursive_mutex> lock(library_mutex());
  std::size_t bytes = 0;
  for (int device = 0; device < count_devices(); ++device) bytes += used_bytes(device);
  return {live_allocations(), bytes, live_streams(), live_events(), live_cublas_handles()};
}

}  // namespace convolt::cuda_host

using namespace convolt::cuda_host;

cudaError_t cudaGetDeviceCount(int* count) {
  const Call call("cudaGetDeviceCount");
  if (call.fails()) return call.result(cudaErrorUnknown);
  *count = count_devices();
  return call.result(check_device(0));
}

cudaError_t cudaGetDevice(int* device) {
  const Call call("cudaGetDevice");
  if (call.fails()) return call.result(cudaErrorUnknown);
  *device = current_device();
  return call.result(check_device(*device));
}

cudaError_t cudaSetDevice(int device) {
  const Call call("cudaSetDevice");
  if (call.fails()) return call.result(cudaErrorUnknown);
  const cudaError code = check_device(device);
  if (code == cudaSuccess) device_of_thread = device;
  return call.result(code);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  const Call call("cudaGetDeviceProperties");
  if (call.fails()) return call.result(cudaErrorUnknown);
  const cudaError code = check_device(device);
  if (code != cudaSuccess) return call.result(code);
  *properties = {};
  std::strncpy(properties->name, "host stand-in", sizeof(properties->name) - 1);
  properties->totalGlobalMem = memory_of_device();
  properties->sharedMemPerBlock = std::size_t{48} << 10;
  properties->major = 9;
  properties->minor = 0;
  properties->multiProcessorCount = 4;
  return call.result(cudaSuccess);
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  const Call call("cudaDeviceGetAttribute");
  if (call.fails()) return call.result(cudaErrorUnknown);
  switch (attribute) {
    case cudaDevAttrClockRate:
    case cudaDevAttrMemoryClockRate:
      *value = 1000000;  // kHz
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = 4;
      break;
    case cudaDevAttrGlobalMemoryBusWidth:
      *value = 64;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 9;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      break;
    case cudaDevAttrMemoryPoolsSupported:
      *value = 1;
      break;
  }
  return call.result(check_device(device));
}

cudaError_t cudaDeviceSynchronize() {
  const Call call("cudaDeviceSynchronize");
  if (call.fails()) return call.result(cudaErrorUnknown);
  const cudaError code = check_device(current_device());
  if (code == cudaSuccess) drain_device(current_device());
  return call.result_of_work(code);
}

cudaError_t cudaDriverGetVersion(int* version) {
  const Call call("cudaDriverGetVersion");
  if (call.fails()) return call.result(cudaErrorUnknown);
  *version = count_devices() == 0 ? 0 : CUDART_VERSION;  // 0: no driver
  return call.result(cudaSuccess);
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  const Call call("cudaRuntimeGetVersion");
  if (call.fails()) return call.result(cudaErrorUnknown);
  *version = CUDART_VERSION;
  return call.result(cudaSuccess);
}
