// All of it is bound by memory, with a few instructions for each element.
#include "bias.h"
#include "block_sum.cuh"
#include "conv2d.h"
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

// A block for each channel and part of its elements (n, pixel).
template <typename T>
__global__ void sum_channels(Walk<2> walk, int64_t channels, Parts parts, const T* dy, T* partial) {
  __shared__ T sums[1][kThreads];
  for (int64_t piece = blockIdx.x; piece < parts.count * channels; piece += gridDim.x) {
    const int64_t channel = piece % channels, part = piece / channels;
    T sum = 0;
    walk_elements(walk, parts.begin(part) + threadIdx.x, parts.end(part), kThreads,
                  [&](int64_t, const Index<2>& index) {
                    sum += dy[(index[0] * channels + channel) * walk.extents[1] + index[1]];
                  });
    sums[0][threadIdx.x] = sum;
    add_over_block(sums);
    if (threadIdx.x == 0) partial[piece] = sums[0][0];
    __syncthreads();
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
  const Walk<2> walk = make_walk(std::array{shape[0], shape[2] * shape[3]}, kThreads);
  const Parts parts = parts_of(walk.count);
  sum_in_parts(shape[1], parts.count, dbias, [&](T* partial) {
    launch("sum_channels", sum_channels<T>, grid_of_blocks(parts.count * shape[1]), walk, shape[1],
           parts, dy, partial);
  });
}

template void add_bias(const Shape4&, const float*, bool, float*);
template void add_bias(const Shape4&, const double*, bool, double*);
template void relu_backward(const float*, const float*, int64_t, float*);
template void relu_backward(const double*, const double*, int64_t, double*);
template void conv2d_backward_bias(const Shape4&, const float*, float*);
template void conv2d_backward_bias(const Shape4&, const double*, double*);

}  // namespace convolt::cuda
