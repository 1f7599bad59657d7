// What the engine asks of the kernels: block sizes and function pointers, one table per ISA and
// element type. Plain data: the kernel objects include this file too, and it must not give them a
// function to emit (see kernels/kernels.cpp).
#pragma once

#include "kernel_operands.h"

namespace convolt {

template <typename T>
struct KernelTable {
  // Register tile and blocks of the GEMM: kernels/gemm_microkernel.h has the arithmetic.
  int64_t mr, nr, lanes;
  int64_t kc, mc, nc;
  const GemmMicrokernel<T>* gemm_microkernels;          // [(vectors - 1) * mr + rows - 1] in use
  const GemmMicrokernel<T>* gemm_microkernels_of_rows;  // of A

  // Copies the rows into `padded`; everything outside the image becomes `fill`.
  void (*pad_rows)(const PaddedRows& rows, const T* plane, T fill, T* padded);

  // dst[p * panel_pitch + t * row_pitch + run.column + i] = plane[tap_offsets[t] + run.source + i]
  // for every panel p, its runs, and every tap t. The loose form reads and writes up to NR - 1
  // elements past the end of a run: for sources and destinations that are scratch, and runs in
  // ascending order.
  void (*gather_taps)(const T* plane, const int64_t* tap_offsets, int64_t taps,
                      const PixelPanels& panels, T* dst);
  void (*gather_taps_exact)(const T* plane, const int64_t* tap_offsets, int64_t taps,
                            const PixelPanels& panels, T* dst);

  // dst[k * dst_stride + r] = src[r * row_stride + k] for r < rows, k < count.
  // The next call is expected to read `ahead` elements behind src.
  void (*interleave_rows)(const T* src, int64_t row_stride, int64_t rows, int64_t count, T* dst,
                          int64_t dst_stride, int64_t ahead);

  // im2col, col2im, unfold, fold: kernels/stage_rows.h, window_runs.h, tap_planes.h. Padded rows
  // have a vector of slack behind them.
  void (*stage_rows)(const PaddedRows& rows, const T* plane, T* padded);
  void (*add_staged_rows)(const PaddedRows& rows, const T* padded, T* plane);
  void (*write_staged_rows)(const PaddedRows& rows, int64_t width, const T* padded, T* plane);
  void (*copy_window_runs)(const WindowRuns& runs, const T* padded, T* col);
  void (*add_window_runs)(const WindowRuns& runs, const T* col, T* padded);
  void (*copy_tap_rows)(const TapRows& rows, const T* padded, T* col);
  void (*add_tap_rows)(const TapRows& rows, const T* col, T* padded);

  // dst[(i / width) * panel_pitch + k * dst_stride + i % width] = src[k * src_stride + i] for
  // k < count, i < rows. The width is MR or NR.
  void (*copy_panels)(const T* src, int64_t src_stride, int64_t count, int64_t rows, int64_t width,
                      T* dst, int64_t dst_stride, int64_t panel_pitch);

  // Pooling straight over the planes; null where the instruction set has no such kernels.
  // False: one of the elements is NaN, or with winners infinite, and the results are worthless.
  bool (*pool_windows)(const PoolWindows<T>& windows);
  void (*pool_gradient)(const PoolGradient<T>& gradient);
  PoolGradientRoom pool_gradient_room;
  // Pooling of any window: kernels/pool_rows.h.
  PoolRow<T> max_row, min_row;  // offsets are not touched
  PoolRow<T> max_row_with_offsets, min_row_with_offsets;
  PoolRow<T> sum_row;
  // indices[i] = base + (offsets[i] + shift + i * step), the bracket modulo 2^32 or 2^64.
  void (*widen_offsets)(const PoolOffset<T>* offsets, int64_t count, int64_t base, int64_t shift,
                        int64_t step, int64_t* indices);
  // y[i] = x[i] / (row_divisor * column_divisors[i])
  void (*divide_row)(const T* x, int64_t count, T row_divisor, const T* column_divisors, T* y);
  void (*add_row)(const T* x, int64_t count, T* y);
  // row[tap.start + i * step] += values[i] for every tap and i in [tap.begin, tap.end).
  void (*spread_row)(const T* values, const RowSampling* taps, int64_t tap_count, int64_t step,
                     T* row);
  // Planes of `count` elements behind each other, kernels/plane_sums.h: the mean of each, and one
  // value for all of each.
  void (*plane_means)(const T* x, int64_t planes, int64_t count, T* means);
  void (*fill_planes)(const T* values, int64_t planes, int64_t count, T* y);
  int64_t (*first_maximum)(const T* x, int64_t count);  // NaN counts as largest; count >= 1

  // dx[i] = y[i] <= 0 ? 0 : dy[i], where y is the output of ReLU; dx may be dy.
  void (*relu_backward)(const T* dy, const T* y, int64_t count, T* dx);

  // Batch normalization of a channel, kernels/normalize_planes.h:
  //   the sums of x[i] and of (a[i] - a_mean) * (b[i] - b_mean),
  //   y[i] = (x[i] - mean) * scale + shift,
  //   dx[i] = (dy[i] - dy_mean - (x[i] - x_mean) * x_slope) * scale
  double (*channel_sum)(const T* x, const ChannelPlanes& planes);
  double (*centered_dot)(const T* a, T a_mean, const T* b, T b_mean, const ChannelPlanes& planes);
  void (*normalize)(const T* x, const ChannelPlanes& planes, const Normalization<T>& n, T* y);
  void (*normalize_backward)(const T* dy, const T* x, const ChannelPlanes& planes,
                             const NormalizationGradient<T>& n, T* dx);

  // Brings the first `rows` rows of a tile of sums, `pitch` elements each, to the runs of one
  // panel.
  void (*store_tile)(const T* tile, int64_t pitch, int64_t rows, const TileTarget<T>& target,
                     int64_t panel, const Epilogue<T>& epilogue);

  // Depthwise windows, kernels/plane_windows.h, or null where tap_rows has to do: weight[(c *
  // outputs + m) * taps + t * step].
  void (*plane_windows)(const PlaneWindow<T>& window, const T* weight, T* y,
                        const Epilogue<T>& epilogue);
  // The gradient of the image of windows with stride 2: `image` is dy, with one output for each
  // channel, and row_begin and row_end count pairs of rows of dx.
  void (*plane_spread)(const PlaneWindow<T>& window, const T* weight, const T* bias, T* dx);
  // totals[((c * outputs + m) * taps + t) * lanes + ..] += the dot products with dy, in parts.
  void (*plane_dots)(const PlaneWindow<T>& window, const T* dy, T* totals);

  // Any window, from padded rows, kernels/tap_rows.h: all taps of some rows of `outputs` planes of
  // y, weight[t * outputs + m]; and the dot products totals[(m * taps + t) * lanes + ..].
  void (*tap_rows)(const RowWindow<T>& window, const T* weight, int64_t outputs,
                   const PlaneRows<T>& y, const Epilogue<T>& epilogue);
  void (*tap_dots)(const RowWindow<T>& window, const PlaneRows<const T>& dy, int64_t outputs,
                   T* totals);
  // sums[i] = the sum of totals[i * lanes ..] over the lanes.
  void (*sum_dots)(const T* totals, int64_t count, T* sums);

  WinogradKernels<T> winograd_2x2, winograd_4x4, winograd_2x2_of_5x5;
  WinogradGradientKernels<T> winograd_gradient_3x3, winograd_gradient_5x5;

  // state = momentum * state - rate * gradient;  parameter += state
  void (*sgd_step)(const OptimizerStep<T>& step, int64_t count, T momentum, T rate);
  // state = decay * state + gradient, second likewise of its squares with the second decay;
  // parameter -= state / (sqrt(second) + eps) * rate
  void (*adam_step)(const OptimizerStep<T>& step, int64_t count, const T* decays, T eps, T rate);

  // GFLOP/s need a yardstick: runs independent chains of multiply-adds, returns the operations.
  double (*fma_chains)(int64_t iterations, T* sink);
};

struct KernelTables {
  KernelTable<float> f32;
  KernelTable<double> f64;
};

namespace baseline {
extern const KernelTables kTables;
}
namespace avx2 {
extern const KernelTables kTables;
}
namespace avx512 {
extern const KernelTables kTables;
}
namespace neon {
extern const KernelTables kTables;
}

}  // namespace convolt
