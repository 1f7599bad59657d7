// What the kernels are given to work on. Plain data: the kernel objects include this file too, and
// it must not give them a function to emit (see kernels/kernels.cpp).
#pragma once

#include <cstddef>
#include <cstdint>

namespace convolt {

// What happens to a tile of C when its sum over one block of k is done:
//     c = (accumulate ? c : 0) + sum,  then + bias[row] if bias,  then max(c, 0) if relu.
// Without accumulate C is only written, so it may hold anything before, NaN included.
template <typename T>
struct Epilogue {
  const T* bias;  // of the tile's first row, or null
  bool accumulate;
  bool relu;
};

// What a tile of C is the product of, packed or where it lies.
template <typename T>
struct TileOperands {
  const T* a;  // of a panel, where lda = mr if packed: a[k * lda + i];  of rows: a[i * lda + k]
  int64_t lda;
  const T* b;  // b[k * ldb + j]; ldb = nr in a packed panel
  int64_t ldb;
};

// c[i * ldc + j] for i < rows, j < vectors * lanes.
template <typename T>
using GemmMicrokernel = void (*)(int64_t kc, const TileOperands<T>& operands, T* c, int64_t ldc,
                                 const Epilogue<T>& epilogue);

// A stretch of consecutive packed columns whose sources are consecutive as well.
struct PixelRun {
  int64_t source;  // offset of the first one from the plane's base, at tap offset 0
  int64_t column;  // its column in the panel
  int64_t length;
};

// Panels of packed columns: panel p is made of runs [first_run[p], first_run[p + 1]).
struct PixelPanels {
  const PixelRun* runs;
  const int64_t* first_run;
  int64_t panels;
  int64_t panel_pitch;  // elements from panel to panel in the packed block,
  int64_t row_pitch;    // and from tap to tap in a panel
};

// Where the rows of a product go: row i of a run of columns to
// c + i * row_stride + run.source + x_stride * (column in the run).
template <typename T>
struct TileTarget {
  T* c;
  int64_t row_stride, x_stride;
  const PixelRun* runs;
  const int64_t* first_run;  // of each panel
};

// One horizontal sampling of a padded row: sample i reads x = start + i * step, and lies inside the
// image for i in [begin, end); the others get the fill value.
struct RowSampling {
  int64_t start, begin, end;
};

// The padded rows that a block of windows needs of one plane:
//     padded[row][sampling][i], samplings of `samples` elements each, rows `row_pitch` apart.
struct PaddedRows {
  const int64_t* row_offsets;  // of each row in the plane; negative: outside the image
  int64_t rows;
  const RowSampling* samplings;
  int64_t sampling_count;
  int64_t samples;
  int64_t step;
  int64_t row_pitch;
};

// The rows of the column matrix that belong to a row of windows: for each window some runs of
// `length` elements, one for each channel and row of the kernel. See kernels/window_runs.h.
struct WindowRuns {
  const int64_t* run_offsets;
  int64_t runs, length;
  int64_t pitch;  // from window to window in the matrix
  const int64_t* window_offsets;
  int64_t windows;
};

// Rows of `length` windows for each of some taps of the column matrix. See kernels/tap_planes.h.
struct TapRows {
  const int64_t* tap_offsets;
  int64_t taps, tap_pitch;
  int64_t rows, row_pitch, col_pitch;  // from row to row in the padded rows and in the matrix
  int64_t length;
};

// How far a tap of a pooling window lies behind the first one in the plane, in as many bits as the
// element, so that it can be selected along with it; modulo 2^32 or 2^64.
template <typename T>
struct PoolOffsetOf;
template <>
struct PoolOffsetOf<float> {
  using type = uint32_t;
};
template <>
struct PoolOffsetOf<double> {
  using type = uint64_t;
};
template <typename T>
using PoolOffset = typename PoolOffsetOf<T>::type;

// The taps of one output row: tap (r, k) of column i is padded[row_starts[r] + tap_starts[k] + i],
// at offset first_offset + r * row_offset + k * tap_offset.
template <typename T>
struct PoolTaps {
  const T* padded;
  const int64_t* row_starts;
  int64_t rows;
  const int64_t* tap_starts;
  int64_t taps;
  int64_t columns;
  int64_t first_offset, row_offset, tap_offset;
};

// What is known of each output column: the best value or the sum so far and, where indices are
// wanted, the offset of the best. Scratch, a whole number of vectors.
template <typename T>
struct PoolState {
  T* values;
  PoolOffset<T>* offsets;
};

// Carries the state of a row of windows over the given taps; `from` and `to` may be the same.
template <typename T>
using PoolRow = void (*)(const PoolTaps<T>& taps, const PoolState<T>& from, const PoolState<T>& to);

enum class PoolOperation { kMaximum, kMinimum, kSum };

// Windows of one size both ways, 2 or 3, with stride 1 or 2 and no dilation, over whole planes or,
// if it is only one plane, over some rows of it: kernels/pool_windows.h.
template <typename T>
struct PoolWindows {
  PoolOperation operation;
  const T* x;
  int64_t planes, in_h, in_w;
  int64_t readable;  // elements of x behind the last row that the windows see
  int64_t kernel, stride;
  int64_t pad_top, pad_left;
  int64_t out_h, out_w;
  int64_t row_begin, row_end;  // the output rows to do
  const T* row_divisors;       // of sums: what each is divided by is a product of two,
  const T* column_divisors;    // and these can be read as whole vectors
  T* y;  // rows shorter than a vector are written as whole ones: as much room behind the last
  uint8_t* winners;  // of extrema, like y: the tap u * kernel + v of each; or null, for maxima
};

// The gradient of averages over the same windows, or of extrema over 2 x 2 with stride 2 and no
// padding before, of whole planes: kernels/pool_gradient.h.
template <typename T>
struct PoolGradient {
  const T* dy;
  const uint8_t* winners;  // of extrema; null: averages, and then
  const T* row_divisors;
  const T* column_divisors;
  T* dx;
  int64_t planes, in_h, in_w;
  int64_t kernel, stride;
  int64_t pad_top, pad_left;
  int64_t out_h, out_w;
  T* scratch;  // room.rows * pitch elements
  int64_t pitch;
};

// What it takes of scratch: so many rows, which are as long as a row of dx, the padding before it
// and `slack` together, and a whole number of vectors.
struct PoolGradientRoom {
  int64_t slack, rows;
};

// The taps of a convolution in padded rows: tap t of column i of output row r is
//     padded[tap_starts[t] + r * row_pitch + i].
// They come channel by channel, row by row. Where row_step > 0, output rows share them: tap
// (ky + row_step, kx) of row r is tap (ky, kx) of row r + 1, and the taps of all tap rows lie
// alike.
template <typename T>
struct RowWindow {
  const T* padded;
  const int64_t* tap_starts;
  int64_t taps;
  int64_t row_pitch;
  int64_t rows, columns;
};

// Depthwise windows over whole planes, kernel x kernel of them, 3 or 5, with stride 1 or 2 both
// ways and no dilation. Output plane c * outputs + m sees plane c of the image.
template <typename T>
struct PlaneWindow {
  const T* image;
  int64_t in_h, in_w;
  const T* zeros;  // a row of them, for what lies above and below the image
  int64_t kernel, stride;
  int64_t pad_top, pad_left;  // negative: so many rows or columns are left out
  int64_t out_h, out_w;
  int64_t row_begin, row_end;  // the output rows to do
  int64_t channels, outputs;
  int64_t weight_step;  // from tap to tap: 1, or -1 for the flipped window
};

// Rows of several planes: data[plane * plane_pitch + row * row_pitch + column].
template <typename T>
struct PlaneRows {
  T* data;
  int64_t plane_pitch, row_pitch;
};

// Tiles side by side, columns of Winograd's products from `column` on: their image begins at
// `offset`, and there the first of them at (y, x), which may lie outside.
struct WinogradRun {
  int64_t offset, y, x;
  int64_t column, tiles;
};
struct WinogradRuns {
  const WinogradRun* data;
  int64_t count;
};

// Channels of an image of one size.
template <typename T>
struct WinogradPlanes {
  T* data;
  int64_t channels, h, w;
};

// Filters: the taps of (row, channel) are data[row * row_step + channel * channel_step + ..],
// from the last to the first if flipped.
template <typename T>
struct WinogradFilters {
  const T* data;
  int64_t rows, channels;
  int64_t row_step, channel_step;
  bool flipped;
};

// Matrices, one for each element of a tile:  data[element * step + row * pitch + column].
template <typename T>
struct WinogradMatrices {
  T* data;
  int64_t step, pitch;
};

// Column by column, a row for each channel. Writes whole vectors as far as `columns`.
template <typename T>
using WinogradTransform = void (*)(const WinogradPlanes<const T>& planes, const WinogradRuns& runs,
                                   int64_t columns, const WinogradMatrices<T>& v);

// The transforms of one size of tile, kernels/winograd_tiles.h.
template <typename T>
struct WinogradKernels {
  WinogradTransform<T> input;
  // A row for each row of filters, a column for each channel. Writes whole vectors.
  void (*filter)(const WinogradFilters<T>& filters, const WinogradMatrices<T>& u);
  // Reads whole vectors.
  void (*output)(const WinogradMatrices<const T>& m, const WinogradRuns& runs, const T* bias,
                 bool relu, const WinogradPlanes<T>& planes);
};

// The gradient of filters of one size, kernels/winograd_gradient.h, with the input of
// winograd_4x4 for 3 x 3 filters and of winograd_2x2_of_5x5 for 5 x 5.
template <typename T>
struct WinogradGradientKernels {
  WinogradTransform<T> dy;
  // dweight[channel * taps + tap] of a row of filters from m[element * step + channel].
  void (*filters)(const T* m, int64_t step, int64_t channels, T* dweight);
};

// The planes of a channel in all images, and the maps of batch normalization,
// kernels/normalize_planes.h.
struct ChannelPlanes {
  int64_t count, pitch, pixels;
};
template <typename T>
struct Normalization {
  T mean, scale, shift;
};
template <typename T>
struct NormalizationGradient {
  T dy_mean, x_mean, x_slope, scale;
};

// An update of a parameter, kernels/optimizer_steps.h. `state`: the velocity or the first moment,
// `second` the second one.
template <typename T>
struct OptimizerStep {
  const T* gradient;
  T *parameter, *state, *second;
};

}  // namespace convolt
