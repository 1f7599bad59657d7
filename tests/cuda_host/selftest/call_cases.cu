#include <cublas_v2.h>
#include <cuda_host.h>

#include "cases.h"

namespace convolt::cuda_host::selftest {
namespace {

__global__ void nothing() {}

void unchecked_launch() {
  cudaLaunchConfig_t config = {};
  cudaLaunchKernelEx(&config, nothing);
}
void unchecked_copy_of_status() {
  const cudaError_t status = cudaDeviceSynchronize();
  const cudaError_t copy = status;
}
void unchecked_cublas() {
  cublasHandle_t handle = nullptr;
  cublasCreate(&handle);
  require(cublasDestroy(handle) == CUBLAS_STATUS_SUCCESS, "the status");
}
void checked() {
  const cudaError_t status = cudaDeviceSynchronize();
  const cudaError_t copy = status;
  succeed(copy);
  cudaSetDevice(1) == cudaSuccess ? succeed(cudaSetDevice(0)) : throw std::runtime_error("device");
  static_cast<void>(cudaGetLastError());
}

void leak() {
  float* memory = nullptr;
  succeed(cudaMalloc(&memory, 12));
  require(live_objects().allocations == 1 && live_objects().bytes == 12, "the leak");
  succeed(cudaFree(memory));
  cudaStream_t stream = nullptr;
  succeed(cudaStreamCreate(&stream));
  require(live_objects().streams == 1, "the stream");
  succeed(cudaStreamDestroy(stream));
}

void double_free() {
  float* memory = nullptr;
  succeed(cudaMalloc(&memory, 12));
  succeed(cudaFree(memory));
  require(cudaFree(memory) == cudaErrorInvalidValue, "the status");
}
void free_inside() {
  const Array<float> array(4);
  require(cudaFree(array.data() + 1) == cudaErrorInvalidValue, "the status");
}
void free_of_host_memory() {
  float value = 0;
  require(cudaFreeAsync(&value, nullptr) == cudaErrorInvalidValue, "the status");
}

void planned_failure() {
  float* memory = nullptr;
  fail_call(2);
  succeed(cudaDeviceSynchronize());
  require(failure_is_planned(), "the plan");
  require(cudaMalloc(&memory, 12) == cudaErrorMemoryAllocation, "the status");
  require(!failure_is_planned() && live_objects().allocations == 0, "the failure");
  require(cudaGetLastError() == cudaErrorMemoryAllocation, "the last error");
  succeed(cudaGetLastError());
  fail_call(1);
  require(launch(nothing, 1, 1) == cudaErrorUnknown, "the launch");
}

void memory_limit() {
  float* memory = nullptr;
  std::size_t available = 0;
  std::size_t total = 0;
  succeed(cudaMemGetInfo(&available, &total));
  require(available == total, "the memory that is free");
  set_memory_limit(100);
  require(cudaMalloc(&memory, 101) == cudaErrorMemoryAllocation, "the status");
  {
    const Array<float> array(10);
    std::size_t limit = 0;
    succeed(cudaMemGetInfo(&available, &limit));
    require(available == 60 && limit == 100, "the memory that is left");
  }
  set_memory_limit(total);
}

void bad_launches() {
  for (const auto& [blocks, threads] : {std::pair{0U, 1U}, {1U, 0U}, {1U, 1025U}}) {
    require(launch(nothing, blocks, threads) == cudaErrorInvalidConfiguration, "the status");
  }
  const int64_t before = launch_count();
  succeed(launch(nothing, 1, 1024));
  require(launch_count() == before + 1, "the number of launches");
}

void bad_copies() {
  const Array<float> array(4);
  float value = 0;
  require(cudaMemcpyAsync(&value, array.data(), 4, cudaMemcpyHostToDevice) == cudaErrorInvalidValue,
          "a copy in the wrong direction");
  succeed(cudaMemsetAsync(array.data(), 0, array.bytes()));
  const auto* const text = "too far";
  require(
      cudaMemcpyAsync(array.data() + 3, text, 8, cudaMemcpyHostToDevice) == cudaErrorIllegalAddress,
      "a copy beyond the end");
}

void text_of_error() {
  const Array<float> array(4);
  const Array<float> other(4);
  const cudaError status =
      cudaMemcpyAsync(array.data(), other.data(), 20, cudaMemcpyDeviceToDevice);
  require(std::string(cudaGetErrorString(status)) ==
              "cudaMemcpyAsync: reads 0 bytes behind the end of an allocation of 16 bytes",
          "the text");
}

}  // namespace

std::vector<Case> call_cases() {
  return {
      {"an unchecked launch", unchecked_launch, "unchecked result of cudaLaunchKernelEx"},
      {"a status that is copied", unchecked_copy_of_status,
       "unchecked result of cudaDeviceSynchronize"},
      {"an unchecked call of cuBLAS", unchecked_cublas, "unchecked result of cublasCreate"},
      {"checked calls", checked, nullptr},
      {"a leak", leak, nullptr},
      {"a double free", double_free, "cudaFree of what has been freed before"},
      {"a free inside", free_inside, "cudaFree of no allocation"},
      {"a free of host memory", free_of_host_memory, "cudaFreeAsync of no allocation"},
      {"a planned failure", planned_failure, nullptr},
      {"no more memory", memory_limit, nullptr},
      {"launches that no device takes", bad_launches, nullptr},
      {"copies that no device makes", bad_copies, "writes 0 bytes behind the end"},
      {"the text of an error", text_of_error, "reads 0 bytes behind the end"},
  };
}

}  // namespace convolt::cuda_host::selftest
