// cuBLAS: products in plain loops, in the order of the handle's stream.
#include "blas.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "blas.h"
#include "device_memory.h"
#include "include/cublas_v2.h"
#include "objects.h"
#include "report.h"
#include "streams.h"

struct cublasContext {
  cudaStream_t stream = nullptr;
  cublasMath_t math = CUBLAS_DEFAULT_MATH;
};

namespace convolt::cuda_host {
namespace {

Objects<cublasContext> handles;

// A column-major matrix of `rows` x `columns` as the product sees it, after its transposition.
template <typename T>
struct Operand {
  T* data;
  cublasOperation_t transpose;
  int64_t leading;
  int64_t stride;

  T at(int64_t i, int64_t row, int64_t column) const {
    const bool swapped = transpose != CUBLAS_OP_N;
    return data[i * stride + (swapped ? column + row * leading : row + column * leading)];
  }
};

template <typename T>
struct Product {
  int64_t m, n, k, batch;
  T alpha, beta;
  Operand<const T> a, b;
  Operand<T> c;
  bool tf32;
};

// To nearest with the 10 explicit bits of TF32's significand.
float rounded(float value, bool tf32) {
  if (!tf32 || !std::isfinite(value)) return value;
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  bits = (bits + 0xFFF + ((bits >> 13) & 1)) & ~uint32_t{0x1FFF};
  std::memcpy(&value, &bits, sizeof(bits));
  return value;
}
double rounded(double value, bool /*tf32*/) { return value; }

// Column-major op(x), contiguous and rounded as the product takes it.
template <typename T>
std::vector<T> packed(const Operand<const T>& x, int64_t i, int64_t rows, int64_t columns,
                      bool tf32) {
  std::vector<T> result;
  result.reserve(static_cast<std::size_t>(rows * columns));
  for (int64_t column = 0; column < columns; ++column) {
    for (int64_t row = 0; row < rows; ++row) {
      result.push_back(rounded(x.at(i, row, column), tf32));
    }
  }
  return result;
}

// The reason why a matrix cannot be read or written, as its columns lie in memory.
template <typename T, typename Fault>
std::string fault_of(const Operand<T>& x, int64_t batch, int64_t rows, int64_t columns,
                     const Fault& fault) {
  if (x.transpose != CUBLAS_OP_N) std::swap(rows, columns);
  for (int64_t i = 0; i < batch; ++i) {
    for (int64_t column = 0; column < columns; ++column) {
      const std::string reason = fault(x.data + i * x.stride + column * x.leading,
                                       static_cast<std::size_t>(rows) * sizeof(T));
      if (!reason.empty()) return reason;
    }
  }
  return {};
}

template <typename T>
std::string fault_of_product(const Product<T>& p) {
  std::string reason;
  const auto check = [&reason](const char* what, const std::string& found) {
    if (reason.empty() && !found.empty()) reason = what + found;
  };
  check("reads a at ", fault_of(p.a, p.batch, p.m, p.k, fault_of_reading));
  check("reads b at ", fault_of(p.b, p.batch, p.k, p.n, fault_of_reading));
  check("writes c at ", fault_of(p.c, p.batch, p.m, p.n, fault_of_writing));
  // With beta = 0 it may hold anything.
  if (p.beta != 0) check("reads c at ", fault_of(p.c, p.batch, p.m, p.n, fault_of_reading));
  return reason;
}

template <typename T>
void multiply(const Product<T>& p) {
  const std::string reason = fault_of_product(p);
  if (!reason.empty()) {
    report_asynchronous(cudaErrorIllegalAddress, "a product of cuBLAS " + reason);
    return;
  }
  std::vector<T> sums(static_cast<std::size_t>(p.m));
  for (int64_t i = 0; i < p.batch; ++i) {
    const std::vector<T> a = packed(p.a, i, p.m, p.k, p.tf32);
    const std::vector<T> b = packed(p.b, i, p.k, p.n, p.tf32);
    for (int64_t column = 0; column < p.n; ++column) {
      std::fill(sums.begin(), sums.end(), T{0});
      for (int64_t depth = 0; depth < p.k; ++depth) {
        const T factor = b[static_cast<std::size_t>(column * p.k + depth)];
        const T* const from = a.data() + depth * p.m;
        for (std::size_t row = 0; row < sums.size(); ++row) sums[row] += from[row] * factor;
      }
      T* const to = p.c.data + i * p.c.stride + column * p.c.leading;
      for (std::size_t row = 0; row < sums.size(); ++row) {
        to[row] = p.beta == 0 ? p.alpha * sums[row] : p.alpha * sums[row] + p.beta * to[row];
      }
      mark_valued(to, sums.size() * sizeof(T));
    }
  }
}

template <typename T>
cublasStatus enqueue_product(cublasHandle_t handle, const Product<T>& p) {
  if (!handles.contains(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  const auto rows = [](const auto& operand, int64_t plain, int64_t transposed) {
    return operand.transpose == CUBLAS_OP_N ? plain : transposed;
  };
  const bool valid = p.m >= 0 && p.n >= 0 && p.k >= 0 && p.batch >= 0 &&
                     p.a.leading >= std::max(int64_t{1}, rows(p.a, p.m, p.k)) &&
                     p.b.leading >= std::max(int64_t{1}, rows(p.b, p.k, p.n)) &&
                     p.c.leading >= std::max(int64_t{1}, p.m);
  if (!valid) return CUBLAS_STATUS_INVALID_VALUE;
  const cudaError code = enqueue(handle->stream, [p](int /*device*/) { multiply(p); });
  return code == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // namespace

int64_t live_cublas_handles() { return handles.size(); }

}  // namespace convolt::cuda_host

using namespace convolt::cuda_host;

cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  const Call call("cublasCreate");
  *handle = nullptr;
  if (call.fails()) return call.result(CUBLAS_STATUS_ALLOC_FAILED);
  *handle = handles.add(new cublasContext);
  return call.result(CUBLAS_STATUS_SUCCESS);
}

cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  const Call call("cublasDestroy");
  if (!handles.contains(handle)) return call.result(CUBLAS_STATUS_NOT_INITIALIZED);
  handles.remove(handle);
  return call.result(call.fails() ? CUBLAS_STATUS_EXECUTION_FAILED : CUBLAS_STATUS_SUCCESS);
}

cublasStatus_t cublasGetVersion(cublasHandle_t /*handle*/, int* version) {
  const Call call("cublasGetVersion");
  if (call.fails()) return call.result(CUBLAS_STATUS_EXECUTION_FAILED);
  *version = 130000;
  return call.result(CUBLAS_STATUS_SUCCESS);
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  const Call call("cublasSetStream");
  if (call.fails()) return call.result(CUBLAS_STATUS_EXECUTION_FAILED);
  if (!handles.contains(handle)) return call.result(CUBLAS_STATUS_NOT_INITIALIZED);
  handle->stream = stream;
  return call.result(CUBLAS_STATUS_SUCCESS);
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  const Call call("cublasSetMathMode");
  if (call.fails()) return call.result(CUBLAS_STATUS_EXECUTION_FAILED);
  if (!handles.contains(handle)) return call.result(CUBLAS_STATUS_NOT_INITIALIZED);
  handle->math = mode;
  return call.result(CUBLAS_STATUS_SUCCESS);
}

cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t* mode) {
  const Call call("cublasGetMathMode");
  if (call.fails()) return call.result(CUBLAS_STATUS_EXECUTION_FAILED);
  if (!handles.contains(handle)) return call.result(CUBLAS_STATUS_NOT_INITIALIZED);
  *mode = handle->math;
  return call.result(CUBLAS_STATUS_SUCCESS);
}

const char* cublasGetStatusString(cublasStatus status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      break;
  }
  return "CUBLAS_STATUS_EXECUTION_FAILED";
}

cublasStatus_t cublasSgemmStridedBatched_64(cublasHandle_t handle, cublasOperation_t transpose_a,
                                            cublasOperation_t transpose_b, int64_t m, int64_t n,
                                            int64_t k, const float* alpha, const float* a,
                                            int64_t lda, long long stride_a, const float* b,
                                            int64_t ldb, long long stride_b, const float* beta,
                                            float* c, int64_t ldc, long long stride_c,
                                            int64_t batch) {
  const Call call("cublasSgemmStridedBatched");
  if (call.fails()) return call.result(CUBLAS_STATUS_EXECUTION_FAILED);
  const bool tf32 = handles.contains(handle) && handle->math == CUBLAS_TF32_TENSOR_OP_MATH;
  return call.result_of_work(enqueue_product<float>(handle, {m,
                                                             n,
                                                             k,
                                                             batch,
                                                             *alpha,
                                                             *beta,
                                                             {a, transpose_a, lda, stride_a},
                                                             {b, transpose_b, ldb, stride_b},
                                                             {c, CUBLAS_OP_N, ldc, stride_c},
                                                             tf32}));
}

cublasStatus_t cublasDgemmStridedBatched_64(cublasHandle_t handle, cublasOperation_t transpose_a,
                                            cublasOperation_t transpose_b, int64_t m, int64_t n,
                                            int64_t k, const double* alpha, const double* a,
                                            int64_t lda, long long stride_a, const double* b,
                                            int64_t ldb, long long stride_b, const double* beta,
                                            double* c, int64_t ldc, long long stride_c,
                                            int64_t batch) {
  const Call call("cublasDgemmStridedBatched");
  if (call.fails()) return call.result(CUBLAS_STATUS_EXECUTION_FAILED);
  return call.result_of_work(enqueue_product<double>(handle, {m,
                                                              n,
                                                              k,
                                                              batch,
                                                              *alpha,
                                                              *beta,
                                                              {a, transpose_a, lda, stride_a},
                                                              {b, transpose_b, ldb, stride_b},
                                                              {c, CUBLAS_OP_N, ldc, stride_c},
                                                              false}));
}
