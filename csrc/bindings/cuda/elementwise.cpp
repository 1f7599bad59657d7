// Arithmetic on device arrays: what layers and optimizers do between convolutions.
#include "cuda/elementwise.h"

#include <variant>

#include "../arrays.h"
#include "../subjects.h"
#include "axis_split.h"
#include "cuda/blas.h"

namespace convolt {
namespace {

using cuda::Binary;
using cuda::Extents;
using cuda::Shape;
using cuda::Unary;
using ArrayOrNumber = std::variant<double, Array>;

template <typename Operation>
using Named = std::pair<const char*, Operation>;

constexpr std::array<Named<Unary>, 7> kUnary = {{{"negative", Unary::kNegative},
                                                 {"absolute", Unary::kAbsolute},
                                                 {"exp", Unary::kExp},
                                                 {"log", Unary::kLog},
                                                 {"sqrt", Unary::kSqrt},
                                                 {"reciprocal", Unary::kReciprocal},
                                                 {"tanh", Unary::kTanh}}};

constexpr std::array<Named<Binary>, 11> kBinary = {{{"add", Binary::kAdd},
                                                    {"subtract", Binary::kSubtract},
                                                    {"multiply", Binary::kMultiply},
                                                    {"divide", Binary::kDivide},
                                                    {"maximum", Binary::kMaximum},
                                                    {"minimum", Binary::kMinimum},
                                                    {"power", Binary::kPower},
                                                    {"greater", Binary::kGreater},
                                                    {"greater_equal", Binary::kGreaterEqual},
                                                    {"less", Binary::kLess},
                                                    {"less_equal", Binary::kLessEqual}}};

template <typename Table>
auto operation_named(const std::string& name, const Table& table) {
  for (const auto& [known, operation] : table) {
    if (name == known) return operation;
  }
  throw py::value_error("name must be that of an operation, got '" + name + "'");
}

// The result may take the place of an operand of its shape, and share no byte otherwise.
void require_apart(const std::string& function, const Array& out, const Array& operand) {
  const bool is_same = out.data() == operand.data() && same_shape(out, operand);
  if (!is_same && !are_apart(out, operand)) {
    throw py::value_error(function + ": out must not overlap an operand");
  }
}

Array unary(const std::string& name, const Array& x, const OptionalArray& out) {
  const Unary operation = operation_named(name, kUnary);
  return with_element_type(name, "x", x, [&](auto type) {
    using T = decltype(type);
    const T* const x_data = input_data<T>(name, "x", x);
    Array y = make_output<T>(name, out, x.extents());
    require_apart(name, y, x);
    without_gil([&] { cuda::unary(operation, x.size(), x_data, output_data<T>(y)); });
    return y;
  });
}

// NumPy's rule: shapes are aligned at the right, and an extent of 1 is repeated.
Shape broadcast_shape(const std::string& function, const Array& a, const Array& b) {
  const Array& longer = a.ndim() >= b.ndim() ? a : b;
  const Array& shorter = a.ndim() >= b.ndim() ? b : a;
  Shape shape = longer.extents();
  const int64_t missing = longer.ndim() - shorter.ndim();
  for (int64_t axis = 0; axis < shorter.ndim(); ++axis) {
    int64_t& extent = shape[static_cast<std::size_t>(missing + axis)];
    if (extent == 1) {
      extent = shorter.shape(axis);
    } else if (shorter.shape(axis) != 1 && shorter.shape(axis) != extent) {
      throw py::value_error(function + ": operands must have shapes that broadcast, got " +
                            shape_text(a) + " and " + shape_text(b));
    }
  }
  return shape;
}

// How an operand is walked over the axes of the result.
Extents broadcast_strides(const Array& operand) {
  Extents strides{};
  const Shape own = cuda::contiguous_strides(operand.extents());
  const std::size_t front = strides.size() - own.size();
  for (std::size_t axis = 0; axis < own.size(); ++axis) {
    const bool is_repeated = operand.extents()[axis] == 1;
    strides[front + axis] = is_repeated ? 0 : own[axis];
  }
  return strides;
}

Extents padded_extents(const std::string& function, const Shape& shape) {
  Extents extents;
  if (shape.size() > extents.size()) {
    throw py::value_error(function + ": operands that broadcast must have at most " +
                          std::to_string(cuda::kMostAxes) + " axes, got " + shape_text(shape));
  }
  extents.fill(1);
  std::copy(shape.begin(), shape.end(), extents.end() - static_cast<std::ptrdiff_t>(shape.size()));
  return extents;
}

Array binary_of_arrays(const std::string& name, Binary operation, const Array& a, const Array& b,
                       const OptionalArray& out) {
  const Shape shape = broadcast_shape(name, a, b);
  return with_element_type(name, "a", a, [&](auto type) {
    using T = decltype(type);
    const T* const a_data = input_data<T>(name, "a", a);
    const T* const b_data = input_data<T>(name, "b", b);
    Array y = make_output<T>(name, out, shape);
    require_apart(name, y, a);
    require_apart(name, y, b);
    T* const y_data = output_data<T>(y);
    if (same_shape(a, b)) {
      Extents line;
      line.fill(1);
      line.back() = y.size();
      Extents step{};
      step.back() = 1;
      without_gil([&] { cuda::binary(operation, line, a_data, step, b_data, step, y_data); });
    } else {
      const Extents extents = padded_extents(name, shape);
      const Extents a_strides = broadcast_strides(a);
      const Extents b_strides = broadcast_strides(b);
      without_gil(
          [&] { cuda::binary(operation, extents, a_data, a_strides, b_data, b_strides, y_data); });
    }
    return y;
  });
}

// `number` before or behind the operator.
Array binary_with_number(const std::string& name, Binary operation, const Array& x, double number,
                         bool is_first, const OptionalArray& out) {
  return with_element_type(name, is_first ? "b" : "a", x, [&](auto type) {
    using T = decltype(type);
    const T* const x_data = input_data<T>(name, is_first ? "b" : "a", x);
    Array y = make_output<T>(name, out, x.extents());
    require_apart(name, y, x);
    T* const y_data = output_data<T>(y);
    const T value = static_cast<T>(number);
    without_gil([&] {
      if (is_first) {
        cuda::binary(operation, x.size(), value, x_data, y_data);
      } else {
        cuda::binary(operation, x.size(), x_data, value, y_data);
      }
    });
    return y;
  });
}

Array binary(const std::string& name, const ArrayOrNumber& a, const ArrayOrNumber& b,
             const OptionalArray& out) {
  const Binary operation = operation_named(name, kBinary);
  const Array* const first = std::get_if<Array>(&a);
  const Array* const second = std::get_if<Array>(&b);
  if (first != nullptr && second != nullptr) {
    return binary_of_arrays(name, operation, *first, *second, out);
  }
  if (first != nullptr) {
    return binary_with_number(name, operation, *first, std::get<double>(b), false, out);
  }
  if (second != nullptr) {
    return binary_with_number(name, operation, *second, std::get<double>(a), true, out);
  }
  throw py::type_error(name + ": a or b must be a device array, got two numbers");
}

// reduce(split, x data, y data) over one axis, which is gone from the result.
template <typename Reduce>
Array reduction(const std::string& function, const Array& x, int64_t axis, const Reduce& reduce) {
  const AxisSplit split = split_at(function, x, axis);
  Shape shape = x.extents();
  shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(split.axis));
  return with_element_type(function, "x", x, [&](auto type) {
    using T = decltype(type);
    const T* const x_data = input_data<T>(function, "x", x);
    Array y = new_array<T>(shape);
    without_gil([&] { reduce(split, x_data, output_data<T>(y)); });
    return y;
  });
}

Array sum(const Array& x, int64_t axis) {
  return reduction("sum", x, axis, [](const AxisSplit& split, const auto* from, auto* to) {
    cuda::sum(split.outer, split.count, split.inner, from, to);
  });
}

Array maximum(const Array& x, int64_t axis) {
  if (split_at("maximum", x, axis).count == 0) {
    throw py::value_error("maximum: x must have an element along the axis, got shape " +
                          shape_text(x));
  }
  return reduction("maximum", x, axis, [](const AxisSplit& split, const auto* from, auto* to) {
    cuda::maximum(split.outer, split.count, split.inner, from, to);
  });
}

Array matmul(const Array& a, bool transpose_a, const Array& b, bool transpose_b) {
  const std::string function = "matmul";
  if (a.ndim() != 2 || b.ndim() != 2) {
    throw py::value_error(function + ": a and b must have 2 axes, got shapes " + shape_text(a) +
                          " and " + shape_text(b));
  }
  const int64_t m = a.shape(transpose_a ? 1 : 0);
  const int64_t k = a.shape(transpose_a ? 0 : 1);
  const int64_t n = b.shape(transpose_b ? 0 : 1);
  if (b.shape(transpose_b ? 1 : 0) != k) {
    throw py::value_error(function + ": b must have " + std::to_string(k) +
                          " rows, as a has columns, got shapes " + shape_text(a) + " and " +
                          shape_text(b) + (transpose_a || transpose_b ? ", transposed" : ""));
  }
  return with_element_type(function, "a", a, [&](auto type) {
    using T = decltype(type);
    const cuda::Matrix<const T> first = {input_data<T>(function, "a", a), a.shape(1), transpose_a};
    const cuda::Matrix<const T> second = {input_data<T>(function, "b", b), b.shape(1), transpose_b};
    Array c = new_array<T>({m, n});
    const cuda::Matrix<T> product = {output_data<T>(c), n};
    without_gil([&] { cuda::multiply<T>(m, n, k, first, second, product); });
    return c;
  });
}

void fill(Array& array, double value) {
  if (!array.writeable()) {
    throw py::value_error("fill: array must be writeable, got a read-only array");
  }
  with_element_type("fill", "array", array, [&](auto type) {
    using T = decltype(type);
    require_ready("fill", "array", array);
    without_gil([&] { cuda::fill(array.size(), static_cast<T>(value), output_data<T>(array)); });
    return true;
  });
}

}  // namespace

void register_elementwise(py::module_& m) {
  using py::arg;
  m.def("unary", &unary, arg("name"), arg("x"), arg("out") = py::none());
  m.def("binary", &binary, arg("name"), arg("a"), arg("b"), arg("out") = py::none());
  m.def("sum", &sum, arg("x"), arg("axis"));
  m.def("maximum", &maximum, arg("x"), arg("axis"));
  m.def("matmul", &matmul, arg("a"), arg("transpose_a"), arg("b"), arg("transpose_b"));
  m.def("fill", &fill, arg("array"), arg("value"));
}

}  // namespace convolt
