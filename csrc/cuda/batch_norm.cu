// A block has a piece of a channel, over whose planes its threads walk. Sums are in T for as many
// elements as a thread has of a piece and in double from there on: rounding errors are those of 16
// terms, however large the batch.
//
// Memory-bound: forward reads x three times and writes y, backward reads dy and x twice and writes
// dx, loads of 4 bytes with 4 of a thread in flight: 75-85 % of the bandwidth expected where a row
// of memory is not shared by many planes.
#include <algorithm>
#include <cmath>

#include "block_reduce.cuh"
#include "norm.h"

namespace convolt::cuda {
namespace {

constexpr int64_t kPiece = kChain * kThreads;

// The elements of each channel: those of a plane of each image, in so many pieces.
struct Channels {
  int64_t count, pixels, elements, pieces;

  explicit Channels(const Shape4& shape)
      : count(shape[1]),
        pixels(shape[2] * shape[3]),
        elements(shape[0] * pixels),
        pieces(ceil_div(elements, kPiece)) {}

  int64_t tasks() const { return count * pieces; }
  // What sums are divided by. An empty batch has no pieces, and sums of 0.
  double divisor() const { return static_cast<double>(std::max<int64_t>(elements, 1)); }

  // Calls f(offset) for the elements of this thread in a piece of a channel, in steps that need no
  // division.
  template <typename F>
  __device__ void for_each_element(int64_t channel, int64_t piece, const F& f) const {
    const int64_t begin = piece * kPiece + threadIdx.x, limit = (piece + 1) * kPiece;
    const int64_t end = limit < elements ? limit : elements;
    const int64_t pitch = count * pixels;
    const int64_t step = kThreads / pixels * pitch + kThreads % pixels;
    int64_t pixel = begin % pixels;
    int64_t offset = begin / pixels * pitch + channel * pixels + pixel;
#pragma unroll 4
    for (int64_t i = begin; i < end; i += kThreads) {
      f(offset);
      offset += step;
      pixel += kThreads % pixels;
      if (pixel >= pixels) {
        pixel -= pixels;
        offset += pitch - pixels;
      }
    }
  }
};

// What is added up over a channel: Values, Squares, Gradients add the terms of an element to sums.
template <typename T>
struct Values {
  static constexpr int kSums = 1;
  const T* __restrict__ x;
  __device__ void add(int64_t, int64_t at, T (&sums)[kSums]) const { sums[0] += x[at]; }
};

// Of the differences from the mean, which are taken first: sums of squares that only then lose
// their common part would leave little of it.
template <typename T>
struct Squares {
  static constexpr int kSums = 1;
  const T* __restrict__ x;
  const T* __restrict__ mean;
  __device__ void add(int64_t channel, int64_t at, T (&sums)[kSums]) const {
    const T centered = x[at] - mean[channel];
    sums[0] += centered * centered;
  }
};

template <typename T>
struct Gradients {
  static constexpr int kSums = 2;
  const T* __restrict__ dy;
  const T* __restrict__ x;
  const T* __restrict__ mean;
  __device__ void add(int64_t channel, int64_t at, T (&sums)[kSums]) const {
    sums[0] += dy[at];
    sums[1] += dy[at] * (x[at] - mean[channel]);
  }
};

// partial[sum, channel, piece]
template <typename T, typename Terms>
__global__ void __launch_bounds__(kThreads, kBlocksAtOnce)
    sum_pieces_kernel(Channels channels, int64_t tasks, Terms terms, double* __restrict__ partial) {
  __shared__ double shared[kThreads];
  for (int64_t task = blockIdx.x; task < tasks; task += gridDim.x) {
    const int64_t channel = task / channels.pieces;
    T sums[Terms::kSums] = {};
    channels.for_each_element(channel, task % channels.pieces,
                              [&](int64_t at) { terms.add(channel, at, sums); });
#pragma unroll
    for (int s = 0; s < Terms::kSums; ++s) {
      const double total = block_sum<double>(sums[s], shared);
      if (threadIdx.x == 0) partial[s * tasks + task] = total;
    }
  }
}

// Of the pieces of a channel, by a block.
__device__ double channel_total(const double* partial, int64_t pieces, double* shared) {
  double total = 0;
  for (int64_t piece = threadIdx.x; piece < pieces; piece += kThreads) total += partial[piece];
  return block_sum(total, shared);
}

template <typename T>
__global__ void __launch_bounds__(kThreads, kBlocksAtOnce)
    averages_kernel(int64_t channels, int64_t pieces, double divisor,
                    const double* __restrict__ partial, T* __restrict__ averages) {
  __shared__ double shared[kThreads];
  for (int64_t c = blockIdx.x; c < channels; c += gridDim.x) {
    const double total = channel_total(partial + c * pieces, pieces, shared);
    if (threadIdx.x == 0) averages[c] = static_cast<T>(total / divisor);
  }
}

template <typename T>
__device__ T inverse_deviation(const BatchNorm<T>& norm, const T* var, int64_t channel) {
  return 1 / std::sqrt(var[channel] + norm.eps);
}

template <typename T>
__device__ T slope(const BatchNorm<T>& norm, T scale, int64_t channel) {
  return norm.weight == nullptr ? scale : norm.weight[channel] * scale;
}

template <typename T>
__global__ void __launch_bounds__(kThreads, kBlocksAtOnce)
    normalize_kernel(BatchNorm<T> norm, Channels channels, int64_t tasks,
                     const T* __restrict__ mean, const T* __restrict__ var, T* __restrict__ y) {
  const T* __restrict__ const x = norm.x;
  for (int64_t task = blockIdx.x; task < tasks; task += gridDim.x) {
    const int64_t c = task / channels.pieces;
    const T center = mean[c], scale = slope(norm, inverse_deviation(norm, var, c), c);
    const T shift = norm.bias == nullptr ? T{0} : norm.bias[c];
    channels.for_each_element(c, task % channels.pieces,
                              [&](int64_t at) { y[at] = (x[at] - center) * scale + shift; });
  }
}

// From the sums over dy and over dy * (x - mean).
template <typename T>
__global__ void __launch_bounds__(kThreads, kBlocksAtOnce)
    parameter_gradients_kernel(BatchNorm<T> norm, Channels channels, int64_t tasks,
                               const double* __restrict__ partial, const T* __restrict__ var,
                               T* __restrict__ dweight, T* __restrict__ dbias) {
  __shared__ double shared[kThreads];
  for (int64_t c = blockIdx.x; c < channels.count; c += gridDim.x) {
    const double* const pieces = partial + c * channels.pieces;
    const double sum = channel_total(pieces, channels.pieces, shared);
    const double product = channel_total(pieces + tasks, channels.pieces, shared);
    if (threadIdx.x != 0) continue;
    dbias[c] = static_cast<T>(sum);
    dweight[c] = static_cast<T>(product) * inverse_deviation(norm, var, c);
  }
}

// dx = (dy - average(dy) - z * average(dy * z)) * slope, where z = (x - mean) * scale.
template <typename T>
__global__ void __launch_bounds__(kThreads, kBlocksAtOnce)
    normalize_backward_kernel(BatchNorm<T> norm, Channels channels, int64_t tasks, T divisor,
                              const T* __restrict__ dy, const T* __restrict__ mean,
                              const T* __restrict__ var, const T* __restrict__ dweight,
                              const T* __restrict__ dbias, T* __restrict__ dx) {
  const T* __restrict__ const x = norm.x;
  for (int64_t task = blockIdx.x; task < tasks; task += gridDim.x) {
    const int64_t c = task / channels.pieces;
    const T center = mean[c], scale = inverse_deviation(norm, var, c);
    const T dy_mean = norm.of_batch ? dbias[c] / divisor : T{0};
    const T x_slope = norm.of_batch ? dweight[c] / divisor * scale : T{0};
    const T dx_slope = slope(norm, scale, c);
    channels.for_each_element(c, task % channels.pieces, [&](int64_t at) {
      dx[at] = (dy[at] - dy_mean - (x[at] - center) * x_slope) * dx_slope;
    });
  }
}

// A block for each piece of each channel.
template <typename T, typename Terms>
Scratch<double> sums_of_pieces(const Channels& channels, const Terms& terms) {
  const int64_t tasks = channels.tasks();
  Scratch<double> partial(Terms::kSums * tasks);
  launch("sum_pieces", sum_pieces_kernel<T, Terms>, grid_of_blocks(tasks), channels, tasks, terms,
         partial.data());
  return partial;
}

template <typename T, typename Terms>
void average(const Channels& channels, const Terms& terms, T* averages) {
  const Scratch<double> partial = sums_of_pieces<T>(channels, terms);
  launch("averages", averages_kernel<T>, grid_of_blocks(channels.count), channels.count,
         channels.pieces, channels.divisor(), partial.data(), averages);
}

}  // namespace

template <typename T>
void batch_norm_forward(const BatchNorm<T>& norm, T* mean, T* var, T* y) {
  const Channels channels(norm.shape);
  if (norm.of_batch) {
    average(channels, Values<T>{norm.x}, mean);
    average(channels, Squares<T>{norm.x, mean}, var);
  }
  launch("normalize", normalize_kernel<T>, grid_of_blocks(channels.tasks()), norm, channels,
         channels.tasks(), mean, var, y);
}

template <typename T>
void batch_norm_backward(const BatchNorm<T>& norm, const T* dy, const T* mean, const T* var, T* dx,
                         T* dweight, T* dbias) {
  const Channels channels(norm.shape);
  const int64_t tasks = channels.tasks();
  const Scratch<double> partial = sums_of_pieces<T>(channels, Gradients<T>{dy, norm.x, mean});
  launch("parameter_gradients", parameter_gradients_kernel<T>, grid_of_blocks(channels.count), norm,
         channels, tasks, partial.data(), var, dweight, dbias);
  launch("normalize_backward", normalize_backward_kernel<T>, grid_of_blocks(tasks), norm, channels,
         tasks, static_cast<T>(channels.divisor()), dy, mean, var, dweight, dbias, dx);
}

template void batch_norm_forward(const BatchNorm<float>&, float*, float*, float*);
template void batch_norm_forward(const BatchNorm<double>&, double*, double*, double*);
template void batch_norm_backward(const BatchNorm<float>&, const float*, const float*, const float*,
                                  float*, float*, float*);
template void batch_norm_backward(const BatchNorm<double>&, const double*, const double*,
                                  const double*, double*, double*, double*);

}  // namespace convolt::cuda
