// From NumPy arrays to plain pointers and back. The order in every binding is the same: element
// type, shapes, output, raw pointers, GIL released, engine. Arrays arrive as the Python layer
// prepared them; here they are only checked, never converted.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "geometry.h"
#include "parallel.h"
#include "workspace.h"

namespace convolt {

namespace py = pybind11;
using Pair = std::array<int64_t, 2>;
using Quad = std::array<int64_t, 4>;  // padding: top, bottom, left, right
using OptionalArray = std::optional<py::array>;
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

inline std::string shape_text(const py::array& array) {
  return py::str(array.attr("shape")).cast<std::string>();
}

inline bool is_ready(const py::array& array) {
  constexpr int kNeeded = py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  return (array.flags() & kNeeded) == kNeeded;
}

inline void require_ready(const std::string& function, const char* argument,
                          const py::array& array) {
  if (!is_ready(array)) {
    const std::string strides = py::str(array.attr("strides")).cast<std::string>();
    const bool aligned = (array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0;
    throw py::value_error(function + ": " + argument + " must be C-contiguous and aligned, got " +
                          (aligned ? "" : "misaligned elements, ") + "strides " + strides +
                          " for shape " + shape_text(array));
  }
}

// Whether no byte belongs to both. The bounds tell: all arrays of the engine are contiguous.
inline bool are_apart(const py::array& a, const py::array& b) {
  const char* const first = static_cast<const char*>(a.data());
  const char* const second = static_cast<const char*>(b.data());
  return first + a.nbytes() <= second || second + b.nbytes() <= first;
}

// Native byte order only: the kernels read the bytes as they are. A single byte has none.
template <typename T>
bool has_type(const py::array& array) {
  const py::dtype type = array.dtype();
  return type.num() == py::dtype::num_of<T>() && (sizeof(T) == 1 || type.byteorder() == '=');
}

template <typename T>
void require_type(const std::string& function, const char* argument, const py::array& array) {
  if (!has_type<T>(array)) {
    throw py::type_error(function + ": " + argument + " must have dtype " +
                         py::str(py::dtype::of<T>()).cast<std::string>() + ", got " +
                         py::str(array.dtype()).cast<std::string>());
  }
}

// A MemoryError that names the function. Inside the template below it would be a copy for each use.
[[noreturn]] inline void throw_memory_error(const std::string& function,
                                            const std::bad_alloc& error) {
  const auto* const asked = dynamic_cast<const OutOfMemory*>(&error);
  const std::string size = asked == nullptr ? "" : std::to_string(asked->bytes) + " bytes of ";
  py::set_error(PyExc_MemoryError,
                (function + ": unable to allocate " + size + "working memory").c_str());
  throw py::error_already_set();
}

// Calls f. NumPy's own errors, which name the shape of an array, pass.
template <typename F>
auto with_memory_errors(const std::string& function, F&& f) {
  try {
    return f();
  } catch (const std::bad_alloc& error) {
    throw_memory_error(function, error);
  }
}

// Calls f with a value of the array's element type.
template <typename F>
auto with_element_type(const std::string& function, const char* argument, const py::array& array,
                       F&& f) {
  if (has_type<float>(array)) return with_memory_errors(function, [&] { return f(float{}); });
  if (has_type<double>(array)) return with_memory_errors(function, [&] { return f(double{}); });
  throw py::type_error(function + ": " + argument + " must be float32 or float64, got " +
                       py::str(array.dtype()).cast<std::string>());
}

inline Shape4 shape4(const std::string& function, const char* argument, const py::array& array) {
  if (array.ndim() != 4) {
    throw py::value_error(function + ": " + argument + " must have 4 axes, got shape " +
                          shape_text(array));
  }
  return {array.shape(0), array.shape(1), array.shape(2), array.shape(3)};
}

template <typename T>
const T* input_data(const std::string& function, const char* argument, const py::array& array) {
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

// `out` after its checks, or a new array. NumPy raises MemoryError where there is none.
template <typename T>
py::array make_output(const std::string& function, const OptionalArray& out,
                      const std::vector<int64_t>& shape) {
  if (!out) return py::array(py::dtype::of<T>(), shape);
  require_type<T>(function, "out", *out);
  if (!std::equal(shape.begin(), shape.end(), out->shape(), out->shape() + out->ndim())) {
    throw py::value_error(function + ": out must have shape " +
                          py::str(py::tuple(py::cast(shape))).cast<std::string>() + ", got " +
                          shape_text(*out));
  }
  if (!out->writeable())
    throw py::value_error(function + ": out must be writeable, got a read-only array");
  require_ready(function, "out", *out);
  return *out;
}

template <typename T>
py::array make_output(const std::string& function, const OptionalArray& out, const Shape4& shape) {
  return make_output<T>(function, out, std::vector<int64_t>(shape.begin(), shape.end()));
}

template <typename T>
T* output_data(py::array& array) {
  return static_cast<T*>(array.mutable_data());
}

// Runs the engine with the GIL released; Ctrl-C, found by the engine, arrives as its exception.
template <typename F>
void without_gil(F&& f) {
  restart_interrupt_clock();
  try {
    const py::gil_scoped_release release;
    f();
  } catch (const Interrupted&) {
    throw py::error_already_set();
  }
}

void register_conv(py::module_& m);
void register_im2col(py::module_& m);
void register_info(py::module_& m);
void register_norm(py::module_& m);
void register_optim(py::module_& m);
void register_pool(py::module_& m);

}  // namespace convolt
