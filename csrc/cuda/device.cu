#include <atomic>
#include <limits>
#include <mutex>
#include <set>
#include <string>

#include "launch.cuh"

namespace convolt::cuda {
namespace {

thread_local Stream stream_of_thread = nullptr;
std::atomic<int64_t> block_limit{int64_t{1} << 20};

// An event that lives as long as it is needed.
class Event {
 public:
  Event() {
    check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  }
  ~Event() { check_in_destructor(cudaEventDestroy(event_)); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, device), "cudaDeviceGetAttribute");
  return value;
}

// Freed memory stays with the device's pool, so that the next step has it without asking the
// system.
void keep_freed_memory(int device) {
  static std::mutex mutex;
  static std::set<int> done;
  const std::lock_guard<std::mutex> lock(mutex);
  if (done.count(device) != 0) return;
  cudaMemPool_t pool = nullptr;
  check(cudaDeviceGetDefaultMemPool(&pool, device), "cudaDeviceGetDefaultMemPool");
  uint64_t all = std::numeric_limits<uint64_t>::max();
  check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all),
        "cudaMemPoolSetAttribute");
  done.insert(device);
}

// So that the next call starts anew.
void clear_error() { static_cast<void>(cudaGetLastError()); }

}  // namespace

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  const std::string reason = cudaGetErrorString(status);
  clear_error();
  throw Error(std::string(what) + ": " + reason);
}

void check_in_destructor(cudaError_t status) noexcept {
  if (status != cudaSuccess) clear_error();
}

int64_t most_blocks() { return block_limit; }
void set_most_blocks(int64_t blocks) { block_limit = blocks; }

int device_count() {
  int count = 0;
  check(cudaGetDeviceCount(&count), "cudaGetDeviceCount");
  return count;
}

DeviceProperties device_properties(int device) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  return {properties.name,
          properties.major,
          properties.minor,
          properties.multiProcessorCount,
          attribute(cudaDevAttrClockRate, device),
          attribute(cudaDevAttrMemoryClockRate, device),
          attribute(cudaDevAttrGlobalMemoryBusWidth, device),
          properties.totalGlobalMem};
}

int current_device() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  return device;
}

int driver_version() {
  int version = 0;
  check(cudaDriverGetVersion(&version), "cudaDriverGetVersion");
  return version;
}

int runtime_version() { return CUDART_VERSION; }

bool is_host_stand_in() {
#if defined(CONVOLT_CUDA_HOST)
  return true;
#else
  return false;
#endif
}

DeviceGuard::DeviceGuard(int device) : before_(current_device()) {
  if (device != before_) check(cudaSetDevice(device), "cudaSetDevice");
}

DeviceGuard::~DeviceGuard() { check_in_destructor(cudaSetDevice(before_)); }

Stream current_stream() { return stream_of_thread; }
void set_current_stream(Stream stream) { stream_of_thread = stream; }

void make_wait(Stream waiting, Stream other) {
  if (waiting == other) return;
  const Event reached;
  check(cudaEventRecord(reached.get(), other), "cudaEventRecord");
  check(cudaStreamWaitEvent(waiting, reached.get(), 0), "cudaStreamWaitEvent");
}

void synchronize() { check(cudaStreamSynchronize(current_stream()), "cudaStreamSynchronize"); }

Memory::Memory(std::size_t bytes) : device_(current_device()), stream_(current_stream()) {
  if (bytes == 0) return;
  keep_freed_memory(device_);
  const cudaError_t status = cudaMallocAsync(&data_, bytes, stream_);
  if (status == cudaErrorMemoryAllocation) {
    clear_error();
    throw OutOfDeviceMemory(bytes);
  }
  check(status, "cudaMallocAsync");
}

Memory::~Memory() {
  if (data_ != nullptr) check_in_destructor(cudaFreeAsync(data_, stream_));
}

void copy_to_device(void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, current_stream()),
        "copy to the device");
  // Pageable memory has been staged by now; from pinned memory the copy may only have begun.
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, from), "cudaPointerGetAttributes");
  if (attributes.type != cudaMemoryTypeUnregistered) synchronize();
}

void copy_to_host(void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, current_stream()),
        "copy to the host");
  synchronize();
}

void copy_on_device(void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, current_stream()),
        "copy on the device");
}

void fill_with_zeros(void* to, std::size_t bytes) {
  if (bytes == 0) return;
  check(cudaMemsetAsync(to, 0, bytes, current_stream()), "cudaMemsetAsync");
}

int device_of(const void* pointer) {
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, pointer), "cudaPointerGetAttributes");
  if (attributes.type != cudaMemoryTypeDevice && attributes.type != cudaMemoryTypeManaged) {
    throw Error("cudaPointerGetAttributes: the pointer is not of a CUDA device");
  }
  return attributes.device;
}

MemoryUse memory_use() {
  MemoryUse use{};
  check(cudaMemGetInfo(&use.free, &use.total), "cudaMemGetInfo");
  return use;
}

void release_memory() {
  cudaMemPool_t pool = nullptr;
  check(cudaDeviceGetDefaultMemPool(&pool, current_device()), "cudaDeviceGetDefaultMemPool");
  check(cudaMemPoolTrimTo(pool, 0), "cudaMemPoolTrimTo");
}

}  // namespace convolt::cuda
