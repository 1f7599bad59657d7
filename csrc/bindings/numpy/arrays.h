// NumPy arrays, computed by the engine on the CPU: the back end of convolt._core.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "algorithm.h"
#include "batch_norm.h"
#include "conv2d.h"
#include "geometry.h"
#include "im2col.h"
#include "optimizers.h"
#include "parallel.h"
#include "pool2d.h"
#include "workspace.h"

namespace convolt {

namespace py = pybind11;
namespace engine = convolt;
using Array = py::array;

inline py::object as_object(py::array array) { return py::object(std::move(array)); }

inline std::string shape_text(const py::array& array) {
  return py::str(array.attr("shape")).cast<std::string>();
}

inline std::string dtype_text(const py::array& array) {
  return py::str(array.dtype()).cast<std::string>();
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

// It owns its elements.
template <typename T>
void require_ready(const std::string&, const char*, const PreparedWeight<T>&) {}

// Native byte order only: the kernels read the bytes as they are. A single byte has none.
template <typename T>
bool has_type(const py::array& array) {
  const py::dtype type = array.dtype();
  return type.num() == py::dtype::num_of<T>() && (sizeof(T) == 1 || type.byteorder() == '=');
}

// NumPy raises MemoryError where there is no room.
template <typename T>
py::array new_array(const std::vector<int64_t>& shape) {
  return py::array(py::dtype::of<T>(), shape);
}

template <typename T>
void copy_elements(const T* from, int64_t count, T* to) {
  std::copy_n(from, count, to);
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

// Calls f, which is what a function does with `operand` and others. NumPy's own errors, which name
// the shape of an array, pass.
template <typename Operand, typename F>
auto in_call(const std::string& function, const Operand&, F&& f) {
  try {
    return f();
  } catch (const std::bad_alloc& error) {
    throw_memory_error(function, error);
  }
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

}  // namespace convolt
