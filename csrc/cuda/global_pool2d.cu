// Pooling of whole planes. A plane is the work of 1 to kThreads threads beside each other, by its
// size alone, and a block has as many planes as it has room for: small ones, as at the end of most
// networks, would leave a block each to wait for its barriers. What the threads have is combined
// by a tree in shared memory. Bound by memory, but for few and large planes, each in one
// multiprocessor.
#include "../kernels/extremum_rule.h"
#include "pool2d.cuh"
#include "pool2d.h"

namespace convolt::cuda {
namespace {

// Threads of a plane, a power of two: each has at least one pixel, and four where there are many
// planes to a block.
unsigned lanes_of_plane(int64_t pixels) {
  constexpr int64_t kPixelsPerLane = 4;
  unsigned lanes = 1;
  while (lanes < kThreads && 2 * lanes * kPixelsPerLane <= pixels) lanes *= 2;
  return lanes;
}

// For each run of `lanes` threads what their values combine to, in an order that `lanes` alone
// decides. All threads of the block call it; `shared` has room for a value of each, and may be used
// again by the next call.
template <typename Value, typename Combine>
__device__ Value combine_lanes(Value value, unsigned lanes, const Combine& combine, Value* shared) {
  const unsigned thread = threadIdx.x, lane = thread % lanes;
  shared[thread] = value;
  __syncthreads();
  for (unsigned half = lanes / 2; half > 0; half /= 2) {
    if (lane < half) shared[thread] = combine(shared[thread], shared[thread + half]);
    __syncthreads();
  }
  const Value result = shared[thread - lane];
  __syncthreads();
  return result;
}

// Calls f(plane, lane) for all planes, in every thread of the block; beyond the last, too, for
// there may be barriers.
template <typename F>
__device__ void for_planes(int64_t planes, unsigned lanes, const F& f) {
  const int64_t at_once = kThreads / lanes;
  for (int64_t first = blockIdx.x * at_once; first < planes; first += gridDim.x * at_once) {
    f(first + threadIdx.x / lanes, threadIdx.x % lanes);
  }
}

Grid grid_of_planes(int64_t planes, unsigned lanes) {
  return grid_of_blocks(ceil_div(planes, kThreads / lanes));
}

template <typename T>
__global__ void __launch_bounds__(kThreads, kResidentBlocks)
    plane_means(int64_t planes, int64_t pixels, unsigned lanes, const T* __restrict__ x,
                T* __restrict__ y) {
  __shared__ T shared[kThreads];
  for_planes(planes, lanes, [&](int64_t plane, unsigned lane) {
    T sum{0};
    if (plane < planes) {
#pragma unroll 4
      for (int64_t i = lane; i < pixels; i += lanes) sum += x[plane * pixels + i];
    }
    const auto add = [](T a, T b) { return a + b; };
    const T total = combine_lanes(sum, lanes, add, shared);
    if (plane < planes && lane == 0) y[plane] = total / static_cast<T>(pixels);
  });
}

template <typename T>
struct Candidate {
  T value;
  int64_t index;
};

// The first of equal elements and the first NaN win, in whatever order candidates meet.
struct BestOf {
  template <typename T>
  __device__ Candidate<T> operator()(const Candidate<T>& a, const Candidate<T>& b) const {
    if (replaces<false>(b.value, a.value)) return b;
    if (replaces<false>(a.value, b.value)) return a;
    return a.index < b.index ? a : b;
  }
};

template <typename T>
__global__ void __launch_bounds__(kThreads, kResidentBlocks)
    plane_maxima(int64_t planes, int64_t pixels, unsigned lanes, const T* __restrict__ x,
                 T* __restrict__ y, int64_t* __restrict__ indices) {
  __shared__ Candidate<T> shared[kThreads];
  for_planes(planes, lanes, [&](int64_t plane, unsigned lane) {
    Candidate<T> best{T{0}, 0};
    if (plane < planes) {
      const T* const pixel = x + plane * pixels;
      best = {pixel[lane], lane};
#pragma unroll 4
      for (int64_t i = lane + lanes; i < pixels; i += lanes) {
        if (replaces<false>(pixel[i], best.value)) best = {pixel[i], i};
      }
    }
    best = combine_lanes(best, lanes, BestOf(), shared);
    if (plane < planes && lane == 0) {
      y[plane] = best.value;
      if (indices != nullptr) indices[plane] = best.index;
    }
  });
}

template <typename T>
__global__ void __launch_bounds__(kThreads, kResidentBlocks)
    spread_means(PlaneWalk walk, const T* __restrict__ dy, T* __restrict__ dx) {
  const T pixels = static_cast<T>(walk.extents[2]);
  visit_points(walk, [&](const PlanePoint& at) { dx[at.element] = dy[at.plane] / pixels; });
}

}  // namespace

template <typename T>
void global_avg_pool2d_forward(int64_t planes, int64_t pixels, const T* x, T* y) {
  const unsigned lanes = lanes_of_plane(pixels);
  launch("plane_means", &plane_means<T>, grid_of_planes(planes, lanes), planes, pixels, lanes, x,
         y);
}

template <typename T>
void global_avg_pool2d_backward(int64_t planes, int64_t pixels, const T* dy, T* dx) {
  launch_walk("spread_means", &spread_means<T>, PlaneExtents{planes, 1, pixels}, dy, dx);
}

template <typename T>
void global_max_pool2d_forward(int64_t planes, int64_t pixels, const T* x, T* y, int64_t* indices) {
  const unsigned lanes = lanes_of_plane(pixels);
  launch("plane_maxima", &plane_maxima<T>, grid_of_planes(planes, lanes), planes, pixels, lanes, x,
         y, indices);
}

template void global_avg_pool2d_forward(int64_t, int64_t, const float*, float*);
template void global_avg_pool2d_forward(int64_t, int64_t, const double*, double*);
template void global_avg_pool2d_backward(int64_t, int64_t, const float*, float*);
template void global_avg_pool2d_backward(int64_t, int64_t, const double*, double*);
template void global_max_pool2d_forward(int64_t, int64_t, const float*, float*, int64_t*);
template void global_max_pool2d_forward(int64_t, int64_t, const double*, double*, int64_t*);

}  // namespace convolt::cuda
