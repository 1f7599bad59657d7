// Pooling, forward: a thread for an output, which visits the taps of its window in order.
//
// A warp has outputs beside each other, so that what it loads of a row of the image is contiguous:
// whole with a stride of 1, every second element with a stride of 2 and the others with the next
// tap, from L1. Each element comes from memory once, windows that overlap find it in cache. On
// paper, for float32 maxima with their winners, in bytes and instructions for an output:
//
//                      memory           time for    takes    share of the bandwidth
//   2 x 2, stride 2    16 + 4 + 1 B     185         130      all
//   3 x 3, stride 2    16 + 4 + 1 B     185         205      90 %
//   3 x 3, stride 1     4 + 4 + 1 B      80         205      40 %
#include "../kernels/extremum_rule.h"
#include "pool2d.cuh"
#include "pool2d.h"

namespace convolt::cuda {
namespace {

// Which code visits the taps of windows: for 2 x 2, 3 x 3, others, and those with dilation.
enum class Windows { kPairs, kThrees, kDense, kDilated };

template <typename T>
Windows windows_of(const Pool2dProblem& p, const T* x) {
  if (has_windows_of_pairs(p, x)) return Windows::kPairs;
  if (has_dilation(p)) return Windows::kDilated;
  return p.kernel_h == 3 && p.kernel_w == 3 ? Windows::kThrees : Windows::kDense;
}

template <Windows kWindows>
__device__ Axes axes_for(const Pool2dProblem& p) {
  return axes_of<kWindows == Windows::kPairs ? 2 : 0, kWindows == Windows::kDilated ? 0 : 1>(p);
}

// The taps of an output that are inside the image.
struct WindowTaps {
  TapRange rows, columns;
};

template <Windows kWindows>
__device__ inline WindowTaps taps_of(const Axes& axes, const PlanePoint& out) {
  if constexpr (kWindows == Windows::kPairs) return {{0, 2}, {0, 2}};
  return {axes.rows.inside(out.row), axes.columns.inside(out.column)};
}

// Calls visit(kh, kw, element) for them, row by row.
template <Windows kWindows, typename T, typename Visit>
__device__ inline void visit_window(const Axes& axes, const WindowTaps& taps, const T* plane,
                                    const PlanePoint& out, const Visit& visit) {
  const auto [rows, columns] = axes;
  if constexpr (kWindows == Windows::kThrees) {  // no tests inside the image
    if (taps.rows.end - taps.rows.begin == 3 && taps.columns.end - taps.columns.begin == 3) {
      const T* const corner =
          plane + rows.input(out.row, 0) * columns.size + columns.input(out.column, 0);
#pragma unroll
      for (int tap = 0; tap < 9; ++tap) {
        visit(tap / 3, tap % 3, corner[tap / 3 * columns.size + tap % 3]);
      }
      return;
    }
  }
  for (int64_t kh = taps.rows.begin; kh < taps.rows.end; ++kh) {
    const T* const row = plane + rows.input(out.row, kh) * columns.size;
    if constexpr (kWindows == Windows::kPairs) {
      const Run<T, kPair> pair = load_run<kPair>(row, columns.input(out.column, 0));
      visit(kh, 0, pair.element[0]);
      visit(kh, 1, pair.element[1]);
    } else {
#pragma unroll 1  // narrow windows would only come to the rest of an unrolled loop
      for (int64_t kw = taps.columns.begin; kw < taps.columns.end; ++kw) {
        visit(kh, kw, row[columns.input(out.column, kw)]);
      }
    }
  }
}

template <typename T>
constexpr T kInfinity = std::numeric_limits<T>::infinity();

// kPlaces: whether to say where the extrema are, which takes two selections more for each tap.
template <typename T, bool kMinimum, bool kPlaces, Windows kWindows>
__global__ void __launch_bounds__(kThreads, kResidentBlocks)
    pool_extrema(PlaneWalk walk, Pool2dProblem p, const T* __restrict__ x, PoolResults<T> results) {
  const Axes axes = axes_for<kWindows>(p);
  visit_points(walk, [&](const PlanePoint& out) {
    const WindowTaps taps = taps_of<kWindows>(axes, out);
    // The first pixel has the place of an infinity that nothing replaces.
    T best = kMinimum ? kInfinity<T> : -kInfinity<T>;
    int best_kh = static_cast<int>(taps.rows.begin);
    int best_kw = static_cast<int>(taps.columns.begin);
    visit_window<kWindows>(axes, taps, x + out.plane * p.in_pixels(), out,
                           [&](int64_t kh, int64_t kw, T element) {
                             if (!replaces<kMinimum>(element, best)) return;
                             best = element;
                             best_kh = static_cast<int>(kh);
                             best_kw = static_cast<int>(kw);
                           });
    results.y[out.element] = best;
    if constexpr (kPlaces) {
      if (results.winners != nullptr) {
        results.winners[out.element] = static_cast<uint8_t>(best_kh * p.kernel_w + best_kw);
      }
      if (results.indices != nullptr) {
        results.indices[out.element] =
            axes.rows.input(out.row, best_kh) * p.in_w + axes.columns.input(out.column, best_kw);
      }
    }
  });
}

template <typename T, Windows kWindows>
__global__ void __launch_bounds__(kThreads, kResidentBlocks)
    pool_averages(PlaneWalk walk, Pool2dProblem p, const T* __restrict__ x, T* __restrict__ y) {
  const Axes axes = axes_for<kWindows>(p);
  visit_points(walk, [&](const PlanePoint& out) {
    T sum{0};
    visit_window<kWindows>(axes, taps_of<kWindows>(axes, out), x + out.plane * p.in_pixels(), out,
                           [&](int64_t, int64_t, T element) { sum += element; });
    y[out.element] = sum / divisor_of<T>(p, out);
  });
}

template <typename T, bool kMinimum, bool kPlaces>
void launch_extrema(const Pool2dProblem& p, const T* x, const PoolResults<T>& results) {
  const Windows windows = windows_of(p, x);
  auto* kernel = &pool_extrema<T, kMinimum, kPlaces, Windows::kDense>;
  if (windows == Windows::kPairs) kernel = &pool_extrema<T, kMinimum, kPlaces, Windows::kPairs>;
  if (windows == Windows::kThrees) kernel = &pool_extrema<T, kMinimum, kPlaces, Windows::kThrees>;
  if (windows == Windows::kDilated) kernel = &pool_extrema<T, kMinimum, kPlaces, Windows::kDilated>;
  launch_walk("pool_extrema", kernel, outputs_of(p), p, x, results);
}

}  // namespace

template <typename T>
void extremum_pool2d_forward(const std::string&, const Pool2dProblem& problem,
                             PoolOperation operation, const T* x, const PoolResults<T>& results) {
  const bool is_minimum = operation == PoolOperation::kMinimum;
  if (results.winners != nullptr || results.indices != nullptr) {
    is_minimum ? launch_extrema<T, true, true>(problem, x, results)
               : launch_extrema<T, false, true>(problem, x, results);
  } else {
    is_minimum ? launch_extrema<T, true, false>(problem, x, results)
               : launch_extrema<T, false, false>(problem, x, results);
  }
}

template <typename T>
void avg_pool2d_forward(const Pool2dProblem& problem, const T* x, T* y) {
  const Windows windows = windows_of(problem, x);
  auto* kernel = &pool_averages<T, Windows::kDense>;
  if (windows == Windows::kPairs) kernel = &pool_averages<T, Windows::kPairs>;
  if (windows == Windows::kThrees) kernel = &pool_averages<T, Windows::kThrees>;
  launch_walk("pool_averages", kernel, outputs_of(problem), problem, x, y);
}

template void extremum_pool2d_forward(const std::string&, const Pool2dProblem&, PoolOperation,
                                      const float*, const PoolResults<float>&);
template void extremum_pool2d_forward(const std::string&, const Pool2dProblem&, PoolOperation,
                                      const double*, const PoolResults<double>&);
template void avg_pool2d_forward(const Pool2dProblem&, const float*, float*);
template void avg_pool2d_forward(const Pool2dProblem&, const double*, double*);

}  // namespace convolt::cuda
