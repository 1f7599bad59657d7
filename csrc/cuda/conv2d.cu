#include <atomic>

#include "columns.h"
#include "conv2d.h"
#include "direct.h"
#include "implicit_gemm.h"
#include "kernel_choice.h"

namespace convolt::cuda {
namespace {

std::atomic<bool> tf32{false};

void require_supported(const char* function, Algorithm algorithm) {
  if (!is_winograd(algorithm)) return;
  throw std::invalid_argument(std::string(function) +
                              ": algorithm must be 'auto' or 'gemm' on a CUDA device, got one of "
                              "Winograd's");
}

}  // namespace

void allow_tf32(bool allowed) { tf32 = allowed; }
bool tf32_allowed() { return tf32; }

template <typename T>
void conv2d_forward(const Conv2dProblem& problem, Algorithm algorithm, const T* x, const T* weight,
                    const T* bias, bool relu, T* y) {
  require_supported("conv2d", algorithm);
  switch (choose_kernels<T>(problem, Pass::kForward, algorithm)) {
    case Kernels::kAuto:  // never chosen
    case Kernels::kImplicitGemm:
      return implicit_gemm_forward(problem, x, weight, bias, relu, y);
    case Kernels::kColumns:
      return columns_forward(problem, x, weight, bias, relu, y);
    case Kernels::kDirect:
      return direct_forward(problem, x, weight, bias, relu, y);
  }
}

template <typename T>
void conv2d_backward_data(const Conv2dProblem& problem, Algorithm algorithm, const T* dy,
                          const T* weight, const T* bias, T* dx) {
  require_supported("conv2d_backward", algorithm);
  switch (choose_kernels<T>(problem, Pass::kBackwardData, algorithm)) {
    case Kernels::kAuto:
    case Kernels::kImplicitGemm:
      return implicit_gemm_backward_data(problem, dy, weight, bias, dx);
    case Kernels::kColumns:
      return columns_backward_data(problem, dy, weight, bias, dx);
    case Kernels::kDirect:
      return direct_backward_data(problem, dy, weight, bias, dx);
  }
}

template <typename T>
void conv2d_backward_weights(const Conv2dProblem& problem, Algorithm algorithm, const T* dy,
                             const T* x, T* dweight, T* dbias) {
  require_supported("conv2d_backward", algorithm);
  if (dbias != nullptr) conv2d_backward_bias(problem.output_shape(), dy, dbias);
  switch (choose_kernels<T>(problem, Pass::kBackwardWeights, algorithm)) {
    case Kernels::kAuto:
    case Kernels::kImplicitGemm:
      return implicit_gemm_backward_weights(problem, dy, x, dweight);
    case Kernels::kColumns:
      return columns_backward_weights(problem, dy, x, dweight);
    case Kernels::kDirect:
      return direct_backward_weights(problem, dy, x, dweight);
  }
}

template void conv2d_forward(const Conv2dProblem&, Algorithm, const float*, const float*,
                             const float*, bool, float*);
template void conv2d_forward(const Conv2dProblem&, Algorithm, const double*, const double*,
                             const double*, bool, double*);
template void conv2d_backward_data(const Conv2dProblem&, Algorithm, const float*, const float*,
                                   const float*, float*);
template void conv2d_backward_data(const Conv2dProblem&, Algorithm, const double*, const double*,
                                   const double*, double*);
template void conv2d_backward_weights(const Conv2dProblem&, Algorithm, const float*, const float*,
                                      float*, float*);
template void conv2d_backward_weights(const Conv2dProblem&, Algorithm, const double*, const double*,
                                      double*, double*);

}  // namespace convolt::cuda
