#include <cublas_v2.h>

#include <map>

#include "blas.h"
#include "conv2d.h"
#include "launch.cuh"

namespace convolt::cuda {
namespace {

void check_blas(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  if (status == CUBLAS_STATUS_ALLOC_FAILED) throw std::bad_alloc();
  throw Error(std::string(what) + ": " + cublasGetStatusString(status));
}

// For all of what cuBLAS does NVIDIA recommends 32 MiB from compute capability 9.0 on, and 4 MiB
// before.
int64_t recommended_workspace(int device) {
  return int64_t{device_properties(device).major >= 9 ? 32 : 4} << 20;
}

// A handle belongs to the device that was current when it was made, and to one thread at a time.
class Handle {
 public:
  explicit Handle(int device) : most_workspace_(recommended_workspace(device)) {
    check_blas(cublasCreate(&handle_), "cublasCreate");
  }
  ~Handle() { static_cast<void>(cublasDestroy(handle_) == CUBLAS_STATUS_SUCCESS); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  cublasHandle_t get() const { return handle_; }

  // What a product may use beside its operands, handed over with each one in the order of the
  // stream: from its own pool cuBLAS would not give the same bits with two streams at work. It
  // serves splits of a long reduction, 64 of which are enough; 16 KiB is the least that it asks
  // for.
  int64_t workspace_bytes(int64_t result_bytes) const {
    return std::min((int64_t{16} << 10) + 64 * result_bytes, most_workspace_);
  }

 private:
  cublasHandle_t handle_ = nullptr;
  int64_t most_workspace_;
};

const Handle& handle_of_thread() {
  thread_local std::map<int, Handle> handles;
  const int device = current_device();
  return handles.try_emplace(device, device).first->second;
}

cublasStatus_t strided_batched(cublasHandle_t handle, cublasOperation_t op_a,
                               cublasOperation_t op_b, int64_t m, int64_t n, int64_t k,
                               const float* alpha, const Matrix<const float>& a,
                               const Matrix<const float>& b, const float* beta,
                               const Matrix<float>& c, int64_t batch) {
  return cublasSgemmStridedBatched_64(handle, op_a, op_b, m, n, k, alpha, a.data, a.leading,
                                      a.stride, b.data, b.leading, b.stride, beta, c.data,
                                      c.leading, c.stride, batch);
}

cublasStatus_t strided_batched(cublasHandle_t handle, cublasOperation_t op_a,
                               cublasOperation_t op_b, int64_t m, int64_t n, int64_t k,
                               const double* alpha, const Matrix<const double>& a,
                               const Matrix<const double>& b, const double* beta,
                               const Matrix<double>& c, int64_t batch) {
  return cublasDgemmStridedBatched_64(handle, op_a, op_b, m, n, k, alpha, a.data, a.leading,
                                      a.stride, b.data, b.leading, b.stride, beta, c.data,
                                      c.leading, c.stride, batch);
}

template <typename T>
constexpr const char* kProductName = "cublasSgemmStridedBatched";
template <>
constexpr const char* kProductName<double> = "cublasDgemmStridedBatched";

template <typename T>
__global__ void zero_matrices(int64_t m, int64_t n, int64_t batch, Matrix<T> c) {
  for (int64_t i = first_element(); i < batch * m * n; i += all_threads()) {
    const int64_t row = i / n;
    c.data[row / m * c.stride + row % m * c.leading + i % n] = T{0};
  }
}

}  // namespace

template <typename T>
void multiply(int64_t m, int64_t n, int64_t k, const Matrix<const T>& a, const Matrix<const T>& b,
              const Matrix<T>& c, bool accumulate, int64_t batch) {
  if (m == 0 || n == 0 || batch == 0) return;
  if (k == 0) {
    if (accumulate) return;
    return launch("zero_matrices", zero_matrices<T>, grid_of_threads(batch * m * n), m, n, batch,
                  c);
  }
  const Handle& handle = handle_of_thread();
  const int64_t bytes = handle.workspace_bytes(m * n * batch * static_cast<int64_t>(sizeof(T)));
  const Scratch<unsigned char> workspace(bytes);
  check_blas(cublasSetStream(handle.get(), current_stream()), "cublasSetStream");
  check_blas(cublasSetWorkspace(handle.get(), workspace.data(), static_cast<std::size_t>(bytes)),
             "cublasSetWorkspace");
  const bool tf32 = std::is_same_v<T, float> && tf32_allowed();
  check_blas(
      cublasSetMathMode(handle.get(), tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH),
      "cublasSetMathMode");
  // Row by row in memory is column by column of the transpose, and c^T = b^T a^T.
  const auto operation = [](const Matrix<const T>& matrix) {
    return matrix.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  };
  const T one = 1, before = accumulate ? 1 : 0;
  check_blas(strided_batched(handle.get(), operation(b), operation(a), n, m, k, &one, b, a, &before,
                             c, batch),
             kProductName<T>);
}

int cublas_version() {
  int version = 0;
  check_blas(cublasGetVersion(handle_of_thread().get(), &version), "cublasGetVersion");
  return version;
}

template void multiply(int64_t, int64_t, int64_t, const Matrix<const float>&,
                       const Matrix<const float>&, const Matrix<float>&, bool, int64_t);
template void multiply(int64_t, int64_t, int64_t, const Matrix<const double>&,
                       const Matrix<const double>&, const Matrix<double>&, bool, int64_t);

}  // namespace convolt::cuda
