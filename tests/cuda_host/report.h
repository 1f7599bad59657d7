// Reports of faults, and what every call of the API shares.
#pragma once

#include <mutex>
#include <string>

#include "include/cublas_v2.h"
#include "include/cuda_runtime.h"

namespace convolt::cuda_host {

// Writes a fault down; the text of the latest is what cudaGetErrorString says of a kernel's error.
void report(const std::string& text);

// A fault of an operation that a stream runs: reported, and returned by the next call that looks.
void report_asynchronous(cudaError code, const std::string& text);

// A call of the API: holds the lock of the whole stand-in, and counts towards a planned failure.
class Call {
 public:
  explicit Call(const char* name);
  // Whether a test wants this call to fail.
  bool fails() const { return fails_; }
  cudaError_t result(cudaError code) const;
  cublasStatus_t result(cublasStatus code) const;
  // Of a call that gives a stream work or waits for it: the error of an asynchronous operation
  // comes first, and is over when it has been returned.
  cudaError_t result_of_work(cudaError code) const;
  cublasStatus_t result_of_work(cublasStatus code) const;

 private:
  std::lock_guard<std::recursive_mutex> lock_;
  const char* name_;
  bool fails_;
};

// The lock by itself, for the interface of cuda_host.h.
std::recursive_mutex& library_mutex();

}  // namespace convolt::cuda_host
