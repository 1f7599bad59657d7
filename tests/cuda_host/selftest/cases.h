// Cases of the self-test: small programs with one fault each, and their twins without it.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace convolt::cuda_host::selftest {

struct Case {
  const char* name;
  void (*run)();
  const char* expected;  // part of the one report; null: there must be none
};

std::vector<Case> memory_cases();
std::vector<Case> shared_memory_cases();
std::vector<Case> race_cases();
std::vector<Case> stream_cases();
std::vector<Case> call_cases();
std::vector<Case> blas_cases();

inline void require(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(what);
}
inline void succeed(cudaError status) {
  require(status == cudaSuccess, std::string("unexpected error: ") + cudaGetErrorString(status));
}

// Device memory, with values from the beginning or not.
template <typename T>
class Array {
 public:
  explicit Array(std::size_t count) : count_(count) { succeed(cudaMalloc(&data_, bytes())); }
  explicit Array(const std::vector<T>& values) : Array(values.size()) {
    succeed(cudaMemcpyAsync(data_, values.data(), bytes(), cudaMemcpyHostToDevice));
  }
  ~Array() { static_cast<void>(cudaFree(data_) == cudaSuccess); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;

  T* data() const { return data_; }
  std::size_t bytes() const { return count_ * sizeof(T); }
  std::vector<T> values() const {
    std::vector<T> result(count_);
    const cudaError status = cudaMemcpyAsync(result.data(), data_, bytes(), cudaMemcpyDeviceToHost);
    // A fault has a report, which the case expects.
    return status == cudaSuccess ? result : std::vector<T>{};
  }

 private:
  std::size_t count_;
  T* data_ = nullptr;
};

// Launches on a stream, and looks at the status. A fault of the kernel is an error with a report.
template <typename... Parameters, typename... Arguments>
cudaError launch_on(cudaStream_t stream, void (*kernel)(Parameters...), unsigned blocks,
                    unsigned threads, Arguments... arguments) {
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(blocks);
  config.blockDim = dim3(threads);
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}
template <typename Kernel, typename... Arguments>
cudaError launch(Kernel* kernel, unsigned blocks, unsigned threads, Arguments... arguments) {
  return launch_on(nullptr, kernel, blocks, threads, arguments...);
}

}  // namespace convolt::cuda_host::selftest
