// Whole poolings against loops over every element of every window.
#pragma once

#include "check.h"
#include "conv_checks.h"
#include "pool2d.h"
#include "pool_rows_checks.h"

namespace convolt::selftest {

struct PoolCase {
  Shape4 x;
  int64_t kernel_h, kernel_w;
  WindowParams window;
  bool ceil_mode;
};

inline const std::vector<PoolCase> kPoolCases = {
    {{1, 1, 1, 1}, 1, 1, window(1, 1, {0, 0, 0, 0}, 1, 1), false},
    {{2, 3, 8, 10}, 2, 2, window(2, 2, {0, 0, 0, 0}, 1, 1), false},
    {{2, 2, 9, 35}, 3, 3, window(2, 2, {1, 1, 1, 1}, 1, 1), true},
    {{1, 3, 7, 6}, 4, 3, window(3, 1, {3, 1, 2, 0}, 1, 1), true},
    {{1, 2, 6, 70}, 3, 5, window(1, 3, {0, 2, 1, 4}, 1, 1), false},
    {{2, 40, 96, 33}, 3, 3, window(1, 2, {1, 1, 1, 1}, 1, 1), false},
    {{3, 5, 7, 7}, 3, 3, window(1, 1, {1, 1, 1, 1}, 1, 1), false},
    {{2, 9, 6, 5}, 3, 3, window(1, 1, {2, 0, 0, 2}, 1, 1), false},
    {{2, 3, 70, 61}, 3, 3, window(1, 1, {1, 1, 1, 1}, 1, 1), false},
    {{2, 3, 13, 13}, 3, 3, window(2, 2, {0, 0, 0, 0}, 1, 1), false},
    {{2, 3, 14, 14}, 3, 3, window(2, 2, {0, 0, 0, 0}, 1, 1), true},
    {{1, 3, 55, 39}, 3, 3, window(2, 2, {0, 1, 2, 1}, 1, 1), true},
    {{2, 3, 9, 19}, 2, 2, window(1, 1, {1, 0, 0, 1}, 1, 1), false},
    {{2, 3, 9, 19}, 2, 2, window(2, 2, {0, 0, 0, 0}, 1, 1), true},
    {{2, 3, 7, 33}, 2, 2, window(2, 2, {1, 1, 1, 1}, 1, 1), false},
    {{3, 7, 5, 3}, 2, 2, window(2, 2, {0, 0, 0, 0}, 1, 1), false},
    {{0, 3, 4, 4}, 2, 2, window(2, 2, {0, 0, 0, 0}, 1, 1), false},
};

// Calls f(h, w) for the positions of a window along both axes, outside the image too.
template <typename F>
void for_each_position(const Pool2dProblem& p, int64_t oh, int64_t ow, F&& f) {
  const WindowParams& w = p.window;
  for (int64_t kh = 0; kh < p.kernel_h; ++kh) {
    for (int64_t kw = 0; kw < p.kernel_w; ++kw) {
      f(oh * w.stride_h + kh * w.dilation_h - w.pad_top,
        ow * w.stride_w + kw * w.dilation_w - w.pad_left);
    }
  }
}

inline bool inside(const Pool2dProblem& p, int64_t h, int64_t w) {
  return h >= 0 && h < p.in_h && w >= 0 && w < p.in_w;
}

// Calls f(plane, oh, ow, flat output index) for every window.
template <typename F>
void for_each_window(const Pool2dProblem& p, F&& f) {
  for (int64_t i = 0; i < p.planes() * p.out_pixels(); ++i) {
    f(i / p.out_pixels(), i / p.out_w % p.out_h, i % p.out_w, i);
  }
}

template <typename T>
void check_extremum_pool(const Pool2dProblem& p, PoolOperation operation, Guard guard,
                         Random& random) {
  const bool minimum = operation == PoolOperation::kMinimum;
  const int64_t outputs = elements(p.output_shape());
  Guarded<T> x(elements(p.input_shape()), guard), y(outputs, guard), dy(outputs, guard);
  Guarded<T> dx(elements(p.input_shape()), guard);
  Guarded<int64_t> indices(outputs, guard);
  random.fill_special<T>(x);
  random.fill(dy);
  std::fill(dx.begin(), dx.end(), kNan<T>);

  std::vector<T> expected_y, expected_dx(x.copy().size(), T{0});
  std::vector<int64_t> expected_indices;
  std::vector<uint8_t> expected_winners;
  for_each_window(p, [&](int64_t plane, int64_t oh, int64_t ow, int64_t i) {
    int64_t best = -1, tap = 0, winner = 0;
    for_each_position(p, oh, ow, [&](int64_t h, int64_t w) {
      const int64_t number = tap++;
      if (!inside(p, h, w)) return;
      const T* const image = x.data() + plane * p.in_pixels();
      const int64_t here = h * p.in_w + w;
      if (best < 0 || takes_over(image[here], image[best], minimum)) {
        best = here;
        winner = number;
      }
    });
    expected_winners.push_back(static_cast<uint8_t>(winner));
    expected_y.push_back(x[plane * p.in_pixels() + best]);
    expected_indices.push_back(best);
    expected_dx[static_cast<std::size_t>(plane * p.in_pixels() + best)] += dy[i];
  });
  extremum_pool2d_forward<T>("selftest", p, operation, x.data(),
                             {y.data(), nullptr, indices.data()});
  report.expect_equal(y.data(), expected_y, "y");
  report.expect_equal(indices.data(), expected_indices, "indices");
  std::fill(y.begin(), y.end(), T{5});
  extremum_pool2d_forward<T>("selftest", p, operation, x.data(), {y.data(), nullptr, nullptr});
  report.expect_equal(y.data(), expected_y, "y without indices");
  extremum_pool2d_backward("selftest", p, dy.data(), indices.data(), dx.data());
  report.expect_equal(dx.data(), expected_dx, "dx");

  Guarded<uint8_t> winners(outputs, guard);
  std::fill(y.begin(), y.end(), T{5});
  std::fill(dx.begin(), dx.end(), kNan<T>);
  extremum_pool2d_forward<T>("selftest", p, operation, x.data(),
                             {y.data(), winners.data(), nullptr});
  report.expect_equal(y.data(), expected_y, "y with winners");
  report.expect_equal(winners.data(), expected_winners, "winners");
  extremum_pool2d_backward("selftest", p, dy.data(), winners.data(), dx.data());
  report.expect_equal(dx.data(), expected_dx, "dx of winners");
}

// How many elements the average of a window counts: pixels, or the padded image without what lies
// beyond it.
inline int64_t counted(const Pool2dProblem& p, int64_t oh, int64_t ow) {
  int64_t count = 0;
  for_each_position(p, oh, ow, [&](int64_t h, int64_t w) {
    const bool padded =
        p.count_include_pad && h < p.in_h + p.window.pad_bottom && w < p.in_w + p.window.pad_right;
    count += padded || inside(p, h, w) ? 1 : 0;
  });
  return p.divisor_override != 0 ? p.divisor_override : count;
}

template <typename T>
void check_average_pool(const Pool2dProblem& p, Guard guard, Random& random) {
  const int64_t outputs = elements(p.output_shape());
  Guarded<T> x(elements(p.input_shape()), guard), y(outputs, guard), dy(outputs, guard);
  Guarded<T> dx(elements(p.input_shape()), guard);
  random.fill(x);
  std::fill(dx.begin(), dx.end(), kNan<T>);

  std::vector<T> expected_y, expected_dx(x.copy().size(), T{0});
  for_each_window(p, [&](int64_t plane, int64_t oh, int64_t ow, int64_t i) {
    const int64_t share = random.integer(-3, 3);  // of each element: sums of integers are exact
    const int64_t count = counted(p, oh, ow);
    dy[i] = static_cast<T>(share * count);
    T sum = 0;
    for_each_position(p, oh, ow, [&](int64_t h, int64_t w) {
      if (!inside(p, h, w)) return;
      const int64_t index = plane * p.in_pixels() + h * p.in_w + w;
      sum += x[index];
      expected_dx[static_cast<std::size_t>(index)] += static_cast<T>(share);
    });
    expected_y.push_back(sum / static_cast<T>(count));
  });
  avg_pool2d_forward(p, x.data(), y.data());
  report.expect_equal(y.data(), expected_y, "y");
  avg_pool2d_backward(p, dy.data(), dx.data());
  report.expect_equal(dx.data(), expected_dx, "dx");
}

template <typename T>
void check_global_pools(const Shape4& shape, Guard guard, Random& random) {
  const int64_t planes = shape[0] * shape[1], pixels = shape[2] * shape[3];
  Guarded<T> x(planes * pixels, guard), dx(planes * pixels, guard);
  Guarded<T> y(planes, guard), maxima(planes, guard);
  Guarded<int64_t> indices(planes, guard);
  random.fill(x);
  std::vector<T> means, largest, shares;
  std::vector<int64_t> first;
  for (int64_t plane = 0; plane < planes; ++plane) {
    const T* const image = x.data() + plane * pixels;
    T sum = 0;
    for (int64_t i = 0; i < pixels; ++i) sum += image[i];
    means.push_back(sum / static_cast<T>(pixels));
    first.push_back(std::max_element(image, image + pixels) - image);
    largest.push_back(image[first.back()]);
    shares.insert(shares.end(), static_cast<std::size_t>(pixels),
                  means.back() / static_cast<T>(pixels));
  }
  global_avg_pool2d_forward(planes, pixels, x.data(), y.data());
  report.expect_equal(y.data(), means, "mean");
  global_avg_pool2d_backward(planes, pixels, y.data(), dx.data());
  report.expect_equal(dx.data(), shares, "dx of the mean");
  global_max_pool2d_forward(planes, pixels, x.data(), maxima.data(), indices.data());
  report.expect_equal(maxima.data(), largest, "maximum");
  report.expect_equal(indices.data(), first, "index of the maximum");
}

template <typename T>
void check_poolings(Random& random) {
  for (const PoolCase& c : kPoolCases) {
    Pool2dProblem p =
        make_pool2d_problem("selftest", c.x, c.kernel_h, c.kernel_w, c.window, c.ceil_mode);
    for (const Guard guard : kGuards) {
      const std::string text = " x " + to_string(c.x) + ", " + name(guard);
      report.begin("max_pool2d" + text);
      check_extremum_pool<T>(p, PoolOperation::kMaximum, guard, random);
      report.begin("min_pool2d" + text);
      check_extremum_pool<T>(p, PoolOperation::kMinimum, guard, random);
      report.begin("global pools" + text);
      check_global_pools<T>(c.x, guard, random);
      for (const int64_t divisor : {0, 3}) {
        p.count_include_pad = guard == Guard::kBehind;
        p.divisor_override = divisor;
        report.begin("avg_pool2d divisor " + std::to_string(divisor) + text);
        check_average_pool<T>(p, guard, random);
      }
    }
  }
}

}  // namespace convolt::selftest
