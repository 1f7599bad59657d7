// The kernels of kernels/optimizer_steps.h, with numbers of which each step is exact but one: the
// division of Adam, which rounds here as there.
#pragma once

#include <cmath>

#include "check.h"
#include "kernel_table.h"

namespace convolt::selftest {

template <typename T>
void check_steps(const KernelTable<T>& kernels, int64_t count, Guard guard, Random& random) {
  Guarded<T> gradient(count, guard), parameter(count, guard);
  Guarded<T> state(count, guard), second(count, guard);
  for (Guarded<T>* const array : {&gradient, &parameter, &state, &second}) random.fill(*array);
  const OptimizerStep<T> step = {gradient.data(), parameter.data(), state.data(), second.data()};
  const std::string text = " count " + std::to_string(count) + ", " + name(guard);
  std::vector<T> expected_state = state.copy(), expected = parameter.copy();
  const auto all = static_cast<std::size_t>(count);

  report.begin("sgd_step" + text);
  for (std::size_t i = 0; i < all; ++i) {
    expected_state[i] = expected_state[i] / 2 - gradient[static_cast<int64_t>(i)] * 4;
    expected[i] += expected_state[i];
  }
  kernels.sgd_step(step, count, T{0.5}, T{4});
  report.expect_equal(state.data(), expected_state, "velocity");
  report.expect_equal(parameter.data(), expected, "parameter");

  report.begin("adam_step" + text);
  const T decays[] = {T{0.5}, T{0}};
  std::vector<T> expected_second(all);
  for (std::size_t i = 0; i < all; ++i) {
    const T g = gradient[static_cast<int64_t>(i)];
    expected_state[i] = expected_state[i] / 2 + g;
    expected_second[i] = g * g;
    const T scaled = expected_state[i] / (std::fabs(g) + 1);
    expected[i] -= scaled * 2;
  }
  kernels.adam_step(step, count, decays, T{1}, T{2});
  report.expect_equal(state.data(), expected_state, "first moment");
  report.expect_equal(second.data(), expected_second, "second moment");
  report.expect_equal(parameter.data(), expected, "parameter");
}

template <typename T>
void check_optimizers(const KernelTable<T>& kernels, Random& random) {
  for (const Guard guard : kGuards) {
    for (int64_t count = 0; count <= 70; ++count) check_steps(kernels, count, guard, random);
  }
}

}  // namespace convolt::selftest
