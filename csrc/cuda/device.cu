#include <atomic>
#include <limits>
#include <mutex>
#include <set>
#include <string>

#include "launch.cuh"

namespace convolt::cuda {
namespace {

thread_local KeptStream stream_of_thread;
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

// Those that there is code for, or code that the driver compiles for later ones, the oldest first.
constexpr int kArchitectures[] = {__CUDA_ARCH_LIST__};

std::string capability_text(int hundreds) {
  return std::to_string(hundreds / 100) + '.' + std::to_string(hundreds / 10 % 10);
}

// Freed memory stays with the device's pool, so that the next step has it without asking the
// system.
void keep_freed_memory(int device) {
  static std::mutex mutex;
  static std::set<int> done;
  const std::lock_guard<std::mutex> lock(mutex);
  if (done.count(device) != 0) return;
  cudaMemPool_t pool = nullptr;
  check(cudaDeviceGetMemPool(&pool, device), "cudaDeviceGetMemPool");
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

std::string device_problem(int device) {
  const std::string name = "cuda:" + std::to_string(device);
  const int capability = 100 * attribute(cudaDevAttrComputeCapabilityMajor, device) +
                         10 * attribute(cudaDevAttrComputeCapabilityMinor, device);
  if (capability < kArchitectures[0]) {
    return name + " has compute capability " + capability_text(capability) +
           ", and this build is for " + capability_text(kArchitectures[0]) + " and later";
  }
  if (attribute(cudaDevAttrMemoryPoolsSupported, device) == 0) {
    return name + " has no memory pools, and with them no stream-ordered allocation";
  }
  return {};
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

DeviceGuard::DeviceGuard(int device) : before_(current_device()), changes_(device != before_) {
  if (changes_) check(cudaSetDevice(device), "cudaSetDevice");
}

// Only where it is another: to set a device is to make a context on it.
DeviceGuard::~DeviceGuard() {
  if (changes_) check_in_destructor(cudaSetDevice(before_));
}

const KeptStream& current_kept_stream() { return stream_of_thread; }
void set_current_stream(KeptStream stream) { stream_of_thread = std::move(stream); }

void make_wait(Stream waiting, Stream other) {
  if (waiting == other) return;
  const Event reached;
  check(cudaEventRecord(reached.get(), other), "cudaEventRecord");
  check(cudaStreamWaitEvent(waiting, reached.get(), 0), "cudaStreamWaitEvent");
}

void synchronize() { check(cudaStreamSynchronize(current_stream()), "cudaStreamSynchronize"); }

Memory::Memory(std::size_t bytes) : device_(current_device()), stream_(current_kept_stream()) {
  if (bytes == 0) return;
  keep_freed_memory(device_);
  const cudaError_t status = cudaMallocAsync(&data_, bytes, stream_.handle);
  if (status == cudaErrorMemoryAllocation) {
    clear_error();
    throw OutOfDeviceMemory(bytes);
  }
  check(status, "cudaMallocAsync");
}

Memory::~Memory() {
  if (data_ == nullptr) return;
  const cudaError_t status = cudaFreeAsync(data_, stream_.handle);
  check_in_destructor(status);
  if (status != cudaErrorInvalidResourceHandle) return;
  // A stream that was given as a number has been destroyed: with it went the order.
  check_in_destructor(cudaDeviceSynchronize());
  check_in_destructor(cudaFree(data_));
}

void copy_to_device(void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, current_stream()),
        "copy to the device");
  // Pageable memory "might" be staged before the call is back, says CUDA. It is not where the
  // device reads memory of the host by itself.
  synchronize();
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
  check(cudaDeviceGetMemPool(&pool, current_device()), "cudaDeviceGetMemPool");
  check(cudaMemPoolTrimTo(pool, 0), "cudaMemPoolTrimTo");
}

}  // namespace convolt::cuda
