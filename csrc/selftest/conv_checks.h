// Whole convolutions and column matrices against loops over every product.
#pragma once

#include "check.h"
#include "conv2d.h"
#include "im2col.h"
#include "plan.h"

namespace convolt::selftest {

struct ConvCase {
  Shape4 x, weight;
  WindowParams window;
  int64_t groups;
};

inline WindowParams window(int64_t stride_h, int64_t stride_w, const Shape4& padding,
                           int64_t dilation_h, int64_t dilation_w) {
  return {stride_h,   stride_w,   padding[0], padding[1],
          padding[2], padding[3], dilation_h, dilation_w};
}

inline int64_t elements(const Shape4& shape) { return shape[0] * shape[1] * shape[2] * shape[3]; }

inline int64_t flat(const Shape4& shape, int64_t i, int64_t j, int64_t k, int64_t l) {
  return ((i * shape[1] + j) * shape[2] + k) * shape[3] + l;
}

// Small shapes around the tile sizes, one that several threads share, and one with long sums.
inline const std::vector<ConvCase> kConvCases = {
    {{1, 1, 1, 1}, {1, 1, 1, 1}, window(1, 1, {0, 0, 0, 0}, 1, 1), 1},
    {{2, 3, 7, 9}, {5, 3, 3, 3}, window(1, 1, {1, 1, 1, 1}, 1, 1), 1},
    {{3, 4, 7, 7}, {15, 4, 1, 1}, window(1, 1, {0, 0, 0, 0}, 1, 1), 1},
    {{1, 2, 5, 37}, {7, 2, 3, 5}, window(1, 2, {0, 2, 3, 1}, 2, 1), 1},
    {{2, 2, 9, 8}, {3, 2, 3, 2}, window(3, 2, {2, 0, 1, 1}, 1, 3), 1},
    {{2, 6, 5, 6}, {4, 3, 2, 3}, window(1, 1, {3, 3, 4, 4}, 1, 1), 2},
    {{2, 5, 6, 19}, {10, 1, 3, 3}, window(2, 1, {1, 1, 1, 1}, 1, 1), 5},
    {{1, 60, 4, 5}, {2, 60, 3, 3}, window(1, 1, {1, 1, 1, 1}, 1, 1), 1},
    {{1, 1, 3, 600}, {2, 1, 1, 3}, window(1, 1, {0, 0, 1, 1}, 1, 1), 1},
    {{2, 16, 24, 24}, {17, 16, 3, 3}, window(1, 1, {1, 1, 1, 1}, 1, 1), 1},
    {{0, 2, 4, 4}, {3, 2, 3, 3}, window(1, 1, {0, 0, 0, 0}, 1, 1), 1},
    // Winograd: rows of tiles that end within vectors, images and channels likewise; no padding and
    // more than the kernel reaches; tiles beyond a strip; channels beyond a block of sums.
    {{3, 20, 13, 27}, {23, 20, 3, 3}, window(1, 1, {0, 1, 2, 0}, 1, 1), 1},
    {{1, 9, 4, 150}, {7, 9, 3, 3}, window(1, 1, {4, 3, 0, 5}, 1, 1), 1},
    {{2, 8, 60, 62}, {4, 4, 3, 3}, window(1, 1, {1, 1, 1, 1}, 1, 1), 2},
    {{1, 260, 5, 6}, {9, 260, 3, 3}, window(1, 1, {1, 1, 1, 1}, 1, 1), 1},
    {{2, 9, 11, 23}, {19, 9, 5, 5}, window(1, 1, {2, 2, 1, 4}, 1, 1), 1},
    {{1, 34, 6, 70}, {6, 17, 5, 5}, window(1, 1, {0, 3, 5, 0}, 1, 1), 2},
    // Few columns, with and without stride; tall blocks of A; planes read where they lie; and
    // gradients whose phases are joined.
    {{1, 133, 1, 5}, {135, 133, 1, 2}, window(1, 1, {0, 0, 0, 1}, 1, 1), 1},
    {{1, 133, 1, 13}, {9, 133, 1, 3}, window(1, 2, {0, 0, 1, 0}, 1, 1), 1},
    {{1, 241, 4, 4}, {9, 241, 2, 2}, window(1, 1, {0, 0, 0, 0}, 1, 1), 1},
    {{3, 14, 4, 8}, {13, 14, 1, 1}, window(1, 1, {0, 0, 0, 0}, 1, 1), 1},
    {{2, 11, 17, 19}, {13, 11, 3, 3}, window(2, 2, {1, 1, 1, 1}, 1, 1), 1},
    {{2, 18, 11, 41}, {20, 9, 2, 5}, window(2, 3, {0, 0, 1, 0}, 1, 1), 2},
    {{1, 9, 2, 805}, {9, 9, 1, 1}, window(1, 2, {0, 0, 0, 0}, 1, 1), 1},
};

// Calls f(x, weight, y) with the flat indices of every product of the convolution.
template <typename F>
void for_each_product(const Conv2dProblem& p, F&& f) {
  const Shape4 weight = {p.out_channels, p.group_in_channels(), p.kernel_h, p.kernel_w};
  const WindowParams& w = p.window;
  for (int64_t i = 0; i < elements(weight); ++i) {
    const int64_t kw = i % p.kernel_w, kh = i / p.kernel_w % p.kernel_h;
    const int64_t c = i / p.taps() % weight[1], oc = i / p.taps() / weight[1];
    const int64_t channel = oc / p.group_out_channels() * weight[1] + c;
    for (int64_t n = 0; n < p.batch; ++n) {
      for (int64_t oh = 0; oh < p.out_h; ++oh) {
        const int64_t h = oh * w.stride_h + kh * w.dilation_h - w.pad_top;
        if (h < 0 || h >= p.in_h) continue;
        for (int64_t ow = 0; ow < p.out_w; ++ow) {
          const int64_t x = ow * w.stride_w + kw * w.dilation_w - w.pad_left;
          if (x < 0 || x >= p.in_w) continue;
          f(flat(p.input_shape(), n, channel, h, x), i, flat(p.output_shape(), n, oc, oh, ow));
        }
      }
    }
  }
}

// Starts from the bias of each channel, or from zero.
template <typename T>
std::vector<T> channel_planes(const Shape4& shape, const T* bias) {
  std::vector<T> planes;
  for (int64_t plane = 0; plane < shape[0] * shape[1]; ++plane) {
    planes.insert(planes.end(), static_cast<std::size_t>(shape[2] * shape[3]),
                  bias == nullptr ? T{0} : bias[plane % shape[1]]);
  }
  return planes;
}

inline std::vector<Algorithm> algorithms_for(const Conv2dProblem& p) {
  std::vector<Algorithm> algorithms = {Algorithm::kAuto, Algorithm::kGemm};
  for (const Algorithm asked : {Algorithm::kWinograd2x2, Algorithm::kWinograd4x4}) {
    if (winograd_applies(asked, p.kernel_h, p.kernel_w, p.window)) algorithms.push_back(asked);
  }
  return algorithms;
}

// Sums of small integers are exact, but Winograd's transforms round. The sums are of products of at
// most 9, and a wrong one is wrong by 1 at least.
template <typename T>
T tolerance(const Conv2dProblem& p, Pass pass, Algorithm algorithm) {
  const Algorithm chosen = plan<T>(p, pass, algorithm);
  if (!is_winograd(chosen)) return 0;
  const int64_t products = pass == Pass::kBackwardWeights
                               ? p.batch * p.out_pixels()
                               : p.taps() * std::max(p.group_in_channels(), p.group_out_channels());
  return 16 * 9 * static_cast<T>(products) * std::numeric_limits<T>::epsilon();
}

template <typename T>
void check_conv(const Conv2dProblem& p, const Shape4& weight_shape, Guard guard, Random& random) {
  const Shape4 x_shape = p.input_shape(), y_shape = p.output_shape();
  Guarded<T> x(elements(x_shape), guard), weight(elements(weight_shape), guard);
  Guarded<T> y(elements(y_shape), guard), dy(elements(y_shape), guard);
  Guarded<T> dx(elements(x_shape), guard), dweight(elements(weight_shape), guard);
  Guarded<T> bias(p.out_channels, guard), x_bias(p.in_channels, guard);
  Guarded<T> dbias(p.out_channels, guard);
  for (Guarded<T>* const array : {&x, &weight, &dy, &bias, &x_bias}) random.fill(*array);
  std::fill(dbias.begin(), dbias.end(), kNan<T>);

  std::vector<T> expected_y = channel_planes(y_shape, bias.data());
  std::vector<T> expected_dx = channel_planes(x_shape, x_bias.data());
  std::vector<T> expected_dweight(static_cast<std::size_t>(elements(weight_shape)), T{0});
  std::vector<T> expected_dbias(static_cast<std::size_t>(p.out_channels), T{0});
  for_each_product(p, [&](int64_t ix, int64_t iw, int64_t iy) {
    expected_y[static_cast<std::size_t>(iy)] += weight[iw] * x[ix];
    expected_dx[static_cast<std::size_t>(ix)] += weight[iw] * dy[iy];
    expected_dweight[static_cast<std::size_t>(iw)] += x[ix] * dy[iy];
  });
  for (T& element : expected_y) element = std::max(element, T{0});
  for (int64_t i = 0; i < elements(y_shape); ++i) {
    expected_dbias[static_cast<std::size_t>(i / p.out_pixels() % p.out_channels)] += dy[i];
  }

  const PreparedWeight<T> prepared(weight.data(), elements(weight_shape));
  for (const Algorithm algorithm : algorithms_for(p)) {
    const T y_tolerance = tolerance<T>(p, Pass::kForward, algorithm);
    const T dx_tolerance = tolerance<T>(p, Pass::kBackwardData, algorithm);
    for (Guarded<T>* const array : {&y, &dx, &dweight, &dbias}) {
      std::fill(array->begin(), array->end(), kNan<T>);
    }
    conv2d_forward(p, algorithm, x.data(), weight.data(), bias.data(), true, y.data());
    report.expect_close(y.data(), expected_y, y_tolerance, "y");
    std::fill(y.begin(), y.end(), kNan<T>);
    conv2d_forward(p, algorithm, x.data(), prepared, bias.data(), true, y.data());
    report.expect_close(y.data(), expected_y, y_tolerance, "y of a prepared weight");
    conv2d_backward_data(p, algorithm, dy.data(), weight.data(), x_bias.data(), dx.data());
    report.expect_close(dx.data(), expected_dx, dx_tolerance, "dx");
    const T dweight_tolerance = tolerance<T>(p, Pass::kBackwardWeights, algorithm);
    for (T* const with_bias : {static_cast<T*>(nullptr), dbias.data()}) {
      conv2d_backward_weights(p, algorithm, dy.data(), x.data(), dweight.data(), with_bias);
      report.expect_close(dweight.data(), expected_dweight, dweight_tolerance, "dweight");
    }
    report.expect_equal(dbias.data(), expected_dbias, "dbias beside dweight");
  }
  conv2d_backward_bias(y_shape, dy.data(), dbias.data());
  report.expect_equal(dbias.data(), expected_dbias, "dbias");
}

// Calls f(x, window, tap) for every element of the column matrix that lies inside the image; the
// window counts over all images, the tap over all channels.
template <typename F>
void for_each_column_element(const Conv2dProblem& p, F&& f) {
  Conv2dProblem plane = p;  // one filter that sees one channel at a time
  plane.groups = plane.out_channels = plane.in_channels;
  for_each_product(plane, [&](int64_t ix, int64_t iw, int64_t iy) {
    const int64_t image = iy / p.out_pixels() / p.in_channels;
    f(ix, image * p.out_pixels() + iy % p.out_pixels(), iw);
  });
}

template <typename T>
void check_columns(const Conv2dProblem& p, ColumnLayout layout, Guard guard, Random& random) {
  const int64_t taps = p.in_channels * p.taps();
  const auto column_index = [&](int64_t w, int64_t tap) {
    if (layout == ColumnLayout::kWindows) return w * taps + tap;
    return (w / p.out_pixels() * taps + tap) * p.out_pixels() + w % p.out_pixels();
  };
  Guarded<T> x(elements(p.input_shape()), guard), col(p.batch * p.out_pixels() * taps, guard);
  random.fill(x);
  std::fill(col.begin(), col.end(), kNan<T>);
  std::vector<T> expected_col(col.copy().size(), T{0});
  for_each_column_element(p, [&](int64_t ix, int64_t w, int64_t tap) {
    expected_col[static_cast<std::size_t>(column_index(w, tap))] = x[ix];
  });
  im2col(p, layout, x.data(), col.data());
  report.expect_equal(col.data(), expected_col, "col");

  random.fill(col);
  std::fill(x.begin(), x.end(), kNan<T>);
  std::vector<T> expected_x(x.copy().size(), T{0});
  for_each_column_element(p, [&](int64_t ix, int64_t w, int64_t tap) {
    expected_x[static_cast<std::size_t>(ix)] += col[column_index(w, tap)];
  });
  col2im(p, layout, col.data(), x.data());
  report.expect_equal(x.data(), expected_x, "x of col2im");
}

template <typename T>
void check_convolutions(Random& random) {
  for (const ConvCase& c : kConvCases) {
    const Conv2dProblem p = make_conv2d_problem("selftest", c.x, c.weight, c.window, c.groups);
    const Conv2dProblem columns =
        make_im2col_problem("selftest", c.x, c.weight[2], c.weight[3], c.window);
    for (const Guard guard : kGuards) {
      const std::string text =
          " x " + to_string(c.x) + " weight " + to_string(c.weight) + ", " + name(guard);
      report.begin("conv2d" + text);
      check_conv<T>(p, c.weight, guard, random);
      report.begin("im2col" + text);
      check_columns<T>(columns, ColumnLayout::kWindows, guard, random);
      report.begin("unfold" + text);
      check_columns<T>(columns, ColumnLayout::kTaps, guard, random);
    }
  }
}

}  // namespace convolt::selftest
