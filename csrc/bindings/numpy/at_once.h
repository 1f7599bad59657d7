// Arguments as the caller wrote them, read where they need no preparation: plain arrays that the
// engine can read as they lie, ints, tuples of ints. A small convolution takes a microsecond or
// two, and to bring its arguments into normal form in Python takes more than that.
//
// Nothing is converted and nothing refused here. What a function below does not recognise is left
// to the Python layer, which prepares it or says what is wrong with it.
#pragma once

#include <atomic>
#include <initializer_list>

#include "../arrays.h"

namespace convolt {

inline py::array as_array(py::handle value) { return py::reinterpret_borrow<py::array>(value); }

inline OptionalArray as_optional_array(py::handle value) {
  return value.is_none() ? OptionalArray() : OptionalArray(as_array(value));
}

// False where NumPy arrays are computed elsewhere, on a CUDA device: nothing is an operand then.
inline std::atomic<bool> at_once_allowed{true};

// An ndarray and no subclass, float32 or float64, as the engine reads it.
inline bool is_operand(py::handle value) {
  if (!at_once_allowed.load(std::memory_order_relaxed)) return false;
  if (Py_TYPE(value.ptr()) != py::detail::npy_api::get().PyArray_Type_) return false;
  const py::array array = as_array(value);
  return is_ready(array) && (has_type<float>(array) || has_type<double>(array));
}

inline bool is_operand_like(py::handle value, py::handle other) {
  return is_operand(value) && as_array(value).dtype().num() == as_array(other).dtype().num();
}

// Four axes, the last two with an element: images or filters.
inline bool is_planes(py::handle value) {
  if (!is_operand(value)) return false;
  const py::array array = as_array(value);
  return array.ndim() == 4 && array.shape(2) >= 1 && array.shape(3) >= 1;
}

// None, or an operand that shares no byte with the inputs, which are operands or None.
inline bool is_output(py::handle out, std::initializer_list<py::handle> inputs) {
  if (out.is_none()) return true;
  if (!is_operand(out)) return false;
  return std::all_of(inputs.begin(), inputs.end(), [&](py::handle input) {
    return input.is_none() || are_apart(as_array(out), as_array(input));
  });
}

// An int of at least `least`, and small enough for the engine; a bool is none.
inline std::optional<int64_t> read_int(py::handle value, int64_t least) {
  if (!PyLong_CheckExact(value.ptr())) return std::nullopt;
  int overflow = 0;
  const int64_t result = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
  if (overflow != 0 || result < least || result > kLargestParameter) return std::nullopt;
  return result;
}

// An int for both directions, or a tuple of two.
inline std::optional<Pair> read_pair(py::handle value, int64_t least) {
  py::handle vertical = value;
  py::handle horizontal = value;
  if (PyTuple_CheckExact(value.ptr()) && PyTuple_GET_SIZE(value.ptr()) == 2) {
    vertical = PyTuple_GET_ITEM(value.ptr(), 0);
    horizontal = PyTuple_GET_ITEM(value.ptr(), 1);
  }
  const std::optional<int64_t> h = read_int(vertical, least);
  const std::optional<int64_t> w = read_int(horizontal, least);
  if (!h || !w) return std::nullopt;
  return Pair{*h, *w};
}

// A tuple of two tuples.
inline bool is_nested(py::handle value) {
  return PyTuple_CheckExact(value.ptr()) && PyTuple_GET_SIZE(value.ptr()) == 2 &&
         PyTuple_CheckExact(PyTuple_GET_ITEM(value.ptr(), 0)) &&
         PyTuple_CheckExact(PyTuple_GET_ITEM(value.ptr(), 1));
}

// An int for all sides, a tuple of vertical and horizontal, or a tuple for each of these.
inline std::optional<Quad> read_padding(py::handle value) {
  if (is_nested(value)) {
    const std::optional<Pair> vertical = read_pair(PyTuple_GET_ITEM(value.ptr(), 0), 0);
    const std::optional<Pair> horizontal = read_pair(PyTuple_GET_ITEM(value.ptr(), 1), 0);
    if (!vertical || !horizontal) return std::nullopt;
    return Quad{(*vertical)[0], (*vertical)[1], (*horizontal)[0], (*horizontal)[1]};
  }
  const std::optional<Pair> pair = read_pair(value, 0);
  if (!pair) return std::nullopt;
  const auto [vertical, horizontal] = *pair;
  return Quad{vertical, vertical, horizontal, horizontal};
}

inline std::optional<bool> read_flag(py::handle value) {
  if (value.ptr() == Py_True) return true;
  if (value.ptr() == Py_False) return false;
  return std::nullopt;
}

// A text or None.
inline bool is_name(py::handle value) {
  return value.is_none() || PyUnicode_CheckExact(value.ptr());
}

inline OptionalName read_text(py::handle value) {
  if (!PyUnicode_CheckExact(value.ptr())) return std::nullopt;
  return value.cast<std::string>();
}

// Whether ReLU is asked for.
inline std::optional<bool> read_activation(py::handle value) {
  if (value.is_none()) return false;
  const std::optional<std::string> name = read_text(value);
  return name == "relu" ? std::optional<bool>(true) : std::nullopt;
}

}  // namespace convolt
