// From arrays to plain pointers and back, for either back end. The order in every binding is the
// same: element type, shapes, output, raw pointers, GIL released, engine. Arrays arrive as the
// Python layer prepared them; here they are only checked, never converted.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "backend.h"
#include "geometry.h"

namespace convolt {

using Pair = std::array<int64_t, 2>;
using Quad = std::array<int64_t, 4>;  // padding: top, bottom, left, right
using OptionalArray = std::optional<Array>;
using OptionalName = std::optional<std::string>;

inline WindowParams window_params(const Pair& stride, const Quad& padding, const Pair& dilation) {
  WindowParams w;
  w.stride_h = stride[0];
  w.stride_w = stride[1];
  w.pad_top = padding[0];
  w.pad_bottom = padding[1];
  w.pad_left = padding[2];
  w.pad_right = padding[3];
  w.dilation_h = dilation[0];
  w.dilation_w = dilation[1];
  return w;
}

// "(2, 3)", "(4,)"
inline std::string shape_text(const std::vector<int64_t>& shape) {
  return py::str(py::tuple(py::cast(shape))).cast<std::string>();
}

inline bool has_shape(const Array& array, const std::vector<int64_t>& shape) {
  return std::equal(shape.begin(), shape.end(), array.shape(), array.shape() + array.ndim());
}

inline bool same_shape(const Array& a, const Array& b) {
  return std::equal(a.shape(), a.shape() + a.ndim(), b.shape(), b.shape() + b.ndim());
}

// Whether no byte belongs to both. The bounds tell: all arrays of the engine are contiguous.
inline bool are_apart(const Array& a, const Array& b) {
  const char* const first = static_cast<const char*>(a.data());
  const char* const second = static_cast<const char*>(b.data());
  return first + a.nbytes() <= second || second + b.nbytes() <= first;
}

template <typename T>
void require_type(const std::string& function, const char* argument, const Array& array) {
  if (!has_type<T>(array)) {
    throw py::type_error(function + ": " + argument + " must have dtype " +
                         py::str(py::dtype::of<T>()).cast<std::string>() + ", got " +
                         dtype_text(array));
  }
}

// Calls f with a value of the array's element type.
template <typename F>
auto with_element_type(const std::string& function, const char* argument, const Array& array,
                       F&& f) {
  if (has_type<float>(array)) return in_call(function, array, [&] { return f(float{}); });
  if (has_type<double>(array)) return in_call(function, array, [&] { return f(double{}); });
  throw py::type_error(function + ": " + argument + " must be float32 or float64, got " +
                       dtype_text(array));
}

inline Shape4 shape4(const std::string& function, const char* argument, const Array& array) {
  if (array.ndim() != 4) {
    throw py::value_error(function + ": " + argument + " must have 4 axes, got shape " +
                          shape_text(array));
  }
  return {array.shape(0), array.shape(1), array.shape(2), array.shape(3)};
}

inline std::vector<int64_t> axes(const Shape4& shape) { return {shape.begin(), shape.end()}; }

template <typename T>
const T* input_data(const std::string& function, const char* argument, const Array& array) {
  require_type<T>(function, argument, array);
  require_ready(function, argument, array);
  return static_cast<const T*>(array.data());
}

// A vector of one element for each of `size` output channels, or null where None came.
template <typename T>
const T* optional_vector(const std::string& function, const char* argument,
                         const OptionalArray& array, int64_t size) {
  if (!array) return nullptr;
  if (array->ndim() != 1 || array->shape(0) != size) {
    throw py::value_error(function + ": " + argument + " must have shape (OC,) = (" +
                          std::to_string(size) + ",), got " + shape_text(*array));
  }
  return input_data<T>(function, argument, *array);
}

// `out` after its checks, or a new array.
template <typename T>
Array make_output(const std::string& function, const OptionalArray& out,
                  const std::vector<int64_t>& shape) {
  if (!out) return new_array<T>(shape);
  require_type<T>(function, "out", *out);
  if (!has_shape(*out, shape)) {
    throw py::value_error(function + ": out must have shape " + shape_text(shape) + ", got " +
                          shape_text(*out));
  }
  if (!out->writeable())
    throw py::value_error(function + ": out must be writeable, got a read-only array");
  require_ready(function, "out", *out);
  return *out;
}

template <typename T>
Array make_output(const std::string& function, const OptionalArray& out, const Shape4& shape) {
  return make_output<T>(function, out, axes(shape));
}

template <typename T>
T* output_data(Array& array) {
  return static_cast<T*>(array.mutable_data());
}

// A new array of that shape with these elements.
template <typename T>
Array array_of(const std::vector<int64_t>& shape, const T* elements) {
  Array array = new_array<T>(shape);
  copy_elements(elements, array.size(), output_data<T>(array));
  return array;
}

}  // namespace convolt
