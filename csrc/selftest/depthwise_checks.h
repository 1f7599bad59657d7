// The kernels of narrow convolutions against the equations of their contracts (plane_windows.h,
// plane_dots.h, plane_spread.h, tap_rows.h, tap_dots.h).
#pragma once

#include "check.h"
#include "kernel_table.h"

namespace convolt::selftest {

// A depthwise window and the size of its output.
struct PlaneCase {
  int64_t kernel, stride, pad_top, pad_left;
  int64_t out_h, out_w;
  int64_t extra_h, extra_w;  // of the image, beyond what the windows need
  int64_t outputs;
  Guard guard;

  std::string text() const {
    return std::to_string(kernel) + "x" + std::to_string(kernel) + " stride " +
           std::to_string(stride) + " padding " + std::to_string(pad_top) + ", " +
           std::to_string(pad_left) + " output " + std::to_string(out_h) + "x" +
           std::to_string(out_w) + ", " + name(guard);
  }
};

constexpr int64_t kPlaneChannels = 2;

template <typename T>
PlaneWindow<T> plane_window(const PlaneCase& c) {
  PlaneWindow<T> w{};
  w.in_h = std::max<int64_t>(1, (c.out_h - 1) * c.stride + c.kernel - c.pad_top + c.extra_h);
  w.in_w = std::max<int64_t>(1, (c.out_w - 1) * c.stride + c.kernel - c.pad_left + c.extra_w);
  w.kernel = c.kernel;
  w.stride = c.stride;
  w.pad_top = c.pad_top;
  w.pad_left = c.pad_left;
  w.out_h = c.out_h;
  w.out_w = c.out_w;
  w.row_end = c.out_h;
  w.channels = kPlaneChannels;
  w.outputs = c.outputs;
  w.weight_step = 1;
  return w;
}

// Calls f(image, tap, output) with the flat indices of every product inside the image, and of the
// output plane's own taps.
template <typename T, typename F>
void for_each_plane_product(const PlaneWindow<T>& w, F&& f) {
  const int64_t taps = w.kernel * w.kernel;
  for (int64_t plane = 0; plane < w.channels * w.outputs; ++plane) {
    for (int64_t i = 0; i < w.out_h * w.out_w; ++i) {
      for (int64_t t = 0; t < taps; ++t) {
        const int64_t y = i / w.out_w * w.stride + t / w.kernel - w.pad_top;
        const int64_t x = i % w.out_w * w.stride + t % w.kernel - w.pad_left;
        if (y < 0 || y >= w.in_h || x < 0 || x >= w.in_w) continue;
        f((plane / w.outputs * w.in_h + y) * w.in_w + x, plane * taps + t,
          plane * w.out_h * w.out_w + i);
      }
    }
  }
}

template <typename T>
void check_plane(const KernelTable<T>& kernels, const PlaneCase& c, Random& random) {
  PlaneWindow<T> w = plane_window<T>(c);
  const int64_t planes = w.channels * w.outputs, taps = w.kernel * w.kernel;
  Guarded<T> image(w.channels * w.in_h * w.in_w, c.guard), zeros(w.in_w, c.guard);
  Guarded<T> weight(planes * taps, c.guard), bias(planes, c.guard);
  Guarded<T> y(planes * w.out_h * w.out_w, c.guard), dy(planes * w.out_h * w.out_w, c.guard);
  Guarded<T> totals(planes * taps * kernels.lanes, c.guard), sums(planes * taps, c.guard);
  for (Guarded<T>* const array : {&image, &weight, &bias, &dy}) random.fill(*array);
  std::fill(zeros.begin(), zeros.end(), T{0});
  std::fill(totals.begin(), totals.end(), T{0});
  w.image = image.data();
  w.zeros = zeros.data();

  std::vector<T> expected_y(y.copy().size()), expected_sums(sums.copy().size(), T{0});
  for (std::size_t i = 0; i < expected_y.size(); ++i) {
    expected_y[i] = bias[static_cast<int64_t>(i) / (w.out_h * w.out_w)];
  }
  for_each_plane_product(w, [&](int64_t x, int64_t tap, int64_t out) {
    expected_y[static_cast<std::size_t>(out)] += weight[tap] * image[x];
    expected_sums[static_cast<std::size_t>(tap)] += dy[out] * image[x];
  });
  for (T& element : expected_y) element = std::max(element, T{0});

  report.begin("plane_windows " + c.text());
  kernels.plane_windows(w, weight.data(), y.data(), Epilogue<T>{bias.data(), false, true});
  report.expect_equal(y.data(), expected_y, "y");
  // In two parts, the upper one last: it must leave the rows of the lower alone.
  std::fill(y.begin(), y.end(), kNan<T>);
  for (const bool lower : {true, false}) {
    w.row_begin = lower ? c.out_h / 2 : 0;
    w.row_end = lower ? c.out_h : c.out_h / 2;
    if (w.row_begin == w.row_end) continue;
    kernels.plane_windows(w, weight.data(), y.data(), Epilogue<T>{bias.data(), false, true});
  }
  report.expect_equal(y.data(), expected_y, "y in two parts");
  w.row_begin = 0;
  w.row_end = c.out_h;

  report.begin("plane_dots " + c.text());
  kernels.plane_dots(w, dy.data(), totals.data());
  kernels.sum_dots(totals.data(), planes * taps, sums.data());
  report.expect_equal(sums.data(), expected_sums, "dweight");
}

// The gradient of an image of windows with stride 2; `c` is the forward window.
template <typename T>
void check_spread(const KernelTable<T>& kernels, const PlaneCase& c, Random& random) {
  report.begin("plane_spread " + c.text());
  const PlaneWindow<T> forward = plane_window<T>(c);
  Guarded<T> dy(kPlaneChannels * c.out_h * c.out_w, c.guard), zeros(c.out_w, c.guard);
  Guarded<T> dx(kPlaneChannels * forward.in_h * forward.in_w, c.guard);
  Guarded<T> weight(kPlaneChannels * c.kernel * c.kernel, c.guard), bias(kPlaneChannels, c.guard);
  for (Guarded<T>* const array : {&dy, &weight, &bias}) random.fill(*array);
  std::fill(zeros.begin(), zeros.end(), T{0});
  std::fill(dx.begin(), dx.end(), kNan<T>);

  std::vector<T> expected(dx.copy().size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    expected[i] = bias[static_cast<int64_t>(i) / (forward.in_h * forward.in_w)];
  }
  for_each_plane_product(forward, [&](int64_t x, int64_t tap, int64_t out) {
    expected[static_cast<std::size_t>(x)] += weight[tap] * dy[out];
  });

  PlaneWindow<T> w = forward;
  w.image = dy.data();
  w.zeros = zeros.data();
  std::swap(w.in_h, w.out_h);
  std::swap(w.in_w, w.out_w);
  w.row_end = (w.out_h + 1) / 2;
  kernels.plane_spread(w, weight.data(), bias.data(), dx.data());
  report.expect_equal(dx.data(), expected, "dx");
}

// Any taps of padded rows: several outputs, and starts in no order.
template <typename T>
void check_taps(const KernelTable<T>& kernels, int64_t outputs, int64_t columns, Guard guard,
                Random& random) {
  report.begin("tap_rows of " + std::to_string(outputs) + " outputs, " + std::to_string(columns) +
               " columns, " + name(guard));
  const int64_t taps = random.integer(1, 13), rows = random.integer(1, 3);
  std::vector<int64_t> starts(static_cast<std::size_t>(taps));
  for (int64_t& start : starts) start = random.integer(0, 50);
  RowWindow<T> w = {nullptr, starts.data(), taps, columns + random.integer(0, 9), rows, columns};
  const int64_t slack = std::max(columns, kernels.lanes);  // a whole vector is readable
  Guarded<T> padded(50 + (rows - 1) * w.row_pitch + slack, guard);
  Guarded<T> weight(taps * outputs, guard), bias(outputs, guard);
  const int64_t y_pitch = columns + 2, plane_pitch = rows * y_pitch;
  Guarded<T> y((outputs - 1) * plane_pitch + (rows - 1) * y_pitch + columns, guard);
  Guarded<T> totals(outputs * taps * kernels.lanes, guard), sums(outputs * taps, guard);
  for (Guarded<T>* const array : {&padded, &weight, &bias, &y, &totals}) random.fill(*array);
  w.padded = padded.data();

  std::vector<T> expected_y = y.copy(), expected_sums(sums.copy().size(), T{0});
  for (int64_t i = 0; i < outputs * taps * kernels.lanes; ++i) {
    expected_sums[static_cast<std::size_t>(i / kernels.lanes)] += totals[i];
  }
  for (int64_t m = 0; m < outputs; ++m) {
    for (int64_t i = 0; i < rows * columns; ++i) {
      const int64_t at = m * plane_pitch + i / columns * y_pitch + i % columns;
      T sum = bias[m];
      for (int64_t t = 0; t < taps; ++t) {
        const T tap =
            padded[starts[static_cast<std::size_t>(t)] + i / columns * w.row_pitch + i % columns];
        sum += weight[t * outputs + m] * tap;
        expected_sums[static_cast<std::size_t>(m * taps + t)] += y[at] * tap;
      }
      expected_y[static_cast<std::size_t>(at)] = std::max(sum, T{0});
    }
  }
  // The dots first: y plays dy.
  kernels.tap_dots(w, PlaneRows<const T>{y.data(), plane_pitch, y_pitch}, outputs, totals.data());
  kernels.sum_dots(totals.data(), outputs * taps, sums.data());
  report.expect_equal(sums.data(), expected_sums, "dweight");
  kernels.tap_rows(w, weight.data(), outputs, PlaneRows<T>{y.data(), plane_pitch, y_pitch},
                   Epilogue<T>{bias.data(), false, true});
  report.expect_equal(y.data(), expected_y, "y");
}

template <typename T>
void check_depthwise(const KernelTable<T>& kernels, Random& random) {
  const int64_t lanes = kernels.lanes;
  for (const Guard guard : kGuards) {
    for (const int64_t out_w :
         {int64_t{1}, lanes - 1, lanes, lanes + 1, 2 * lanes, 3 * lanes + lanes / 2}) {
      for (const int64_t out_h : {1, 2, 3, 4, 7, 9}) {
        if (kernels.plane_windows == nullptr) break;
        for (const int64_t stride : {1, 2}) {
          for (const int64_t kernel : {3, 5}) {
            const int64_t pad = random.integer(0, kernel + 1);
            const int64_t pad_left = random.integer(0, lanes + 2);
            const PlaneCase c = {kernel,
                                 stride,
                                 pad,
                                 pad_left,
                                 out_h,
                                 out_w,
                                 random.integer(-kernel, 1),
                                 random.integer(-kernel, 1),
                                 random.integer(1, 2),
                                 guard};
            check_plane(kernels, c, random);
            PlaneCase single = c;
            single.outputs = 1;
            if (stride == 2) check_spread(kernels, single, random);
          }
        }
      }
      for (const int64_t outputs : {1, 2, 3, 4, 7}) {
        check_taps(kernels, outputs, out_w, guard, random);
      }
    }
  }
}

}  // namespace convolt::selftest
