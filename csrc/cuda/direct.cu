#include "direct.h"
#include "elementwise.h"
#include "epilogue.cuh"
#include "walk.cuh"
#include "window.cuh"

namespace convolt::cuda {
namespace {

// A thread for each output. Per output of a 3x3 kernel these are some 170 instructions for 8 bytes
// to and from memory (all but one of the taps come from L1); with the 3e13 that an H100 issues in a
// second that is 40% of its bandwidth. So are the two gradients: 160 instructions, 210 with
// stride 2, and 140.
template <typename T, int kKernel>
__global__ void slide_windows(Walk<5> walk, Conv2dProblem problem, const T* x, const T* weight,
                              const T* bias, bool relu, T* y) {
  const Conv2dProblem p = with_kernel<kKernel>(problem);
  const WindowAxis rows = vertical(p), columns = horizontal(p);
  const int64_t filters = p.group_out_channels();
  walk_elements(walk, [&](int64_t i, const Index<5>& index) {  // (n, c, filter of c, oh, ow)
    const auto [n, c, filter, oh, ow] = index.at;
    const T* const plane = x + (n * p.in_channels + c) * p.in_pixels();
    const int64_t oc = c * filters + filter;
    const T* const taps = weight + oc * p.taps();
    T sum = 0;
    for (int64_t kh = 0; kh < p.kernel_h; ++kh) {
      const int64_t ih = rows.input(oh, kh);
      for (int64_t kw = 0; kw < p.kernel_w; ++kw) {
        // Also in the padding: zero times a weight that is not finite is NaN.
        sum += taps[kh * p.kernel_w + kw] * pixel_or_zero(plane, p, ih, columns.input(ow, kw));
      }
    }
    y[i] = finish(sum, bias_of(bias, oc), relu);
  });
}

// A thread for each pixel of dx, which gathers from the outputs whose windows reach it.
template <typename T, int kStride, int kKernel>
__global__ void gather_outputs(Walk<4> walk, Conv2dProblem problem, const T* dy, const T* weight,
                               const T* bias, T* dx) {
  const Conv2dProblem p = with_kernel<kKernel>(problem);
  const WindowAxis rows = with_stride<kStride>(vertical(p));
  const WindowAxis columns = with_stride<kStride>(horizontal(p));
  const int64_t filters = p.group_out_channels();
  walk_elements(walk, [&](int64_t i, const Index<4>& index) {  // (n, c, ih, iw)
    const auto [n, c, ih, iw] = index.at;
    T sum = 0;
    for (int64_t filter = 0; filter < filters; ++filter) {
      const int64_t oc = c * filters + filter;
      const T* const plane = dy + (n * p.out_channels + oc) * p.out_pixels();
      const T* const taps = weight + oc * p.taps();
      for (int64_t kh = 0; kh < p.kernel_h; ++kh) {
        const int64_t oh = rows.output(ih, kh);
        if (oh < 0) continue;
        for (int64_t kw = 0; kw < p.kernel_w; ++kw) {
          const int64_t ow = columns.output(iw, kw);
          if (ow >= 0) sum += taps[kh * p.kernel_w + kw] * plane[oh * p.out_w + ow];
        }
      }
    }
    dx[i] = finish(sum, bias_of(bias, c), false);
  });
}

// The elements (n, oh, ow) over which dweight adds up are cut into parts, a block for each, and the
// parts are added up after that. They follow from the shape alone, so that the bits do not depend
// on the grid.
struct Parts {
  int64_t elements, count, size;

  __device__ int64_t begin(int64_t part) const { return part * size; }
  __device__ int64_t end(int64_t part) const {
    return part + 1 < count ? (part + 1) * size : elements;
  }
};

// At least 32 elements for each thread, against which the tree of a block is little, and at most
// 128 parts: two filters keep the largest of today's devices at work.
Parts parts_of(int64_t elements) {
  constexpr int64_t kLeast = 32 * kThreads, kMost = 128;
  const int64_t size = std::max(kLeast, round_up(ceil_div(elements, kMost), kThreads));
  return {elements, std::max<int64_t>(ceil_div(elements, size), 1), size};
}

// All of a 3x3 kernel; of a larger one so many taps at a time, each time from all of dy and x.
constexpr int kTapsAtOnce = 9;

// The sums of one thread for the taps of one filter from first_tap on, over elements (n, oh, ow).
template <typename T>
__device__ inline void add_products(const Walk<3>& walk, const Parts& parts, int64_t part,
                                    const Conv2dProblem& p, int64_t oc, int64_t first_tap,
                                    const T* dy, const T* x, T (&sums)[kTapsAtOnce]) {
  const WindowAxis rows = vertical(p), columns = horizontal(p);
  const int64_t c = oc / p.group_out_channels();
  const int64_t first_kh = first_tap / p.kernel_w, first_kw = first_tap % p.kernel_w;
  walk_elements(
      walk, parts.begin(part) + threadIdx.x, parts.end(part), kThreads,
      [&](int64_t, const Index<3>& index) {
        const auto [n, oh, ow] = index.at;
        const T* const plane = x + (n * p.in_channels + c) * p.in_pixels();
        const T gradient = dy[(n * p.out_channels + oc) * p.out_pixels() + oh * p.out_w + ow];
        int64_t kh = first_kh, kw = first_kw;
#pragma unroll
        for (int i = 0; i < kTapsAtOnce; ++i) {
          if (first_tap + i >= p.taps()) break;
          // Also in the padding: zero times a gradient that is not finite is NaN.
          sums[i] += gradient * pixel_or_zero(plane, p, rows.input(oh, kh), columns.input(ow, kw));
          if (++kw == p.kernel_w) kw = 0, ++kh;
        }
      });
}

// sums[i][0] becomes the sum of sums[i], for all i with the barriers of one tree. All threads of
// the block call it after each has written its own; the first one may read the result.
template <typename T>
__device__ inline void add_over_block(T (&sums)[kTapsAtOnce][kThreads]) {
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x >= half) continue;
    for (int i = 0; i < kTapsAtOnce; ++i) sums[i][threadIdx.x] += sums[i][threadIdx.x + half];
  }
}

// A block for each filter, group of taps and part of the elements.
template <typename T, int kKernel>
__global__ void sum_products(Walk<3> walk, Conv2dProblem problem, Parts parts, const T* dy,
                             const T* x, T* partial) {
  __shared__ T block_sums[kTapsAtOnce][kThreads];
  const Conv2dProblem p = with_kernel<kKernel>(problem);
  const int64_t tap_groups = ceil_div(p.taps(), kTapsAtOnce);
  const int64_t pieces = parts.count * p.out_channels * tap_groups;
  for (int64_t piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
    const int64_t filter = piece / tap_groups;  // of the first part, then of the next one
    const int64_t first_tap = piece % tap_groups * kTapsAtOnce;
    const int64_t part = filter / p.out_channels, oc = filter % p.out_channels;
    T sums[kTapsAtOnce] = {};
    add_products(walk, parts, part, p, oc, first_tap, dy, x, sums);
    for (int i = 0; i < kTapsAtOnce; ++i) block_sums[i][threadIdx.x] = sums[i];
    add_over_block(block_sums);
    if (threadIdx.x == 0) {
      for (int i = 0; i < kTapsAtOnce && first_tap + i < p.taps(); ++i) {
        partial[filter * p.taps() + first_tap + i] = block_sums[i][0];
      }
    }
    __syncthreads();
  }
}

}  // namespace

bool has_direct_kernel(const Conv2dProblem& p) { return p.group_in_channels() == 1; }

template <typename T>
void direct_forward(const Conv2dProblem& p, const T* x, const T* weight, const T* bias, bool relu,
                    T* y) {
  with_known_kernel(p, [&](auto kernel) {
    launch_walk("slide_windows", slide_windows<T, kernel>,
                std::array{p.batch, p.in_channels, p.group_out_channels(), p.out_h, p.out_w}, p, x,
                weight, bias, relu, y);
  });
}

template <typename T>
void direct_backward_data(const Conv2dProblem& p, const T* dy, const T* weight, const T* bias,
                          T* dx) {
  with_known_stride(p, [&](auto stride) {
    with_known_kernel(p, [&](auto kernel) {
      launch_walk("gather_outputs", gather_outputs<T, stride, kernel>,
                  std::array{p.batch, p.in_channels, p.in_h, p.in_w}, p, dy, weight, bias, dx);
    });
  });
}

template <typename T>
void direct_backward_weights(const Conv2dProblem& p, const T* dy, const T* x, T* dweight) {
  const Walk<3> walk = make_walk(std::array{p.batch, p.out_h, p.out_w}, kThreads);
  const Parts parts = parts_of(walk.count);
  const int64_t results = p.out_channels * p.taps();
  const int64_t pieces = parts.count * p.out_channels * ceil_div(p.taps(), kTapsAtOnce);
  const Scratch<T> partial(parts.count * results);
  with_known_kernel(p, [&](auto kernel) {
    launch("sum_products", sum_products<T, kernel>, grid_of_blocks(pieces), walk, p, parts, dy, x,
           partial.data());
  });
  sum(1, parts.count, results, partial.data(), dweight);
}

template void direct_forward(const Conv2dProblem&, const float*, const float*, const float*, bool,
                             float*);
template void direct_forward(const Conv2dProblem&, const double*, const double*, const double*,
                             bool, double*);
template void direct_backward_data(const Conv2dProblem&, const float*, const float*, const float*,
                                   float*);
template void direct_backward_data(const Conv2dProblem&, const double*, const double*,
                                   const double*, double*);
template void direct_backward_weights(const Conv2dProblem&, const float*, const float*, float*);
template void direct_backward_weights(const Conv2dProblem&, const double*, const double*, double*);

}  // namespace convolt::cuda
