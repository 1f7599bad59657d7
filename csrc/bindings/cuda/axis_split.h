// An array seen around one of its axes.
#pragma once

#include <string>

#include "../arrays.h"

namespace convolt {

// (outer, count, inner): the axis itself is the middle one.
struct AxisSplit {
  std::size_t axis;
  int64_t outer, count, inner;
};

// A negative axis counts from the last.
inline AxisSplit split_at(const std::string& function, const Array& x, int64_t axis) {
  const int64_t from_front = axis < 0 ? axis + x.ndim() : axis;
  if (from_front < 0 || from_front >= x.ndim()) {
    throw py::value_error(function + ": axis must be one of shape " + shape_text(x) + ", got " +
                          std::to_string(axis));
  }
  AxisSplit split = {static_cast<std::size_t>(from_front), 1, x.shape(from_front), 1};
  for (int64_t i = 0; i < from_front; ++i) split.outer *= x.shape(i);
  for (int64_t i = from_front + 1; i < x.ndim(); ++i) split.inner *= x.shape(i);
  return split;
}

}  // namespace convolt
