#include "report.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "include/cuda_host.h"

namespace convolt::cuda_host {
namespace {

// Prints what nobody has taken when the process ends, so that no fault passes unseen.
struct Reports {
  std::vector<std::string> untaken;
  std::string latest;

  ~Reports() {
    if (untaken.empty()) return;
    constexpr std::size_t kMostPrinted = 10;
    const std::size_t printed = std::min(untaken.size(), kMostPrinted);
    for (std::size_t i = 0; i < printed; ++i) {
      std::fprintf(stderr, "cuda_host: %s\n", untaken[i].c_str());
    }
    if (printed < untaken.size()) {
      std::fprintf(stderr, "cuda_host: ... and %zu more\n", untaken.size() - printed);
    }
    std::fflush(nullptr);
    std::_Exit(1);
  }
};

Reports& reports() {
  static Reports instance;
  return instance;
}

cudaError pending = cudaSuccess;  // of an asynchronous operation, until a call returns it
int64_t calls_until_failure = 0;  // 0: no failure is planned
thread_local cudaError last_error = cudaSuccess;

}  // namespace

std::recursive_mutex& library_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

void report(const std::string& text) {
  const std::lock_guard<std::recursive_mutex> lock(library_mutex());
  reports().untaken.push_back(text);
  reports().latest = text;
}

void report_asynchronous(cudaError code, const std::string& text) {
  report(text);
  if (pending == cudaSuccess) pending = code;
}

void report_unchecked(const char* call) noexcept {
  report(std::string("unchecked result of ") + call);
}

Call::Call(const char* name) : lock_(library_mutex()), name_(name), fails_(false) {
  if (calls_until_failure > 0) fails_ = --calls_until_failure == 0;
}

cudaError_t Call::result(cudaError code) const {
  if (code != cudaSuccess) last_error = code;
  return {code, name_};
}
cublasStatus_t Call::result(cublasStatus code) const { return {code, name_}; }

cudaError_t Call::result_of_work(cudaError code) const {
  const cudaError earlier = std::exchange(pending, cudaSuccess);
  return result(earlier == cudaSuccess ? code : earlier);
}
cublasStatus_t Call::result_of_work(cublasStatus code) const {
  const cudaError earlier = std::exchange(pending, cudaSuccess);
  return result(earlier == cudaSuccess ? code : CUBLAS_STATUS_EXECUTION_FAILED);
}

std::vector<std::string> take_reports() {
  const std::lock_guard<std::recursive_mutex> lock(library_mutex());
  return std::exchange(reports().untaken, {});
}

void fail_call(int64_t n) {
  const std::lock_guard<std::recursive_mutex> lock(library_mutex());
  calls_until_failure = n;
}

bool failure_is_planned() {
  const std::lock_guard<std::recursive_mutex> lock(library_mutex());
  return calls_until_failure > 0;
}

}  // namespace convolt::cuda_host

using convolt::cuda_host::last_error;

// Both count as looked at: they are how one looks, and how one begins anew.
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }

const char* cudaGetErrorString(cudaError error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorInvalidResourceHandle:
      return "invalid resource handle";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorLaunchFailure: {
      // A copy, as a later report may come before the caller has read this one.
      static thread_local std::string text;
      const std::lock_guard<std::recursive_mutex> lock(convolt::cuda_host::library_mutex());
      text = convolt::cuda_host::reports().latest;
      return text.c_str();
    }
    case cudaErrorUnknown:
      break;
  }
  return "unknown error";
}
