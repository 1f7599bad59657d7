// All of it is bound by memory, with a few instructions for each element.
#include "bias.h"
#include "conv2d.h"
#include "elementwise.h"
#include "epilogue.cuh"
#include "walk.cuh"

namespace convolt::cuda {
namespace {

template <typename T>
__global__ void finish_elements(Walk<3> walk, const T* bias, bool relu, T* y) {
  walk_elements(walk, [&](int64_t i, const Index<3>& index) {  // (n, c, pixel)
    y[i] = finish(y[i], bias_of(bias, index[1]), relu);
  });
}

// Selects; a product with a mask would make NaN of an infinite gradient. A NaN of y is no zero and
// lets the gradient through.
template <typename T>
__global__ void select_gradient(int64_t count, const T* dy, const T* y, T* dx) {
  for (int64_t i = first_element(); i < count; i += all_threads()) {
    dx[i] = y[i] <= T{0} ? T{0} : dy[i];
  }
}

}  // namespace

template <typename T>
void add_bias(const Shape4& shape, const T* bias, bool relu, T* y) {
  launch_walk("finish_elements", finish_elements<T>,
              std::array{shape[0], shape[1], shape[2] * shape[3]}, bias, relu, y);
}

template <typename T>
void relu_backward(const T* dy, const T* y, int64_t count, T* dx) {
  launch("select_gradient", select_gradient<T>, grid_of_threads(count), count, dy, y, dx);
}

template <typename T>
void conv2d_backward_bias(const Shape4& shape, const T* dy, T* dbias) {
  const int64_t planes = shape[0] * shape[1];
  const Scratch<T> of_planes(planes);
  sum(planes, shape[2] * shape[3], 1, dy, of_planes.data());
  sum(1, shape[0], shape[1], of_planes.data(), dbias);
}

template void add_bias(const Shape4&, const float*, bool, float*);
template void add_bias(const Shape4&, const double*, bool, double*);
template void relu_backward(const float*, const float*, int64_t, float*);
template void relu_backward(const double*, const double*, int64_t, double*);
template void conv2d_backward_bias(const Shape4&, const float*, float*);
template void conv2d_backward_bias(const Shape4&, const double*, double*);

}  // namespace convolt::cuda
