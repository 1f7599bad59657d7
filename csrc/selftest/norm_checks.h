// The kernels of kernels/normalize_planes.h, with integers: exact in any order.
#pragma once

#include "check.h"
#include "kernel_table.h"

namespace convolt::selftest {

template <typename T>
void check_channel(const KernelTable<T>& kernels, const ChannelPlanes& planes, Guard guard,
                   Random& random) {
  const int64_t last = (planes.count - 1) * planes.pitch + planes.pixels;
  Guarded<T> x(last, guard), dy(last, guard), y(last, guard), dx(last, guard);
  random.fill(x);
  random.fill(dy);
  // What lies between the planes belongs to other channels.
  std::fill(y.begin(), y.end(), T{77});
  std::fill(dx.begin(), dx.end(), T{77});
  std::vector<T> expected_y = y.copy(), expected_dx = dx.copy();
  double sum = 0, product = 0;
  for (int64_t p = 0; p < planes.count; ++p) {
    for (int64_t at = p * planes.pitch; at < p * planes.pitch + planes.pixels; ++at) {
      const auto i = static_cast<std::size_t>(at);
      sum += static_cast<double>(x[at]);
      product += static_cast<double>((dy[at] - 1) * (x[at] - 2));
      expected_y[i] = (x[at] - 2) * 4 + 3;
      expected_dx[i] = (dy[at] - 1 - (x[at] - 2) * T{0.5}) * 8;
    }
  }
  report.begin("normalization of " + std::to_string(planes.count) + " planes of " +
               std::to_string(planes.pixels) + ", " + name(guard));
  report.expect(kernels.channel_sum(x.data(), planes) == sum, "sum");
  report.expect(kernels.centered_dot(dy.data(), T{1}, x.data(), T{2}, planes) == product,
                "product");
  kernels.normalize(x.data(), planes, {T{2}, T{4}, T{3}}, y.data());
  report.expect_equal(y.data(), expected_y, "y");
  kernels.normalize_backward(dy.data(), x.data(), planes, {T{1}, T{2}, T{0.5}, T{8}}, dx.data());
  report.expect_equal(dx.data(), expected_dx, "dx");
}

template <typename T>
void check_normalization(const KernelTable<T>& kernels, Random& random) {
  for (const Guard guard : kGuards) {
    for (int64_t pixels = 1; pixels <= 70; ++pixels) {
      check_channel(kernels, {3, pixels + pixels % 4, pixels}, guard, random);
    }
    for (const int64_t pixels : {1023, 2048, 4097, 9001}) {
      check_channel(kernels, {2, pixels, pixels}, guard, random);
    }
  }
}

}  // namespace convolt::selftest
