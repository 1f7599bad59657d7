// The kernels of pooling, of plane sums and of ReLU, against plain loops.
#pragma once

#include <algorithm>

#include "check.h"
#include "kernel_table.h"

namespace convolt::selftest {

// One row of windows over padded rows, and what is known of it before.
template <typename T>
struct WindowRow {
  Guarded<T> padded;
  std::vector<int64_t> row_starts, tap_starts;
  PoolTaps<T> taps{};
  Guarded<T> values, next_values;
  Guarded<PoolOffset<T>> offsets, next_offsets;

  // Padded rows have a vector of slack, states are whole vectors: that is the kernels' contract.
  WindowRow(int64_t columns, int64_t rows, int64_t row_taps, int64_t lanes, Guard guard,
            Random& random)
      : padded(rows * pitch(columns, row_taps) + lanes, guard),
        values(whole(columns, lanes), guard),
        next_values(whole(columns, lanes), guard),
        offsets(whole(columns, lanes), guard),
        next_offsets(whole(columns, lanes), guard) {
    random.fill_special<T>(padded);
    random.fill_special<T>(values);
    random.fill(next_values);
    for (auto& offset : offsets) offset = static_cast<PoolOffset<T>>(random.integer(0, 1000));
    for (auto& offset : next_offsets) offset = 7;
    for (int64_t r = 0; r < rows; ++r) row_starts.push_back(r * pitch(columns, row_taps));
    for (int64_t k = 0; k < row_taps; ++k) tap_starts.push_back(random.integer(0, row_taps - 1));
    taps = {padded.data(),
            row_starts.data(),
            rows,
            tap_starts.data(),
            row_taps,
            columns,
            random.integer(0, 9),
            1000,
            10};
  }

  static int64_t pitch(int64_t columns, int64_t row_taps) { return columns + row_taps - 1; }
  static int64_t whole(int64_t columns, int64_t lanes) {
    return (columns + lanes - 1) / lanes * lanes;
  }

  // Calls f(value, offset) for each tap of a column, in order.
  template <typename F>
  void for_each_tap(int64_t column, F&& f) {
    for (int64_t r = 0; r < taps.rows; ++r) {
      for (int64_t k = 0; k < taps.taps; ++k) {
        f(padded[taps.row_starts[r] + taps.tap_starts[k] + column],
          static_cast<PoolOffset<T>>(taps.first_offset + r * taps.row_offset +
                                     k * taps.tap_offset));
      }
    }
  }
};

// A NaN stays; else a NaN, or a better value, takes over.
template <typename T>
bool takes_over(T value, T best, bool minimum) {
  if (best != best) return false;
  return value != value || (minimum ? value < best : value > best);
}

template <typename T>
void check_extremum_row(PoolRow<T> kernel, bool minimum, bool with_offsets, bool in_place,
                        WindowRow<T>& row) {
  const int64_t columns = row.taps.columns;
  std::vector<T> values;
  std::vector<PoolOffset<T>> offsets;
  for (int64_t i = 0; i < columns; ++i) {
    T best = row.values[i];
    PoolOffset<T> offset = row.offsets[i];
    row.for_each_tap(i, [&](T value, PoolOffset<T> here) {
      if (!takes_over(value, best, minimum)) return;
      best = value;
      offset = here;
    });
    values.push_back(best);
    offsets.push_back(offset);
  }
  Guarded<T>& to_values = in_place ? row.values : row.next_values;
  Guarded<PoolOffset<T>>& to_offsets = in_place ? row.offsets : row.next_offsets;
  if (!with_offsets) offsets = to_offsets.copy();
  kernel(row.taps, {row.values.data(), row.offsets.data()}, {to_values.data(), to_offsets.data()});
  report.expect_equal(to_values.data(), values, "values");
  report.expect_equal(to_offsets.data(), offsets, "offsets");
}

template <typename T>
void check_sum_row(const KernelTable<T>& kernels, WindowRow<T>& row, Random& random) {
  if (random.integer(0, 3) > 0) {
    random.fill(row.padded);
    random.fill(row.values);
  }
  std::vector<T> sums;
  for (int64_t i = 0; i < row.taps.columns; ++i) {
    T sum = row.values[i];
    row.for_each_tap(i, [&](T value, PoolOffset<T>) { sum += value; });
    sums.push_back(sum);
  }
  kernels.sum_row(row.taps, {row.values.data(), nullptr}, {row.next_values.data(), nullptr});
  report.expect_equal(row.next_values.data(), sums, "sums");
}

template <typename T>
void check_window_rows(const KernelTable<T>& kernels, Random& random) {
  const struct {
    const char* name;
    PoolRow<T> kernel;
    bool minimum, with_offsets;
  } extrema[] = {{"max_row", kernels.max_row, false, false},
                 {"min_row", kernels.min_row, true, false},
                 {"max_row_with_offsets", kernels.max_row_with_offsets, false, true},
                 {"min_row_with_offsets", kernels.min_row_with_offsets, true, true}};
  for (int64_t columns = 1; columns <= 9 * kernels.lanes + 1;
       columns += random.integer(1, kernels.lanes / 2 + 1)) {
    for (const Guard guard : kGuards) {
      const int64_t rows = random.integer(1, 3), taps = random.integer(1, 4);
      const std::string text = " columns " + std::to_string(columns) + " of " +
                               std::to_string(rows) + " x " + std::to_string(taps) + ", " +
                               name(guard);
      for (const auto& extremum : extrema) {
        report.begin(extremum.name + text);
        WindowRow<T> row(columns, rows, taps, kernels.lanes, guard, random);
        check_extremum_row(extremum.kernel, extremum.minimum, extremum.with_offsets, false, row);
        check_extremum_row(extremum.kernel, extremum.minimum, extremum.with_offsets, true, row);
      }
      report.begin("sum_row" + text);
      WindowRow<T> row(columns, rows, taps, kernels.lanes, guard, random);
      check_sum_row(kernels, row, random);
    }
  }
}

template <typename T>
void check_rows(const KernelTable<T>& kernels, int64_t count, Guard guard, Random& random) {
  const std::string text = " count " + std::to_string(count) + ", " + name(guard);
  Guarded<T> x(count, guard), y(count, guard), divisors(count, guard);
  Guarded<PoolOffset<T>> offsets(count, guard);
  Guarded<int64_t> indices(count, guard);
  random.fill(x);
  random.fill(y);
  for (T& divisor : divisors) divisor = static_cast<T>(random.integer(1, 5));
  for (auto& offset : offsets) offset = static_cast<PoolOffset<T>>(random.integer(3, 99));

  report.begin("add_row" + text);
  std::vector<T> expected = y.copy();
  for (int64_t i = 0; i < count; ++i) expected[static_cast<std::size_t>(i)] += x[i];
  kernels.add_row(x.data(), count, y.data());
  report.expect_equal(y.data(), expected, "y");

  report.begin("divide_row" + text);
  for (int64_t i = 0; i < count; ++i) {
    expected[static_cast<std::size_t>(i)] = x[i] / (T{3} * divisors[i]);
  }
  kernels.divide_row(x.data(), count, T{3}, divisors.data(), y.data());
  report.expect_equal(y.data(), expected, "y");

  report.begin("relu_backward" + text);
  random.fill_special<T>(x);
  random.fill_special<T>(divisors);
  for (int64_t i = 0; i < count; ++i) {
    expected[static_cast<std::size_t>(i)] = x[i] > 0 || std::isnan(x[i]) ? divisors[i] : T{0};
  }
  kernels.relu_backward(divisors.data(), x.data(), count, y.data());
  report.expect_equal(y.data(), expected, "dx");

  report.begin("widen_offsets" + text);
  constexpr int64_t kBase = int64_t{1} << 40, kShift = -3, kStep = 2;
  std::vector<int64_t> expected_indices(offsets.begin(), offsets.end());
  for (int64_t i = 0; i < count; ++i) {
    expected_indices[static_cast<std::size_t>(i)] += kBase + kShift + i * kStep;
  }
  kernels.widen_offsets(offsets.data(), count, kBase, kShift, kStep, indices.data());
  report.expect_equal(indices.data(), expected_indices, "indices");
}

template <typename T>
void check_spread_row(const KernelTable<T>& kernels, int64_t step, Guard guard, Random& random) {
  report.begin("spread_row step " + std::to_string(step) + ", " + name(guard));
  const int64_t count = random.integer(1, 40), taps = random.integer(1, 5);
  const int64_t width = (count - 1) * step + 1;
  Guarded<T> values(count, guard), row(width, guard);
  random.fill(values);
  random.fill(row);
  std::vector<RowSampling> samplings;
  std::vector<T> expected = row.copy();
  for (int64_t k = 0; k < taps; ++k) {
    const int64_t start = random.integer(-step - 2, step + 2);
    RowSampling sampling = {start, start < 0 ? (-start + step - 1) / step : 0, count};
    while (sampling.end > 0 && start + (sampling.end - 1) * step >= width) --sampling.end;
    sampling.begin = std::min(sampling.begin, sampling.end);
    samplings.push_back(sampling);
    for (int64_t i = sampling.begin; i < sampling.end; ++i) {
      expected[static_cast<std::size_t>(start + i * step)] += values[i];
    }
  }
  kernels.spread_row(values.data(), samplings.data(), taps, step, row.data());
  report.expect_equal(row.data(), expected, "row");
}

template <typename T>
void check_plane(const KernelTable<T>& kernels, int64_t count, Guard guard, Random& random) {
  const std::string text = " count " + std::to_string(count) + ", " + name(guard);
  Guarded<T> x(count, guard);
  random.fill(x);
  report.begin("sum" + text);
  T total = 0;
  for (const T element : x) total += element;
  const auto sum = [&] { return kernels.channel_sum(x.data(), {1, 0, count}); };
  report.expect(sum() == static_cast<double>(total), "sum of integers");
  if (count == 0) return;

  report.begin("first_maximum" + text);
  const int64_t largest = std::max_element(x.begin(), x.end()) - x.begin();
  report.expect(kernels.first_maximum(x.data(), count) == largest, "the first of equal elements");
  x[random.integer(0, count - 1)] = kNan<T>;
  x[random.integer(0, count - 1)] = kNan<T>;
  int64_t first_nan = 0;
  while (x[first_nan] == x[first_nan]) ++first_nan;
  report.expect(kernels.first_maximum(x.data(), count) == first_nan, "the first NaN");
  report.expect(std::isnan(sum()), "a sum with a NaN is one");
  std::fill(x.begin(), x.end(), -kInfinity<T>);
  report.expect(kernels.first_maximum(x.data(), count) == 0, "the first of nothing but -inf");
}

template <typename T>
void check_pooling(const KernelTable<T>& kernels, Random& random) {
  check_window_rows(kernels, random);
  for (const Guard guard : kGuards) {
    for (int64_t count = 0; count <= 40; ++count) check_rows(kernels, count, guard, random);
    for (int64_t count = 0; count <= 140; count += 3) check_plane(kernels, count, guard, random);
    for (const int64_t count : {1023, 1024, 1025, 4096, 9001}) {
      check_plane(kernels, count, guard, random);
    }
    for (int repeat = 0; repeat < 10; ++repeat) {
      for (const int64_t step : {1, 2, 3}) check_spread_row(kernels, step, guard, random);
    }
  }
}

}  // namespace convolt::selftest
