// A thread has a pixel and some channels of it, one after the other; its neighbours have the pixels
// beside. The channels around each are read again for each, from L1, where the rows of a warp stay
// between one channel and the next: they take 128 bytes a channel, with the usual 5 channels 40 KB
// for a full multiprocessor. From memory an element comes 1 + (size - 1) / kChannels times: 60-70 %
// of the bandwidth expected for size 5.
#include <algorithm>
#include <cmath>

#include "launch.cuh"
#include "norm.h"

namespace convolt::cuda {
namespace {

constexpr int64_t kChannels = 8;

// Calls f(offset of channel 0 at a pixel, channel) for what a thread has.
template <typename F>
__device__ void for_each_channel(int64_t images, int64_t channels, int64_t pixels, const F& f) {
  const int64_t parts = ceil_div(channels, kChannels), count = images * parts * pixels;
  for (int64_t i = first_element(); i < count; i += all_threads()) {
    const int64_t part = i / pixels % parts, image = i / pixels / parts;
    const int64_t begin = part * kChannels, limit = begin + kChannels;
    const int64_t end = limit < channels ? limit : channels;
    for (int64_t c = begin; c < end; ++c) f(image * channels * pixels + i % pixels, c);
  }
}

// Which channels around its own count for a channel, as far as there are such.
struct Neighbours {
  int64_t before, after, channels;
  __device__ int64_t begin(int64_t c) const { return c > before ? c - before : 0; }
  __device__ int64_t end(int64_t c) const {
    return channels - c > after ? c + after + 1 : channels;
  }
};

template <typename T>
struct Base {
  Neighbours neighbours;
  int64_t pixels;
  T factor, k;

  __device__ T operator()(const T* x, int64_t c) const {
    T squares = 0;
    for (int64_t i = neighbours.begin(c); i < neighbours.end(c); ++i) {
      squares += x[i * pixels] * x[i * pixels];
    }
    return squares * factor + k;
  }
};

// The exponent of the paper takes two roots, a fraction of what pow() takes.
template <typename T>
__device__ T inverse_power(T base, T beta) {
  if (beta != T{0.75}) return std::pow(base, -beta);
  const T root = std::sqrt(base);
  return 1 / (root * std::sqrt(root));
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(int64_t images, Base<T> base, T beta, const T* __restrict__ x,
                   T* __restrict__ y) {
  for_each_channel(images, base.neighbours.channels, base.pixels, [&](int64_t column, int64_t c) {
    const int64_t at = column + c * base.pixels;
    y[at] = x[at] * inverse_power(base(x + column, c), beta);
  });
}

// dx, as far as an element depends on its own x alone, and its share in those around it.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    shares_kernel(int64_t images, Base<T> base, T beta, const T* __restrict__ dy,
                  const T* __restrict__ x, T* __restrict__ dx, T* __restrict__ shares) {
  for_each_channel(images, base.neighbours.channels, base.pixels, [&](int64_t column, int64_t c) {
    const int64_t at = column + c * base.pixels;
    const T b = base(x + column, c);
    dx[at] = dy[at] * inverse_power(b, beta);
    shares[at] = dx[at] / b * x[at];
  });
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    subtract_shares_kernel(int64_t images, Neighbours neighbours, int64_t pixels, T factor,
                           const T* __restrict__ x, const T* __restrict__ shares,
                           T* __restrict__ dx) {
  for_each_channel(images, neighbours.channels, pixels, [&](int64_t column, int64_t c) {
    T sum = 0;
    for (int64_t i = neighbours.begin(c); i < neighbours.end(c); ++i) {
      sum += shares[column + i * pixels];
    }
    const int64_t at = column + c * pixels;
    dx[at] -= sum * x[at] * factor;
  });
}

template <typename T>
Base<T> base_of(const LocalResponse& norm) {
  const Neighbours neighbours = {norm.size / 2, (norm.size - 1) / 2, norm.shape[1]};
  return {neighbours, norm.shape[2] * norm.shape[3],
          static_cast<T>(norm.alpha / static_cast<double>(norm.size)), static_cast<T>(norm.k)};
}

Grid grid_of_images(int64_t images, const Neighbours& neighbours, int64_t pixels) {
  return grid_of_threads(images * ceil_div(neighbours.channels, kChannels) * pixels);
}

}  // namespace

template <typename T>
void local_response_norm_forward(const LocalResponse& norm, const T* x, T* y) {
  const Base<T> base = base_of<T>(norm);
  const int64_t images = norm.shape[0];
  launch("local_response_norm", forward_kernel<T>,
         grid_of_images(images, base.neighbours, base.pixels), images, base,
         static_cast<T>(norm.beta), x, y);
}

// By some images at a time, which bounds the scratch.
template <typename T>
void local_response_norm_backward(const LocalResponse& norm, const T* dy, const T* x, T* dx) {
  constexpr int64_t kScratch = int64_t{1} << 24;
  const Base<T> base = base_of<T>(norm);
  const int64_t batch = norm.shape[0], image = norm.shape[1] * base.pixels;
  if (batch * image == 0) return;
  // A channel is in the sums of those that have it in theirs: the other way around.
  const Neighbours sharers = {base.neighbours.after, base.neighbours.before, norm.shape[1]};
  const T factor = static_cast<T>(2 * norm.alpha * norm.beta / static_cast<double>(norm.size));
  const int64_t most = std::clamp<int64_t>(kScratch / image, 1, batch);
  const Scratch<T> shares(most * image);
  for (int64_t first = 0; first < batch; first += most) {
    const int64_t images = std::min(most, batch - first), offset = first * image;
    const Grid grid = grid_of_images(images, sharers, base.pixels);
    launch("local_response_norm_shares", shares_kernel<T>, grid, images, base,
           static_cast<T>(norm.beta), dy + offset, x + offset, dx + offset, shares.data());
    launch("local_response_norm_backward", subtract_shares_kernel<T>, grid, images, sharers,
           base.pixels, factor, x + offset, shares.data(), dx + offset);
  }
}

template void local_response_norm_forward(const LocalResponse&, const float*, float*);
template void local_response_norm_forward(const LocalResponse&, const double*, double*);
template void local_response_norm_backward(const LocalResponse&, const float*, const float*,
                                           float*);
template void local_response_norm_backward(const LocalResponse&, const double*, const double*,
                                           double*);

}  // namespace convolt::cuda
