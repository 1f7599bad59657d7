// CUDA devices, their memory and streams, as the bindings see them: plain C++ over the runtime API.
// Everything here and in the headers beside it works on the current device of the calling thread
// and enqueues on its current stream; what has to wait says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

struct CUstream_st;  // cudaStream_t is a pointer to it

namespace convolt::cuda {

using Stream = CUstream_st*;

// A failure of the CUDA runtime, of cuBLAS or of a kernel, which the message names.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// No room on the device. Python sees a MemoryError.
class OutOfDeviceMemory : public std::bad_alloc {
 public:
  explicit OutOfDeviceMemory(std::size_t size) : bytes(size) {}
  const char* what() const noexcept override { return "out of device memory"; }
  std::size_t bytes;
};

struct DeviceProperties {
  std::string name;
  int major, minor;  // compute capability
  int multiprocessors;
  int clock_khz, memory_clock_khz, memory_bus_bits;
  std::size_t memory_bytes;
};

// Throws Error with the reason where there is no driver or no device.
int device_count();
DeviceProperties device_properties(int device);
// Why nothing can be computed there, such as for want of code for its architecture; else empty.
std::string device_problem(int device);
int current_device();
int driver_version();   // of CUDA, such as 13000 for 13.0: what the driver supports
int runtime_version();  // what this file was compiled with
bool is_host_stand_in();

// Makes `device` the current one of this thread while it lives.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device);
  ~DeviceGuard();
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int before_;
  bool changes_;
};

// A stream, and what keeps others from destroying it while something may still be enqueued on it.
struct KeptStream {
  Stream handle = nullptr;
  std::shared_ptr<void> keeper;
};

// The stream of this thread's calls: the legacy default stream, null, at first.
const KeptStream& current_kept_stream();
void set_current_stream(KeptStream stream);
inline Stream current_stream() { return current_kept_stream().handle; }

// What comes on `waiting` from now on begins after all that is on `other` now. Does not wait.
void make_wait(Stream waiting, Stream other);
// Waits for all that is on the current stream.
void synchronize();

// Device memory in the order of a stream: usable by what comes on that stream after the
// constructor, and given back when the stream has come to the destructor. Throws OutOfDeviceMemory.
class Memory {
 public:
  Memory() = default;
  explicit Memory(std::size_t bytes);  // on the current stream
  ~Memory();
  Memory(Memory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        device_(other.device_),
        stream_(std::move(other.stream_)) {}
  Memory& operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(device_, other.device_);
    std::swap(stream_, other.stream_);
    return *this;
  }

  void* data() const { return data_; }
  int device() const { return device_; }
  Stream stream() const { return stream_.handle; }

 private:
  void* data_ = nullptr;
  int device_ = 0;
  KeptStream stream_;
};

// The elements of a scratch array, for kernels on the current stream.
template <typename T>
class Scratch {
 public:
  explicit Scratch(int64_t count) : memory_(static_cast<std::size_t>(count) * sizeof(T)) {}
  T* data() const { return static_cast<T*>(memory_.data()); }

 private:
  Memory memory_;
};

// Both wait until the copy is there: memory of the host may change as soon as they are back.
void copy_to_device(void* to, const void* from, std::size_t bytes);
void copy_to_host(void* to, const void* from, std::size_t bytes);
void copy_on_device(void* to, const void* from, std::size_t bytes);
void fill_with_zeros(void* to, std::size_t bytes);

// The device that the memory belongs to. Throws Error for memory of the host.
int device_of(const void* pointer);

// The most blocks of a grid: kernels stride over what is left, so that any number of elements is
// covered, beyond 2^31 too. Tests make it small.
int64_t most_blocks();
void set_most_blocks(int64_t blocks);

struct MemoryUse {
  std::size_t free, total;
};
MemoryUse memory_use();
// Gives memory that is allocated and not in use back to the system.
void release_memory();

}  // namespace convolt::cuda
