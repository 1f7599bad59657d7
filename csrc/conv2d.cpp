#include "conv2d.h"

#include <algorithm>

#include "depthwise.h"
#include "implicit_gemm.h"
#include "isa.h"
#include "parallel.h"
#include "plan.h"
#include "winograd.h"

namespace convolt {
namespace {

template <typename T>
void forward(const Conv2dProblem& problem, Algorithm algorithm, const T* x, const T* weight,
             const PreparedWeight<T>* prepared, const T* bias, bool relu, T* y) {
  switch (plan<T>(problem, Pass::kForward, algorithm, prepared != nullptr)) {
    case Algorithm::kAuto:
    case Algorithm::kGemm:
      return gemm_forward(without_window(problem), x, weight, prepared, bias, relu, y);
    case Algorithm::kDepthwise:
      return depthwise_forward(problem, x, weight, bias, relu, y);
    case Algorithm::kWinograd2x2:
      return winograd_forward(problem, 2, x, weight, prepared, bias, relu, y);
    case Algorithm::kWinograd:  // in no pass: plan() makes it the one or the other
    case Algorithm::kWinograd4x4:
      return winograd_forward(problem, 4, x, weight, prepared, bias, relu, y);
  }
}

}  // namespace

template <typename T>
void conv2d_forward(const Conv2dProblem& problem, Algorithm algorithm, const T* x, const T* weight,
                    const T* bias, bool relu, T* y) {
  forward<T>(problem, algorithm, x, weight, nullptr, bias, relu, y);
}

template <typename T>
void conv2d_forward(const Conv2dProblem& problem, Algorithm algorithm, const T* x,
                    const PreparedWeight<T>& weight, const T* bias, bool relu, T* y) {
  forward<T>(problem, algorithm, x, weight.data(), &weight, bias, relu, y);
}

template <typename T>
void conv2d_backward_data(const Conv2dProblem& problem, Algorithm algorithm, const T* dy,
                          const T* weight, const T* bias, T* dx) {
  switch (plan<T>(problem, Pass::kBackwardData, algorithm)) {
    case Algorithm::kAuto:
    case Algorithm::kGemm:
      // With a bias it is a transposed convolution, whose bias is that of a channel.
      return gemm_backward_data(bias == nullptr ? without_window(problem) : problem, dy, weight,
                                bias, dx);
    case Algorithm::kDepthwise:
      return depthwise_backward_data(problem, dy, weight, bias, dx);
    case Algorithm::kWinograd2x2:
      return winograd_backward_data(problem, 2, dy, weight, bias, dx);
    case Algorithm::kWinograd:
    case Algorithm::kWinograd4x4:
      return winograd_backward_data(problem, 4, dy, weight, bias, dx);
  }
}

template <typename T>
void conv2d_backward_weights(const Conv2dProblem& problem, Algorithm algorithm, const T* dy,
                             const T* x, T* dweight, T* dbias) {
  const Algorithm chosen = plan<T>(problem, Pass::kBackwardWeights, algorithm);
  const Conv2dProblem product = without_window(problem);
  const bool in_product = chosen == Algorithm::kGemm && gemm_has_room_for_bias<T>(product);
  if (dbias != nullptr && !in_product) conv2d_backward_bias(problem.output_shape(), dy, dbias);
  switch (chosen) {
    case Algorithm::kAuto:
    case Algorithm::kGemm:
      return gemm_backward_weights(product, dy, x, dweight, in_product ? dbias : nullptr);
    case Algorithm::kWinograd:
    case Algorithm::kWinograd2x2:
    case Algorithm::kWinograd4x4:
      return winograd_backward_weights(problem, dy, x, dweight);
    case Algorithm::kDepthwise:
      return depthwise_backward_weights(problem, dy, x, dweight);
  }
}

template <typename T>
void relu_backward(const T* dy, const T* y, int64_t count, T* dx) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  constexpr int64_t kBlock = int64_t{1} << 15;
  parallel_for(
      ceil_div(count, kBlock), threads_for(static_cast<double>(count)), [&](int64_t block, int) {
        const int64_t first = block * kBlock;
        kernels.relu_backward(dy + first, y + first, std::min(kBlock, count - first), dx + first);
      });
}

template <typename T>
void conv2d_backward_bias(const Shape4& shape, const T* dy, T* dbias) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  const int64_t pixels = shape[2] * shape[3];
  const ChannelPlanes planes = {shape[0], shape[1] * pixels, pixels};
  const int threads = threads_for(static_cast<double>(shape[0] * shape[1] * pixels));
  parallel_for(shape[1], threads, [&](int64_t channel, int) {
    dbias[channel] = static_cast<T>(kernels.channel_sum(dy + channel * pixels, planes));
  });
}

template void conv2d_forward(const Conv2dProblem&, Algorithm, const float*, const float*,
                             const float*, bool, float*);
template void conv2d_forward(const Conv2dProblem&, Algorithm, const double*, const double*,
                             const double*, bool, double*);
template void conv2d_forward(const Conv2dProblem&, Algorithm, const float*,
                             const PreparedWeight<float>&, const float*, bool, float*);
template void conv2d_forward(const Conv2dProblem&, Algorithm, const double*,
                             const PreparedWeight<double>&, const double*, bool, double*);
template void conv2d_backward_data(const Conv2dProblem&, Algorithm, const float*, const float*,
                                   const float*, float*);
template void conv2d_backward_data(const Conv2dProblem&, Algorithm, const double*, const double*,
                                   const double*, double*);
template void conv2d_backward_weights(const Conv2dProblem&, Algorithm, const float*, const float*,
                                      float*, float*);
template void conv2d_backward_weights(const Conv2dProblem&, Algorithm, const double*, const double*,
                                      double*, double*);
template void relu_backward(const float*, const float*, int64_t, float*);
template void relu_backward(const double*, const double*, int64_t, double*);
template void conv2d_backward_bias(const Shape4&, const float*, float*);
template void conv2d_backward_bias(const Shape4&, const double*, double*);

}  // namespace convolt
