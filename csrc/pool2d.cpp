#include "pool2d.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "isa.h"
#include "parallel.h"
#include "window_reduction.h"
#include "workspace.h"

namespace convolt {
namespace {

template <typename T>
PoolRow<T> extremum_kernel(PoolOperation extremum, bool with_offsets) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  if (extremum == PoolOperation::kMaximum) {
    return with_offsets ? kernels.max_row_with_offsets : kernels.max_row;
  }
  return with_offsets ? kernels.min_row_with_offsets : kernels.min_row;
}

// A window's elements must be near enough to each other for the offsets of the kernels. Only
// windows of 16 GiB, in float32, are not.
template <typename T>
void require_offsets_fit(const std::string& function, const Pool2dProblem& p) {
  const WindowAxis axis = vertical(p);
  const int64_t rows = std::min(axis.size, (axis.kernel - 1) * axis.dilation + 1);
  if (static_cast<uint64_t>(rows) * static_cast<uint64_t>(p.in_w) - 1 >
      std::numeric_limits<PoolOffset<T>>::max()) {
    throw std::invalid_argument(
        function +
        ": return_indices must come with windows that span at most 2**32 elements, got " +
        std::to_string(rows) + " rows of " + std::to_string(p.in_w));
  }
}

inline void require_index(const std::string& function, int64_t index, int64_t in_pixels) {
  if (index >= 0 && index < in_pixels) return;
  throw std::invalid_argument(function + ": indices must lie in [0, H*W) = [0, " +
                              std::to_string(in_pixels) + "), got " + std::to_string(index));
}

// Calls f(first, count) for some planes at a time: as many as make a call worth while, and as few
// as may run without a look at stop_requested().
template <typename F>
void for_some_planes(int64_t planes, int64_t pixels, const F& f) {
  constexpr int64_t kPixelsAtOnce = int64_t{1} << 15;
  const int threads = threads_for(static_cast<double>(planes * pixels));
  const int64_t at_once = std::max<int64_t>(1, kPixelsAtOnce / pixels);
  parallel_for(ceil_div(planes, at_once), threads, [&](int64_t task, int) {
    const int64_t first = task * at_once;
    f(first, std::min(at_once, planes - first));
  });
}

// What stays in L1 beside the rows of dx that they are in.
constexpr int64_t kCornersAtOnce = 1024;

// sums[base + corners[i] + places[winners[i]]] += dy[i] for i < count, as far as these places lie
// in [0, in_pixels), in so many planes at once. Returns how far.
template <typename T, int Planes>
[[gnu::noinline]] int64_t add_at_winners(const Pool2dProblem& p, const T* dy,
                                         const uint8_t* winners, int64_t count, int64_t base,
                                         const int64_t* corners, const int64_t* places, T* sums) {
  const int64_t in_pixels = p.in_pixels(), out_pixels = p.out_pixels();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t corner = base + corners[i];
#pragma GCC unroll 2
    for (int plane = 0; plane < Planes; ++plane) {
      const int64_t index = corner + places[winners[plane * out_pixels + i]];
      if (static_cast<uint64_t>(index) >= static_cast<uint64_t>(in_pixels)) return i;
      sums[plane * in_pixels + index] += dy[plane * out_pixels + i];
    }
  }
  return count;
}

// By the kernels that write each element of dx once, by planes that fit in cache.
template <typename T>
void write_gradient(const Pool2dProblem& p, const T* dy, const uint8_t* winners,
                    const Divisors<T>* divisors, T* dx) {
  constexpr int64_t kBytesAtOnce = int64_t{128} << 10;
  const KernelTable<T>& kernels = plane_kernels<T>();
  PoolGradient<T> all{};
  all.in_h = p.in_h;
  all.in_w = p.in_w;
  all.kernel = p.kernel_h;
  all.stride = p.window.stride_h;
  all.pad_top = p.window.pad_top;
  all.pad_left = p.window.pad_left;
  all.out_h = p.out_h;
  all.out_w = p.out_w;
  if (divisors != nullptr) {
    all.row_divisors = divisors->rows.data();
    all.column_divisors = divisors->columns.data();
  }
  const PoolGradientRoom room = kernels.pool_gradient_room;
  all.pitch = round_up(p.in_w + p.window.pad_left + room.slack, kernels.lanes);

  const int threads = threads_for(sweep_work(p));
  Slicer size;
  size.take<T>(room.rows * all.pitch);
  const Scratch scratch(size.used() * static_cast<std::size_t>(threads));
  const int64_t plane_bytes = p.in_pixels() * static_cast<int64_t>(sizeof(T));
  const int64_t at_once = std::min(std::max<int64_t>(1, kBytesAtOnce / plane_bytes),
                                   std::max<int64_t>(1, ceil_div(p.planes(), threads)));
  parallel_for(ceil_div(p.planes(), at_once), threads, [&](int64_t task, int thread) {
    const int64_t plane = task * at_once;
    PoolGradient<T> g = all;
    g.planes = std::min(at_once, p.planes() - plane);
    g.dy = dy + plane * p.out_pixels();
    g.winners = winners == nullptr ? nullptr : winners + plane * p.out_pixels();
    g.dx = dx + plane * p.in_pixels();
    Slicer slice(scratch.data() + size.used() * static_cast<std::size_t>(thread));
    g.scratch = slice.take<T>(room.rows * all.pitch);
    kernels.pool_gradient(g);
  });
}

}  // namespace

template <typename T>
void extremum_pool2d_forward(const std::string& function, const Pool2dProblem& problem,
                             PoolOperation operation, const T* x, const PoolResults<T>& results) {
  if (results.indices != nullptr) require_offsets_fit<T>(function, problem);
  const KernelTable<T>& kernels = selected_kernels<T>();
  const T infinity = std::numeric_limits<T>::infinity();
  const T identity = operation == PoolOperation::kMaximum ? -infinity : infinity;
  const WindowAxis rows = vertical(problem);
  const int64_t out_w = problem.out_w;
  const TapUnits taps = {problem.kernel_w, 1};
  const TapUnits places = {rows.dilation * problem.in_w, problem.window.dilation_w};

  WindowReduction<T> reduction(
      problem,
      extremum_kernel<T>(operation, results.indices != nullptr || results.winners != nullptr),
      identity, results.winners != nullptr ? taps : places);
  const PlaneSweep<T> sweep(problem, operation, x, results);
  reduction.run(x, sweep, [&](const PoolState<T>& best, int64_t plane, int64_t oh) {
    const int64_t first = (plane * problem.out_h + oh) * out_w;
    std::copy_n(best.values, out_w, results.y + first);
    const int64_t tap_row = rows.inside(oh).begin;
    if (results.winners != nullptr) {
      const auto tap = static_cast<PoolOffset<T>>(tap_row * problem.kernel_w);
      for (int64_t ow = 0; ow < out_w; ++ow) {
        results.winners[first + ow] = static_cast<uint8_t>(tap + best.offsets[ow]);
      }
    }
    if (results.indices != nullptr) {
      const int64_t first_row = rows.input(oh, tap_row);
      kernels.widen_offsets(best.offsets, out_w, first_row * problem.in_w, -problem.window.pad_left,
                            problem.window.stride_w, results.indices + first);
    }
  });
}

template <typename T>
void extremum_pool2d_backward(const std::string& function, const Pool2dProblem& problem,
                              const T* dy, const int64_t* indices, T* dx) {
  const int64_t in_pixels = problem.in_pixels(), out_pixels = problem.out_pixels();
  for_some_planes(problem.planes(), in_pixels + out_pixels, [&](int64_t first, int64_t count) {
    for (int64_t plane = first; plane < first + count; ++plane) {
      const T* const gradient = dy + plane * out_pixels;
      const int64_t* const winners = indices + plane * out_pixels;
      T* const sums = dx + plane * in_pixels;
      std::fill_n(sums, in_pixels, T{0});
      for (int64_t i = 0; i < out_pixels; ++i) {
        const int64_t index = winners[i];
        require_index(function, index, in_pixels);
        sums[index] += gradient[i];
      }
    }
  });
}

template <typename T>
void extremum_pool2d_backward(const std::string& function, const Pool2dProblem& problem,
                              const T* dy, const uint8_t* winners, T* dx) {
  const WindowAxis rows = vertical(problem);
  const WindowAxis columns = horizontal(problem);
  if (has_plane_kernel<T>(problem) && rows.kernel == 2 && rows.stride == 2 &&
      rows.pad_before == 0 && columns.pad_before == 0) {
    write_gradient<T>(problem, dy, winners, nullptr, dx);
    return;
  }
  const int64_t in_pixels = problem.in_pixels();
  std::vector<int64_t> places(256, -in_pixels);  // outside, wherever the window is
  for (int64_t tap = 0; tap < problem.kernel_h * problem.kernel_w; ++tap) {
    places[static_cast<std::size_t>(tap)] = tap / problem.kernel_w * rows.dilation * problem.in_w +
                                            tap % problem.kernel_w * columns.dilation;
  }
  // Rows of windows in one go: short ones would leave the loop before the CPU has foreseen it.
  const int64_t at_once = std::clamp<int64_t>(kCornersAtOnce / columns.out, 1, rows.out);
  std::vector<int64_t> corners;
  corners.reserve(static_cast<std::size_t>(at_once * columns.out));
  for (int64_t i = 0; i < at_once * columns.out; ++i) {
    corners.push_back(i / columns.out * rows.stride * problem.in_w +
                      i % columns.out * columns.stride - columns.pad_before);
  }

  // Two planes at a time where neighbouring windows often have the same winner: each sum waits for
  // the one before. With a stride of 2 it gains nothing, with doubles it loses some per cent.
  const auto add_planes = [&](auto some, int64_t plane) {
    constexpr int kPlanes = decltype(some)::value;
    T* const sums = dx + plane * in_pixels;
    const auto clear_rows = [&](int64_t begin, int64_t end) {
      for (int64_t i = 0; i < kPlanes; ++i) {
        T* const image = sums + i * in_pixels;
        std::fill(image + begin * problem.in_w, image + end * problem.in_w, T{0});
      }
    };
    int64_t zeroed = 0;  // rows: just before their windows come, so that they are in cache
    for (int64_t oh = 0; oh < rows.out; oh += at_once) {
      const int64_t end = std::min(rows.out, oh + at_once);
      const int64_t behind =
          (end - 1) * rows.stride - rows.pad_before + (rows.kernel - 1) * rows.dilation + 1;
      const int64_t seen = std::clamp(behind, zeroed, rows.size);
      clear_rows(zeroed, seen);
      zeroed = seen;
      const int64_t first = plane * problem.out_pixels() + oh * columns.out;
      const int64_t count = (end - oh) * columns.out;
      const int64_t base = (oh * rows.stride - rows.pad_before) * problem.in_w;
      const int64_t added = add_at_winners<T, kPlanes>(problem, dy + first, winners + first, count,
                                                       base, corners.data(), places.data(), sums);
      for (int64_t i = 0; i < kPlanes && added < count; ++i) {
        const uint8_t winner = winners[first + i * problem.out_pixels() + added];
        require_index(function, base + corners[static_cast<std::size_t>(added)] + places[winner],
                      in_pixels);
      }
    }
    clear_rows(zeroed, rows.size);
  };
  for_some_planes(problem.planes(), in_pixels + problem.out_pixels(),
                  [&](int64_t first, int64_t count) {
                    const int64_t end = first + count;
                    for (; columns.stride == 1 && first + 2 <= end; first += 2) {
                      add_planes(std::integral_constant<int, 2>(), first);
                    }
                    for (; first < end; ++first) {
                      add_planes(std::integral_constant<int, 1>(), first);
                    }
                  });
}

template <typename T>
void avg_pool2d_forward(const Pool2dProblem& problem, const T* x, T* y) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  const Divisors<T> divisors(problem);
  const int64_t out_w = problem.out_w;
  WindowReduction<T> reduction(problem, kernels.sum_row, T{0});
  const PlaneSweep<T> sweep(problem, PoolOperation::kSum, x, {y, nullptr, nullptr}, &divisors);
  reduction.run(x, sweep, [&](const PoolState<T>& sums, int64_t plane, int64_t oh) {
    kernels.divide_row(sums.values, out_w, divisors.rows[static_cast<std::size_t>(oh)],
                       divisors.columns.data(), y + (plane * problem.out_h + oh) * out_w);
  });
}

// The windows of one output row share the sum of their gradients along the width.
template <typename T>
void avg_pool2d_backward(const Pool2dProblem& problem, const T* dy, T* dx) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  const Divisors<T> divisors(problem);
  if (has_plane_kernel<T>(problem)) {
    write_gradient<T>(problem, dy, nullptr, &divisors, dx);
    return;
  }
  const WindowAxis rows = vertical(problem);
  const WindowAxis columns = horizontal(problem);
  std::vector<RowSampling> taps;
  taps.reserve(static_cast<std::size_t>(columns.kernel));
  for (int64_t k = 0; k < columns.kernel; ++k) {
    taps.push_back(sample_row(k - columns.pad_before, columns.stride, columns.size, columns.out));
  }

  Slicer size;
  size.take<T>(columns.out);
  size.take<T>(columns.size);
  const int threads = threads_for(pooling_work(problem));
  const Scratch scratch(size.used() * static_cast<std::size_t>(threads));
  parallel_for(problem.planes(), threads, [&](int64_t plane, int thread) {
    Slicer slice(scratch.data() + size.used() * static_cast<std::size_t>(thread));
    T* const share = slice.take<T>(columns.out);
    T* const spread = slice.take<T>(columns.size);
    T* const image = dx + plane * problem.in_pixels();
    std::fill_n(image, problem.in_pixels(), T{0});
    for (int64_t oh = 0; oh < rows.out && !stop_requested(); ++oh) {
      kernels.divide_row(dy + (plane * rows.out + oh) * columns.out, columns.out,
                         divisors.rows[static_cast<std::size_t>(oh)], divisors.columns.data(),
                         share);
      std::fill_n(spread, columns.size, T{0});
      kernels.spread_row(share, taps.data(), columns.kernel, columns.stride, spread);
      const TapRange inside = rows.inside(oh);
      for (int64_t k = inside.begin; k < inside.end; ++k) {
        const int64_t h = oh * rows.stride + k - rows.pad_before;
        kernels.add_row(spread, columns.size, image + h * columns.size);
      }
    }
  });
}

template <typename T>
void global_avg_pool2d_forward(int64_t planes, int64_t pixels, const T* x, T* y) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  for_some_planes(planes, pixels, [&](int64_t first, int64_t count) {
    kernels.plane_means(x + first * pixels, count, pixels, y + first);
  });
}

template <typename T>
void global_avg_pool2d_backward(int64_t planes, int64_t pixels, const T* dy, T* dx) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  for_some_planes(planes, pixels, [&](int64_t first, int64_t count) {
    constexpr int64_t kShares = 64;
    T shares[kShares];
    for (const int64_t end = first + count; first < end; first += kShares) {
      const int64_t some = std::min(kShares, end - first);
      for (int64_t i = 0; i < some; ++i) shares[i] = dy[first + i] / static_cast<T>(pixels);
      kernels.fill_planes(shares, some, pixels, dx + first * pixels);
    }
  });
}

template <typename T>
void global_max_pool2d_forward(int64_t planes, int64_t pixels, const T* x, T* y, int64_t* indices) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  const int threads = threads_for(static_cast<double>(planes * pixels));
  parallel_for(planes, threads, [&](int64_t plane, int) {
    const int64_t index = kernels.first_maximum(x + plane * pixels, pixels);
    y[plane] = x[plane * pixels + index];
    if (indices != nullptr) indices[plane] = index;
  });
}

template void extremum_pool2d_forward(const std::string&, const Pool2dProblem&, PoolOperation,
                                      const float*, const PoolResults<float>&);
template void extremum_pool2d_forward(const std::string&, const Pool2dProblem&, PoolOperation,
                                      const double*, const PoolResults<double>&);
template void extremum_pool2d_backward(const std::string&, const Pool2dProblem&, const float*,
                                       const int64_t*, float*);
template void extremum_pool2d_backward(const std::string&, const Pool2dProblem&, const double*,
                                       const int64_t*, double*);
template void extremum_pool2d_backward(const std::string&, const Pool2dProblem&, const float*,
                                       const uint8_t*, float*);
template void extremum_pool2d_backward(const std::string&, const Pool2dProblem&, const double*,
                                       const uint8_t*, double*);
template void avg_pool2d_forward(const Pool2dProblem&, const float*, float*);
template void avg_pool2d_forward(const Pool2dProblem&, const double*, double*);
template void avg_pool2d_backward(const Pool2dProblem&, const float*, float*);
template void avg_pool2d_backward(const Pool2dProblem&, const double*, double*);
template void global_avg_pool2d_forward(int64_t, int64_t, const float*, float*);
template void global_avg_pool2d_forward(int64_t, int64_t, const double*, double*);
template void global_avg_pool2d_backward(int64_t, int64_t, const float*, float*);
template void global_avg_pool2d_backward(int64_t, int64_t, const double*, double*);
template void global_max_pool2d_forward(int64_t, int64_t, const float*, float*, int64_t*);
template void global_max_pool2d_forward(int64_t, int64_t, const double*, double*, int64_t*);

}  // namespace convolt
