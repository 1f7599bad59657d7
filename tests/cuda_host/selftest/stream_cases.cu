#include "cases.h"

namespace convolt::cuda_host::selftest {
namespace {

constexpr unsigned kThreads = 32;

__global__ void fill(float* y, float value) { y[threadIdx.x] = value; }
__global__ void add(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x] + 1.0F; }

class Stream {
 public:
  explicit Stream(unsigned flags = cudaStreamNonBlocking) {
    succeed(cudaStreamCreateWithFlags(&stream_, flags));
  }
  ~Stream() { static_cast<void>(cudaStreamDestroy(stream_) == cudaSuccess); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

// One stream fills what the other reads.
void fill_and_add(bool ordered) {
  const Stream first;
  const Stream second;
  const Array<float> x(kThreads);
  const Array<float> y(kThreads);
  succeed(launch_on(first.get(), fill, 1, kThreads, x.data(), 1.0F));
  cudaEvent_t event = nullptr;
  succeed(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  succeed(cudaEventRecord(event, first.get()));
  if (ordered) succeed(cudaStreamWaitEvent(second.get(), event));
  succeed(cudaEventDestroy(event));
  succeed(launch_on(second.get(), add, 1, kThreads, x.data(), y.data()));
  if (cudaStreamSynchronize(second.get()) != cudaSuccess) return;
  require(y.values() == std::vector<float>(kThreads, 2.0F), "the sums");
}
void streams_in_order() { fill_and_add(true); }
void streams_without_order() { fill_and_add(false); }

// The legacy default stream waits for a blocking stream, and not for the other kind.
void fill_before_default(unsigned flags) {
  const Stream stream(flags);
  const Array<float> x(kThreads);
  succeed(launch_on(stream.get(), fill, 1, kThreads, x.data(), 1.0F));
  x.values();
}
void default_waits() { fill_before_default(cudaStreamDefault); }
void default_does_not_wait() { fill_before_default(cudaStreamNonBlocking); }

void allocated_in_order(bool ordered) {
  const Stream stream;
  void* memory = nullptr;
  succeed(cudaMallocAsync(&memory, kThreads * sizeof(float), stream.get()));
  if (ordered) succeed(cudaStreamSynchronize(stream.get()));
  const cudaError status = launch(fill, 1, kThreads, static_cast<float*>(memory), 1.0F);
  require(ordered == (status == cudaSuccess), "the status");
  succeed(cudaFreeAsync(memory, stream.get()));
}
void memory_of_stream_in_order() { allocated_in_order(true); }
void memory_of_stream_too_early() { allocated_in_order(false); }

// Freed on another stream than the one that still uses it.
void freed_too_early() {
  const Stream stream;
  void* memory = nullptr;
  succeed(cudaMallocAsync(&memory, kThreads * sizeof(float), stream.get()));
  succeed(cudaStreamSynchronize(stream.get()));
  succeed(launch_on(stream.get(), fill, 1, kThreads, static_cast<float*>(memory), 1.0F));
  succeed(cudaFreeAsync(memory, nullptr));
  static_cast<void>(cudaStreamSynchronize(stream.get()) == cudaSuccess);
}

// Freed before the stream has come to the allocation.
void freed_before_it_begins() {
  const Stream stream;
  void* memory = nullptr;
  succeed(cudaMallocAsync(&memory, kThreads * sizeof(float), stream.get()));
  succeed(cudaFreeAsync(memory, nullptr));
  static_cast<void>(cudaStreamSynchronize(stream.get()) == cudaSuccess);
}

// What nobody has waited for is copied as it is later on.
void copy_from_the_host() {
  const Stream stream;
  const Array<float> x(kThreads);
  std::vector<float> values(kThreads, 3.0F);
  succeed(
      cudaMemcpyAsync(x.data(), values.data(), x.bytes(), cudaMemcpyHostToDevice, stream.get()));
  values.assign(kThreads, 4.0F);
  succeed(cudaStreamSynchronize(stream.get()));
  require(x.values() == std::vector<float>(kThreads, 4.0F), "the values");
}

void events_measure() {
  const Stream stream;
  cudaEvent_t events[2] = {};
  const Array<float> x(kThreads);
  for (cudaEvent_t& event : events) {
    succeed(cudaEventCreate(&event));
    succeed(cudaEventRecord(event, stream.get()));
    succeed(launch_on(stream.get(), fill, 1, kThreads, x.data(), 1.0F));
  }
  float milliseconds = -1.0F;
  require(cudaEventElapsedTime(&milliseconds, events[0], events[1]) == cudaErrorNotReady,
          "an event that nobody has waited for");
  succeed(cudaEventSynchronize(events[1]));
  succeed(cudaEventElapsedTime(&milliseconds, events[0], events[1]));
  require(milliseconds >= 0.0F, "the time");
  for (const cudaEvent_t event : events) succeed(cudaEventDestroy(event));
}

}  // namespace

std::vector<Case> stream_cases() {
  return {
      {"an event between streams", streams_in_order, nullptr},
      {"no event between streams", streams_without_order, "nobody has written"},
      {"the default stream waits", default_waits, nullptr},
      {"the default stream does not wait", default_does_not_wait, "nobody has written"},
      {"memory of a stream", memory_of_stream_in_order, nullptr},
      {"memory of a stream too early", memory_of_stream_too_early, "has not yet come to"},
      {"memory freed too early", freed_too_early, "that has been freed"},
      {"memory freed before it begins", freed_before_it_begins, "cudaFreeAsync: too early"},
      {"a copy from the host", copy_from_the_host, nullptr},
      {"events measure", events_measure, nullptr},
  };
}

}  // namespace convolt::cuda_host::selftest
