#include "depthwise.h"

#include <algorithm>

#include "isa.h"
#include "parallel.h"
#include "tap_rows.h"
#include "workspace.h"

namespace convolt {
namespace {

// Whether the kernels have such a window; that of backward_weights is the window of forward.
template <typename T>
bool has_plane_window(const Conv2dProblem& p) {
  const WindowParams& w = p.window;
  return plane_kernels<T>().plane_windows != nullptr && p.group_in_channels() == 1 &&
         p.kernel_h == p.kernel_w && (p.kernel_h == 3 || p.kernel_h == 5) &&
         w.stride_h == w.stride_w && w.stride_h <= 2 && w.dilation_h == 1 && w.dilation_w == 1;
}

// Products of one call of a kernel, some 100 us: neither the start of a task nor the end of the
// last one counts, and an interrupt is noticed.
constexpr double kProductsPerCall = 1e6;
constexpr int64_t kLeastRows = 16;

double products_of_image(const Conv2dProblem& p) {
  return static_cast<double>(p.out_channels * p.out_pixels()) * static_cast<double>(p.taps());
}

// How many of `total` channels or rows, all of which take so many products, go into a call.
int64_t per_call(int64_t total, double products) {
  return static_cast<int64_t>(static_cast<double>(total) *
                              std::min(kProductsPerCall / std::max(products, 1.0), 1.0));
}

// The planes of all images in stretches of channels, and of rows where planes are large or few:
// what one task does. Nothing here changes a bit of a window.
struct PlaneSplit {
  int threads;
  int64_t channels, channel_parts;
  int64_t rows, row_parts;

  PlaneSplit(const Conv2dProblem& p, int64_t out_rows) {
    const double products = products_of_image(p);
    threads = threads_for(2.0 * static_cast<double>(p.batch) * products);
    channels = std::max<int64_t>(per_call(p.in_channels, products), 1);
    channel_parts = ceil_div(p.in_channels, channels);
    rows = per_call(out_rows, products / static_cast<double>(channel_parts));
    constexpr int64_t kTasksPerThread = 4;
    const int64_t planes = std::max<int64_t>(p.batch * channel_parts, 1);
    if (threads > 1) rows = std::min(rows, ceil_div(out_rows * planes, kTasksPerThread * threads));
    rows = std::min(std::max(rows, kLeastRows), out_rows);
    row_parts = ceil_div(out_rows, rows);
  }
};

// Calls run(image, window) for every task; `window` is that of all planes of one image.
template <typename T, typename F>
void for_each_part(const Conv2dProblem& p, const PlaneSplit& split, const PlaneWindow<T>& window,
                   const F& run) {
  const int64_t parts = split.channel_parts * split.row_parts;
  parallel_for(p.batch * parts, split.threads, [&](int64_t task, int) {
    PlaneWindow<T> own = window;
    const int64_t first = task % parts / split.row_parts * split.channels;
    own.channels = std::min(split.channels, p.in_channels - first);
    own.row_begin = task % split.row_parts * split.rows;
    own.row_end = std::min(window.row_end, own.row_begin + split.rows);
    run(task / parts, first, own);
  });
}

// backward_weights: stretches of channels, and of images where there are few channels; rows of a
// call. All but the threads follows from the shape alone, as the order of the sums does.
struct DotSplit {
  int threads;
  int64_t channels, channel_parts;
  int64_t images, splits;
  int64_t rows;

  explicit DotSplit(const Conv2dProblem& p) {
    const double products = products_of_image(p);
    threads = threads_for(2.0 * static_cast<double>(p.batch) * products);
    constexpr int64_t kTasks = 32;
    channels = std::max<int64_t>(1, p.in_channels / kTasks);
    channel_parts = ceil_div(p.in_channels, channels);
    images = std::max<int64_t>(1, ceil_div(p.batch, ceil_div(kTasks, channel_parts)));
    splits = std::max<int64_t>(1, ceil_div(p.batch, images));
    rows = per_call(p.out_h, products / static_cast<double>(channel_parts));
    rows = std::min(std::max(rows, kLeastRows), p.out_h);
  }
};

template <typename T>
void add_splits(const T* partial, int64_t splits, int64_t elements, T* sums) {
  std::copy_n(partial, elements, sums);
  for (int64_t s = 1; s < splits; ++s) {
    for (int64_t i = 0; i < elements; ++i) sums[i] += partial[s * elements + i];
  }
}

// A row of zeros between two cache lines of them. The masked loads at its ends reach beyond it:
// that is no fault on a page that is not mapped, but takes hundreds of cycles there.
template <typename T>
constexpr int64_t kMargin = static_cast<int64_t>(kCacheLine / sizeof(T));

template <typename T>
std::size_t zero_row_bytes(int64_t count) {
  return static_cast<std::size_t>(count + 2 * kMargin<T>) * sizeof(T);
}

template <typename T>
const T* make_zero_row(std::byte* bytes, int64_t count) {
  T* const row = reinterpret_cast<T*>(bytes);
  std::fill_n(row, count + 2 * kMargin<T>, T{0});
  return row + kMargin<T>;
}

}  // namespace

template <typename T>
void depthwise_forward(const Conv2dProblem& p, const T* x, const T* weight, const T* bias,
                       bool relu, T* y) {
  if (!has_plane_window<T>(p)) return tap_rows_forward(p, x, weight, bias, relu, y);
  const KernelTable<T>& kernels = plane_kernels<T>();
  const Scratch scratch(zero_row_bytes<T>(p.in_w));
  const int64_t outputs = p.group_out_channels();
  const PlaneWindow<T> window = {nullptr,
                                 p.in_h,
                                 p.in_w,
                                 make_zero_row<T>(scratch.data(), p.in_w),
                                 p.kernel_h,
                                 p.window.stride_h,
                                 p.window.pad_top,
                                 p.window.pad_left,
                                 p.out_h,
                                 p.out_w,
                                 0,
                                 p.out_h,
                                 p.in_channels,
                                 outputs,
                                 1};
  for_each_part<T>(
      p, PlaneSplit(p, p.out_h), window, [&](int64_t image, int64_t channel, PlaneWindow<T>& own) {
        const int64_t output = channel * outputs;
        own.image = x + (image * p.in_channels + channel) * p.in_pixels();
        kernels.plane_windows(own, weight + output * p.taps(),
                              y + (image * p.out_channels + output) * p.out_pixels(),
                              Epilogue<T>{bias == nullptr ? nullptr : bias + output, false, relu});
      });
}

template <typename T>
void depthwise_backward_data(const Conv2dProblem& p, const T* dy, const T* weight, const T* bias,
                             T* dx) {
  const int64_t stride = p.window.stride_h;
  if (!has_plane_window<T>(p) || p.group_out_channels() != 1) {
    return tap_rows_backward_data(p, dy, weight, bias, dx);
  }
  const KernelTable<T>& kernels = plane_kernels<T>();
  const Scratch scratch(zero_row_bytes<T>(p.out_w));
  const int64_t rows = ceil_div(p.in_h, stride);
  // With stride 1 it is a window over dy, flipped.
  const PlaneWindow<T> window = {
      nullptr,
      p.out_h,
      p.out_w,
      make_zero_row<T>(scratch.data(), p.out_w),
      p.kernel_h,
      stride,
      stride == 1 ? p.kernel_h - 1 - p.window.pad_top : p.window.pad_top,
      stride == 1 ? p.kernel_w - 1 - p.window.pad_left : p.window.pad_left,
      p.in_h,
      p.in_w,
      0,
      rows,
      p.in_channels,
      1,
      -1};
  for_each_part<T>(p, PlaneSplit(p, rows), window,
                   [&](int64_t image, int64_t channel, PlaneWindow<T>& own) {
                     const int64_t plane = image * p.in_channels + channel;
                     const T* const own_bias = bias == nullptr ? nullptr : bias + channel;
                     const T* const own_weight = weight + channel * p.taps();
                     T* const own_dx = dx + plane * p.in_pixels();
                     own.image = dy + plane * p.out_pixels();
                     if (stride == 2) {
                       kernels.plane_spread(own, own_weight, own_bias, own_dx);
                     } else {
                       kernels.plane_windows(own, own_weight + p.taps() - 1, own_dx,
                                             Epilogue<T>{own_bias, false, false});
                     }
                   });
}

template <typename T>
void depthwise_backward_weights(const Conv2dProblem& p, const T* dy, const T* x, T* dweight) {
  if (!has_plane_window<T>(p)) return tap_rows_backward_weights(p, dy, x, dweight);
  const int64_t elements = p.out_channels * p.taps();
  if (elements == 0) return;
  const KernelTable<T>& kernels = plane_kernels<T>();
  const DotSplit split(p);
  Slicer size;
  size.take<std::byte>(static_cast<int64_t>(zero_row_bytes<T>(p.in_w)));
  size.take<T>(split.splits * elements);
  const std::size_t shared = size.used();
  size.take<T>(split.channels * p.group_out_channels() * p.taps() * kernels.lanes);
  const std::size_t per_thread = size.used() - shared;
  const Scratch scratch(shared + per_thread * static_cast<std::size_t>(split.threads));
  Slicer slices(scratch.data());
  std::byte* const zeros = slices.take<std::byte>(static_cast<int64_t>(zero_row_bytes<T>(p.in_w)));
  T* const partial = split.splits > 1 ? slices.take<T>(split.splits * elements) : dweight;

  const PlaneWindow<T> window = {nullptr,
                                 p.in_h,
                                 p.in_w,
                                 make_zero_row<T>(zeros, p.in_w),
                                 p.kernel_h,
                                 p.window.stride_h,
                                 p.window.pad_top,
                                 p.window.pad_left,
                                 p.out_h,
                                 p.out_w,
                                 0,
                                 p.out_h,
                                 0,
                                 p.group_out_channels(),
                                 1};
  parallel_for(split.splits * split.channel_parts, split.threads, [&](int64_t task, int thread) {
    T* const totals = reinterpret_cast<T*>(scratch.data() + shared +
                                           per_thread * static_cast<std::size_t>(thread));
    const int64_t part = task / split.channel_parts;
    const int64_t first = task % split.channel_parts * split.channels;
    PlaneWindow<T> own = window;
    own.channels = std::min(split.channels, p.in_channels - first);
    const int64_t sums = own.channels * own.outputs * p.taps();
    std::fill_n(totals, sums * kernels.lanes, T{0});
    const int64_t end = std::min(p.batch, (part + 1) * split.images);
    for (int64_t n = part * split.images; n < end; ++n) {
      own.image = x + (n * p.in_channels + first) * p.in_pixels();
      const T* const own_dy = dy + (n * p.out_channels + first * own.outputs) * p.out_pixels();
      for (int64_t row = 0; row < p.out_h && !stop_requested(); row += split.rows) {
        own.row_begin = row;
        own.row_end = std::min(p.out_h, row + split.rows);
        kernels.plane_dots(own, own_dy, totals);
      }
    }
    kernels.sum_dots(totals, sums, partial + part * elements + first * own.outputs * p.taps());
  });
  if (split.splits > 1) add_splits(partial, split.splits, elements, dweight);
}

template void depthwise_forward(const Conv2dProblem&, const float*, const float*, const float*,
                                bool, float*);
template void depthwise_forward(const Conv2dProblem&, const double*, const double*, const double*,
                                bool, double*);
template void depthwise_backward_data(const Conv2dProblem&, const float*, const float*,
                                      const float*, float*);
template void depthwise_backward_data(const Conv2dProblem&, const double*, const double*,
                                      const double*, double*);
template void depthwise_backward_weights(const Conv2dProblem&, const float*, const float*, float*);
template void depthwise_backward_weights(const Conv2dProblem&, const double*, const double*,
                                         double*);

}  // namespace convolt
