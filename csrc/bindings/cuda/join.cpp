// Arrays side by side along an axis, and the parts of one.
#include "../arrays.h"
#include "../subjects.h"
#include "axis_split.h"
#include "cuda/elementwise.h"

namespace convolt {
namespace {

using cuda::Extents;
using cuda::Shape;

// `outer` rows of `row` elements from one array to another; the strides are from row to row.
void copy_rows(int64_t itemsize, int64_t outer, int64_t row, const char* from, int64_t from_stride,
               char* to, int64_t to_stride) {
  const auto last_two = [](int64_t first, int64_t second, int64_t filler) {
    Extents extents;
    extents.fill(filler);
    extents[extents.size() - 2] = first;
    extents[extents.size() - 1] = second;
    return extents;
  };
  without_gil([&] {
    cuda::copy_strided(itemsize, last_two(outer, row, 1), from, last_two(from_stride, 1, 0), to,
                       last_two(to_stride, 1, 0));
  });
}

// The shape of the joined arrays, after its checks.
Shape joined_shape(const std::string& function, const std::vector<Array>& arrays,
                   std::size_t axis) {
  Shape shape = arrays[0].extents();
  shape[axis] = 0;
  for (const Array& array : arrays) {
    Shape expected = shape;
    if (array.ndim() == arrays[0].ndim()) expected[axis] = array.extents()[axis];
    if (array.extents() != expected) {
      throw py::value_error(function + ": arrays must have one shape but for the axis, got " +
                            shape_text(arrays[0]) + " and " + shape_text(array));
    }
    if (array.type() != arrays[0].type()) {
      throw py::type_error(function + ": arrays must have one dtype, got " + dtype_text(arrays[0]) +
                           " and " + dtype_text(array));
    }
    shape[axis] += array.extents()[axis];
  }
  return shape;
}

Array join(const std::vector<Array>& arrays, int64_t axis) {
  const std::string function = "join";
  if (arrays.empty()) throw py::value_error(function + ": arrays must not be empty");
  const std::size_t joined = split_at(function, arrays[0], axis).axis;
  const Shape shape = joined_shape(function, arrays, joined);
  return in_call(function, arrays[0], [&] {
    Array result = without_gil([&] { return Array(arrays[0].type(), shape); });
    const int64_t itemsize = result.itemsize();
    const AxisSplit whole = split_at(function, result, axis);
    const int64_t stride = whole.count * whole.inner;
    char* to = static_cast<char*>(result.mutable_data());
    for (const Array& array : arrays) {
      require_ready(function, "each array", array);
      const int64_t row = array.extents()[joined] * whole.inner;
      if (array.size() == 0) continue;
      copy_rows(itemsize, whole.outer, row, static_cast<const char*>(array.data()), row, to,
                stride);
      to += row * itemsize;
    }
    return result;
  });
}

Array part(const Array& array, int64_t axis, int64_t start, int64_t stop) {
  const std::string function = "part";
  const AxisSplit split = split_at(function, array, axis);
  if (start < 0 || stop < start || stop > split.count) {
    throw py::value_error(function + ": start, stop must be a range of the axis of " +
                          std::to_string(split.count) + ", got " + std::to_string(start) + ", " +
                          std::to_string(stop));
  }
  Shape shape = array.extents();
  shape[split.axis] = stop - start;
  return in_call(function, array, [&] {
    require_ready(function, "array", array);
    Array result = without_gil([&] { return Array(array.type(), shape); });
    if (result.size() == 0) return result;
    const int64_t row = (stop - start) * split.inner;
    const char* const from =
        static_cast<const char*>(array.data()) + start * split.inner * array.itemsize();
    copy_rows(array.itemsize(), split.outer, row, from, split.count * split.inner,
              static_cast<char*>(result.mutable_data()), row);
    return result;
  });
}

}  // namespace

void register_join(py::module_& m) {
  using py::arg;
  m.def("join", &join, arg("arrays"), arg("axis"));
  m.def("part", &part, arg("array"), arg("axis"), arg("start"), arg("stop"));
}

}  // namespace convolt
