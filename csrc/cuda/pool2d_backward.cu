// Gradients of pooling: a thread for a pixel of dx adds up, in their order, what the windows over
// it have for it. Nothing is written twice, and nothing cleared before.
//
// Windows of 2 x 2 beside each other, the usual ones, have a thread for all four pixels. On paper,
// for float32, in bytes and instructions, maxima first:
//
//                               memory          time for    takes    share of the bandwidth
//   2 x 2, of a window          16 + 4 + 1 B    185         130      all
//   3 x 3, stride 2, a pixel    4 + 1.25 B       45         170      25 %
//   3 x 3, stride 1, a pixel    4 + 4 + 1 B      80         350      25 %
//   the same, average           4 + 4 B          70         205      35 %
#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "block_reduce.cuh"
#include "pool2d.cuh"
#include "pool2d.h"

namespace convolt::cuda {
namespace {

// --- what a window has for a pixel --------------------------------------------------------------

// Without dilation a tap is as far in the window as the pixel. Else a tap says where its pixel is,
// with small divisions, where the pixel would need large ones to find its tap.
template <typename T, bool kDilated>
struct TapGradient {
  const T* dy;
  const uint8_t* winners;  // taps

  __device__ T share(const Pool2dProblem&, const Axes& axes, const PlanePoint& window,
                     const PlanePoint& pixel) const {
    const unsigned tap = winners[window.element];
    bool is_winner = false;
    if constexpr (kDilated) {
      const unsigned kernel_w = static_cast<unsigned>(axes.columns.kernel);
      is_winner = axes.rows.input(window.row, tap / kernel_w) == pixel.row &&
                  axes.columns.input(window.column, tap % kernel_w) == pixel.column;
    } else {
      const int64_t kh = pixel.row - axes.rows.input(window.row, 0);
      const int64_t kw = pixel.column - axes.columns.input(window.column, 0);
      is_winner = tap == kh * axes.columns.kernel + kw;
    }
    return is_winner ? dy[window.element] : T{0};
  }
};

template <typename T>
struct IndexGradient {
  const T* dy;
  const int64_t* winners;  // pixels

  __device__ T share(const Pool2dProblem&, const Axes& axes, const PlanePoint& window,
                     const PlanePoint& pixel) const {
    const int64_t index = pixel.row * axes.columns.size + pixel.column;
    return winners[window.element] == index ? dy[window.element] : T{0};
  }
};

template <typename T>
struct AverageGradient {
  const T* dy;

  __device__ T share(const Pool2dProblem& p, const Axes&, const PlanePoint& window,
                     const PlanePoint&) const {
    return dy[window.element] / divisor_of<T>(p, window);
  }
};

// Divided already.
template <typename T>
struct ShareGradient {
  const T* shares;

  __device__ T share(const Pool2dProblem&, const Axes&, const PlanePoint& window,
                     const PlanePoint&) const {
    return shares[window.element];
  }
};

// --- the gradients ------------------------------------------------------------------------------

// ranges[h]: the rows of windows over row h; ranges[in_h + w]: the columns of windows over column w
__global__ void __launch_bounds__(kThreads, kResidentBlocks)
    find_windows(Pool2dProblem p, TapRange* __restrict__ ranges) {
  const WindowAxis rows = vertical(p), columns = horizontal(p);
  for (int64_t i = first_element(); i < p.in_h + p.in_w; i += all_threads()) {
    ranges[i] = i < p.in_h ? windows_over(rows, i) : windows_over(columns, i - p.in_h);
  }
}

// By a kernel of its own: each pixel would divide four times.
Scratch<TapRange> windows_over_pixels(const Pool2dProblem& p) {
  const int64_t count = p.in_h + p.in_w;
  Scratch<TapRange> ranges(count);
  launch("find_windows", &find_windows, grid_of_threads(count), p, ranges.data());
  return ranges;
}

template <typename T, typename Gradient>
__global__ void __launch_bounds__(kThreads, kResidentBlocks)
    gather_gradient(PlaneWalk walk, Pool2dProblem p, const TapRange* __restrict__ windows,
                    Gradient gradient, T* __restrict__ dx) {
  const Axes axes = {vertical(p), horizontal(p)};
  visit_points(walk, [&](const PlanePoint& pixel) {
    const TapRange rows = windows[pixel.row];
    const TapRange columns = windows[p.in_h + pixel.column];
    T sum{0};
    for (int64_t oh = rows.begin; oh < rows.end; ++oh) {
      const int64_t first = (pixel.plane * p.out_h + oh) * p.out_w;
#pragma unroll 1  // one to three windows would only come to the rest of an unrolled loop
      for (int64_t ow = columns.begin; ow < columns.end; ++ow) {
        sum += gradient.share(p, axes, {first + ow, pixel.plane, oh, ow}, pixel);
      }
    }
    dx[pixel.element] = sum;
  });
}

template <typename T, typename Gradient>
void launch_gather(const Pool2dProblem& p, const TapRange* windows, const Gradient& gradient,
                   T* dx) {
  launch_walk("gather_gradient", &gather_gradient<T, Gradient>, pixels_of(p), p, windows, gradient,
              dx);
}

// A thread for the four pixels of a window, or for the two below the last windows.
template <typename T, typename Gradient>
__global__ void __launch_bounds__(kThreads, kResidentBlocks)
    pair_gradient(PlaneWalk walk, Pool2dProblem p, Gradient gradient, T* __restrict__ dx) {
  const Axes axes = axes_of<2, 1>(p);
  visit_points(walk, [&](const PlanePoint& cell) {
    const int64_t row = cell.plane * p.out_h + cell.row;
    const PlanePoint window = {row * p.out_w + cell.column, cell.plane, cell.row, cell.column};
    Run<T, kPair> sums[2] = {};
    if (cell.row < p.out_h) {
#pragma unroll
      for (int tap = 0; tap < 4; ++tap) {
        const PlanePoint pixel = {0, cell.plane, axes.rows.input(cell.row, tap / 2),
                                  axes.columns.input(cell.column, tap % 2)};
        sums[tap / 2].element[tap % 2] += gradient.share(p, axes, window, pixel);
      }
    }
    T* const plane = dx + cell.plane * p.in_pixels();
    const int64_t column = axes.columns.input(cell.column, 0);
#pragma unroll
    for (int kh = 0; kh < 2; ++kh) {
      const int64_t h = axes.rows.input(cell.row, kh);
      if (h < p.in_h) store_run<kPair>(plane, h * p.in_w + column, sums[kh]);
    }
  });
}

template <typename T, typename Gradient>
void launch_pairs(const Pool2dProblem& p, const Gradient& gradient, T* dx) {
  launch_walk("pair_gradient", &pair_gradient<T, Gradient>,
              PlaneExtents{p.planes(), ceil_div(p.in_h, 2), p.out_w}, p, gradient, dx);
}

// --- averages of windows that overlap -----------------------------------------------------------

template <typename T>
__global__ void __launch_bounds__(kThreads, kResidentBlocks)
    divide_gradient(PlaneWalk walk, Pool2dProblem p, const T* __restrict__ dy,
                    T* __restrict__ shares) {
  visit_points(walk, [&](const PlanePoint& out) {
    shares[out.element] = dy[out.element] / divisor_of<T>(p, out);
  });
}

// Shares at a time: they stay in L2 until they are gathered, and are enough for all of a device.
constexpr int64_t kMostShares = int64_t{1} << 20;

// A window is divided once, where its pixels would divide it up to kernel_h * kernel_w times.
template <typename T>
void gather_shares(const Pool2dProblem& p, const T* dy, T* dx) {
  const int64_t most = std::min(kMostShares, most_blocks() * kThreads);
  const int64_t at_once = std::min(p.planes(), std::max<int64_t>(1, most / p.out_pixels()));
  const Scratch<T> shares(at_once * p.out_pixels());
  const Scratch<TapRange> windows = windows_over_pixels(p);
  Pool2dProblem part = p;
  part.batch = 1;
  for (int64_t plane = 0; plane < p.planes(); plane += at_once) {
    part.channels = std::min(at_once, p.planes() - plane);
    launch_walk("divide_gradient", &divide_gradient<T>, outputs_of(part), part,
                dy + plane * p.out_pixels(), shares.data());
    launch_gather(part, windows.data(), ShareGradient<T>{shares.data()},
                  dx + plane * p.in_pixels());
  }
}

// --- indices that a user gave -------------------------------------------------------------------

constexpr int64_t kNowhere = std::numeric_limits<int64_t>::max();

// The first window whose index is not in the plane, and the first whose index is, but beyond its
// own reach, where the pixel would not look for it.
struct Strays {
  int64_t outside, elsewhere;
};

struct FirstStrays {
  CONVOLT_HOST_DEVICE Strays operator()(const Strays& a, const Strays& b) const {
    return {a.outside < b.outside ? a.outside : b.outside,
            a.elsewhere < b.elsewhere ? a.elsewhere : b.elsewhere};
  }
};

__device__ inline bool reaches(const WindowAxis& axis, int64_t o, int64_t i) {
  return axis.input(o, 0) <= i && i <= axis.input(o, axis.kernel - 1);
}

// strays[b]: those that block b came upon.
__global__ void __launch_bounds__(kThreads, kResidentBlocks)
    find_strays(PlaneWalk walk, Pool2dProblem p, const int64_t* __restrict__ indices,
                Strays* __restrict__ strays) {
  __shared__ Strays shared[kThreads];
  const WindowAxis rows = vertical(p), columns = horizontal(p);
  Strays first = {kNowhere, kNowhere};
  visit_points(walk, [&](const PlanePoint& out) {
    const int64_t index = indices[out.element];
    if (index < 0 || index >= p.in_pixels()) {
      first = FirstStrays()(first, {out.element, kNowhere});
    } else if (!reaches(rows, out.row, index / p.in_w) ||
               !reaches(columns, out.column, index % p.in_w)) {
      first = FirstStrays()(first, {kNowhere, out.element});
    }
  });
  first = reduce_columns(first, 1, FirstStrays(), shared);
  if (threadIdx.x == 0) strays[blockIdx.x] = first;
}

// So few that the host can look through what each has found, and enough to read at full speed.
constexpr int64_t kMostStrayBlocks = 1024;

Strays strays_among(const Pool2dProblem& p, const int64_t* indices) {
  const int64_t blocks = ceil_div(p.planes() * p.out_pixels(), kThreads);
  const Grid grid = grid_of_blocks(std::min(blocks, kMostStrayBlocks));
  const int64_t threads = static_cast<int64_t>(grid.blocks) * grid.threads;
  const Scratch<Strays> found(grid.blocks);
  launch("find_strays", &find_strays, grid, make_walk(outputs_of(p), threads), p, indices,
         found.data());
  std::vector<Strays> strays(grid.blocks);
  copy_to_host(strays.data(), found.data(), strays.size() * sizeof(Strays));
  return std::accumulate(strays.begin(), strays.end(), Strays{kNowhere, kNowhere}, FirstStrays());
}

// For indices that may be anywhere in their planes: a thread for each plane, in the order of the
// windows. dx is zeros.
template <typename T>
__global__ void __launch_bounds__(kThreads, kResidentBlocks)
    add_at_indices(Pool2dProblem p, const T* __restrict__ dy, const int64_t* __restrict__ indices,
                   T* __restrict__ dx) {
  const int64_t out_pixels = p.out_pixels(), in_pixels = p.in_pixels();
  for (int64_t plane = first_element(); plane < p.planes(); plane += all_threads()) {
    T* const sums = dx + plane * in_pixels;
    for (int64_t i = plane * out_pixels; i < (plane + 1) * out_pixels; ++i) {
      sums[indices[i]] += dy[i];
    }
  }
}

}  // namespace

template <typename T>
void extremum_pool2d_backward(const std::string& function, const Pool2dProblem& problem,
                              const T* dy, const int64_t* indices, T* dx) {
  const Strays strays = strays_among(problem, indices);
  if (strays.outside != kNowhere) {
    int64_t index = 0;
    copy_to_host(&index, indices + strays.outside, sizeof(index));
    throw std::invalid_argument(function + ": indices must lie in [0, H*W) = [0, " +
                                std::to_string(problem.in_pixels()) + "), got " +
                                std::to_string(index));
  }
  if (strays.elsewhere == kNowhere) {
    const Scratch<TapRange> windows = windows_over_pixels(problem);
    return launch_gather(problem, windows.data(), IndexGradient<T>{dy, indices}, dx);
  }
  fill_with_zeros(dx, static_cast<std::size_t>(problem.planes() * problem.in_pixels()) * sizeof(T));
  launch("add_at_indices", &add_at_indices<T>, grid_of_threads(problem.planes()), problem, dy,
         indices, dx);
}

template <typename T>
void extremum_pool2d_backward(const std::string&, const Pool2dProblem& problem, const T* dy,
                              const uint8_t* winners, T* dx) {
  if (has_windows_of_pairs(problem, dx)) {
    return launch_pairs(problem, TapGradient<T, false>{dy, winners}, dx);
  }
  const Scratch<TapRange> windows = windows_over_pixels(problem);
  if (has_dilation(problem)) {
    return launch_gather(problem, windows.data(), TapGradient<T, true>{dy, winners}, dx);
  }
  launch_gather(problem, windows.data(), TapGradient<T, false>{dy, winners}, dx);
}

template <typename T>
void avg_pool2d_backward(const Pool2dProblem& problem, const T* dy, T* dx) {
  if (has_windows_of_pairs(problem, dx)) {
    return launch_pairs(problem, AverageGradient<T>{dy}, dx);
  }
  gather_shares(problem, dy, dx);
}

template void extremum_pool2d_backward(const std::string&, const Pool2dProblem&, const float*,
                                       const int64_t*, float*);
template void extremum_pool2d_backward(const std::string&, const Pool2dProblem&, const double*,
                                       const int64_t*, double*);
template void extremum_pool2d_backward(const std::string&, const Pool2dProblem&, const float*,
                                       const uint8_t*, float*);
template void extremum_pool2d_backward(const std::string&, const Pool2dProblem&, const double*,
                                       const uint8_t*, double*);
template void avg_pool2d_backward(const Pool2dProblem&, const float*, float*);
template void avg_pool2d_backward(const Pool2dProblem&, const double*, double*);

}  // namespace convolt::cuda
