#include "arrays.h"
#include "at_once.h"
#include "conv2d.h"

namespace convolt {
namespace {

using Needs = std::array<bool, 3>;  // dx, dweight, dbias

// A tuple of names.
std::optional<Needs> read_needs(py::handle value) {
  if (!PyTuple_CheckExact(value.ptr())) return std::nullopt;
  constexpr std::array<const char*, 3> kNames = {"dx", "dweight", "dbias"};
  Needs needs{};
  for (const py::handle item : py::reinterpret_borrow<py::tuple>(value)) {
    const auto is_item = [&](const char* name) { return read_text(item) == name; };
    const auto* const name = std::find_if(kNames.begin(), kNames.end(), is_item);
    if (name == kNames.end()) return std::nullopt;
    needs[static_cast<std::size_t>(name - kNames.begin())] = true;
  }
  return needs;
}

std::vector<int64_t> axes(const Shape4& shape) { return {shape.begin(), shape.end()}; }

// A new array of that shape, filled by compute(data) with the GIL released; None if not needed.
template <typename T, typename F>
py::object gradient(const std::string& function, bool needed, const std::vector<int64_t>& shape,
                    const F& compute) {
  if (!needed) return py::none();
  py::array array = make_output<T>(function, std::nullopt, shape);
  T* const data = output_data<T>(array);
  without_gil([&] { compute(data); });
  return py::object(std::move(array));
}

// The gradient of what ReLU was given, from that of its output y of the same shape: in dy itself or
// in a new array.
template <typename T>
py::array before_relu(const std::string& function, const py::array& dy, const py::array& y,
                      bool in_place) {
  const T* const dy_data = input_data<T>(function, "dy", dy);
  const T* const y_data = input_data<T>(function, "y", y);
  const std::vector<int64_t> shape(dy.shape(), dy.shape() + dy.ndim());
  const bool overwrites = in_place && dy.writeable() && (dy_data == y_data || are_apart(dy, y));
  py::array dx = overwrites ? dy : make_output<T>(function, std::nullopt, shape);
  T* const dx_data = output_data<T>(dx);
  without_gil([&] { relu_backward(dy_data, y_data, dy.size(), dx_data); });
  return dx;
}

// For arrays of any shape. None unless they can be taken as they are.
py::object py_relu_backward(py::handle dy, py::handle y, bool in_place) {
  if (!is_operand(dy) || !is_operand_like(y, dy)) return py::none();
  const py::array gradient = as_array(dy);
  const py::array output = as_array(y);
  const bool is_same =
      output.ndim() == gradient.ndim() &&
      std::equal(gradient.shape(), gradient.shape() + gradient.ndim(), output.shape());
  if (!is_same || (in_place && (!gradient.writeable() || !are_apart(gradient, output)))) {
    return py::none();
  }
  return with_element_type("relu_backward", "dy", gradient, [&](auto type) {
    using T = decltype(type);
    return py::object(before_relu<T>("relu_backward", gradient, output, in_place));
  });
}

py::array py_conv2d_forward(const py::array& x, const py::array& weight, const OptionalArray& bias,
                            const Pair& stride, const Quad& padding, const Pair& dilation,
                            int64_t groups, bool relu, const OptionalName& algorithm,
                            const OptionalArray& out) {
  const std::string function = "conv2d";
  return with_element_type(function, "x", x, [&](auto type) {
    using T = decltype(type);
    const Shape4 weight_shape = shape4(function, "weight", weight);
    const WindowParams window = window_params(stride, padding, dilation);
    const Conv2dProblem p =
        make_conv2d_problem(function, shape4(function, "x", x), weight_shape, window, groups);
    const Algorithm chosen = algorithm_for(function, algorithm, weight_shape, window);
    const T* const x_data = input_data<T>(function, "x", x);
    const T* const weight_data = input_data<T>(function, "weight", weight);
    const T* const bias_data = optional_vector<T>(function, "bias", bias, p.out_channels);
    py::array y = make_output<T>(function, out, p.output_shape());
    T* const y_data = output_data<T>(y);
    without_gil([&] { conv2d_forward(p, chosen, x_data, weight_data, bias_data, relu, y_data); });
    return y;
  });
}

// None unless all arguments can be taken as they are.
py::object py_conv2d_at_once(py::handle x, py::handle weight, py::handle bias, py::handle stride,
                             py::handle padding, py::handle dilation, py::handle groups,
                             py::handle activation, py::handle algorithm, py::handle out) {
  const std::optional<Pair> steps = read_pair(stride, 1);
  const std::optional<Quad> pads = read_padding(padding);
  const std::optional<Pair> dilations = read_pair(dilation, 1);
  const std::optional<int64_t> group_count = read_int(groups, 1);
  const std::optional<bool> relu = read_activation(activation);
  const bool ready = steps && pads && dilations && group_count && relu && is_name(algorithm) &&
                     is_planes(x) && is_planes(weight) && is_operand_like(weight, x) &&
                     (bias.is_none() || is_operand_like(bias, x)) &&
                     is_output(out, {x, weight, bias});
  if (!ready) return py::none();
  return py_conv2d_forward(as_array(x), as_array(weight), as_optional_array(bias), *steps, *pads,
                           *dilations, *group_count, *relu, read_text(algorithm),
                           as_optional_array(out));
}

// Gradients in the order dx, dweight, dbias; None for what was not asked. With y, the output, they
// are those behind ReLU.
py::tuple py_conv2d_backward(const py::array& dy, const py::array& x, const py::array& weight,
                             const OptionalArray& y, bool overwrite_dy, const Pair& stride,
                             const Quad& padding, const Pair& dilation, int64_t groups,
                             const Needs& needs, const OptionalName& algorithm) {
  const std::string function = "conv2d_backward";
  return with_element_type(function, "x", x, [&](auto type) {
    using T = decltype(type);
    const Shape4 weight_shape = shape4(function, "weight", weight);
    const WindowParams window = window_params(stride, padding, dilation);
    const Conv2dProblem p =
        make_conv2d_problem(function, shape4(function, "x", x), weight_shape, window, groups);
    require_shape(function, "dy", "(N, OC, OH, OW)", p.output_shape(), shape4(function, "dy", dy));
    const Algorithm chosen = algorithm_for(function, algorithm, weight_shape, window);
    const T* const x_data = input_data<T>(function, "x", x);
    const T* const weight_data = input_data<T>(function, "weight", weight);
    const bool is_free = overwrite_dy && are_apart(dy, x) && are_apart(dy, weight);
    if (y) {
      require_shape(function, "y", "(N, OC, OH, OW)", p.output_shape(), shape4(function, "y", *y));
    }
    const py::array dy_before = y ? before_relu<T>(function, dy, *y, is_free) : dy;
    const T* const dy_data = input_data<T>(function, "dy", dy_before);
    const py::object dx = gradient<T>(function, needs[0], axes(p.input_shape()), [&](T* data) {
      conv2d_backward_data(p, chosen, dy_data, weight_data, static_cast<const T*>(nullptr), data);
    });
    T* dbias_data = nullptr;
    const py::object dbias = gradient<T>(function, needs[2], {p.out_channels}, [&](T* data) {
      dbias_data = data;
      if (!needs[1]) conv2d_backward_bias(p.output_shape(), dy_data, data);
    });
    const py::object dweight = gradient<T>(function, needs[1], axes(weight_shape), [&](T* data) {
      conv2d_backward_weights(p, chosen, dy_data, x_data, data, dbias_data);
    });
    return py::make_tuple(dx, dweight, dbias);
  });
}

py::object py_conv2d_backward_at_once(py::handle dy, py::handle x, py::handle weight, py::handle y,
                                      py::handle overwrite_dy, py::handle stride,
                                      py::handle padding, py::handle dilation, py::handle groups,
                                      py::handle activation, py::handle needs,
                                      py::handle algorithm) {
  const std::optional<Pair> steps = read_pair(stride, 1);
  const std::optional<Quad> pads = read_padding(padding);
  const std::optional<Pair> dilations = read_pair(dilation, 1);
  const std::optional<int64_t> group_count = read_int(groups, 1);
  const std::optional<bool> relu = read_activation(activation);
  const std::optional<bool> may_overwrite = read_flag(overwrite_dy);
  const std::optional<Needs> wanted = read_needs(needs);
  const bool ready = steps && pads && dilations && group_count && relu && may_overwrite && wanted &&
                     is_name(algorithm) && is_planes(x) && is_planes(weight) &&
                     is_operand_like(weight, x) && is_operand_like(dy, x) &&
                     (*relu ? is_operand_like(y, x) : y.is_none());
  if (!ready) return py::none();
  return py_conv2d_backward(as_array(dy), as_array(x), as_array(weight), as_optional_array(y),
                            *may_overwrite, *steps, *pads, *dilations, *group_count, *wanted,
                            read_text(algorithm));
}

py::array py_conv_transpose2d_forward(const py::array& x, const py::array& weight,
                                      const OptionalArray& bias, const Pair& stride,
                                      const Quad& padding, const Pair& dilation, int64_t groups,
                                      const Pair& output_size, const OptionalName& algorithm,
                                      const OptionalArray& out) {
  const std::string function = "conv_transpose2d";
  return with_element_type(function, "x", x, [&](auto type) {
    using T = decltype(type);
    const Shape4 weight_shape = shape4(function, "weight", weight);
    const WindowParams window = window_params(stride, padding, dilation);
    const Conv2dProblem p =
        make_conv_transpose2d_problem(function, shape4(function, "x", x), weight_shape, window,
                                      groups, output_size[0], output_size[1]);
    const Algorithm chosen = algorithm_for(function, algorithm, weight_shape, window);
    const T* const x_data = input_data<T>(function, "x", x);
    const T* const weight_data = input_data<T>(function, "weight", weight);
    const T* const bias_data = optional_vector<T>(function, "bias", bias, p.in_channels);
    py::array y = make_output<T>(function, out, p.input_shape());
    T* const y_data = output_data<T>(y);
    without_gil([&] { conv2d_backward_data(p, chosen, x_data, weight_data, bias_data, y_data); });
    return y;
  });
}

// The roles of the transposed convolution: its x is the dy of the convolution, its dy the x.
py::tuple py_conv_transpose2d_backward(const py::array& dy, const py::array& x,
                                       const py::array& weight, const Pair& stride,
                                       const Quad& padding, const Pair& dilation, int64_t groups,
                                       const Pair& output_size, const OptionalName& algorithm,
                                       const Needs& needs) {
  const std::string function = "conv_transpose2d_backward";
  return with_element_type(function, "x", x, [&](auto type) {
    using T = decltype(type);
    const Shape4 weight_shape = shape4(function, "weight", weight);
    const WindowParams window = window_params(stride, padding, dilation);
    const Conv2dProblem p =
        make_conv_transpose2d_problem(function, shape4(function, "x", x), weight_shape, window,
                                      groups, output_size[0], output_size[1]);
    require_shape(function, "dy", "(N, OC, OH, OW)", p.input_shape(), shape4(function, "dy", dy));
    const Algorithm chosen = algorithm_for(function, algorithm, weight_shape, window);
    const T* const dy_data = input_data<T>(function, "dy", dy);
    const T* const x_data = input_data<T>(function, "x", x);
    const T* const weight_data = input_data<T>(function, "weight", weight);
    const py::object dx = gradient<T>(function, needs[0], axes(p.output_shape()), [&](T* data) {
      conv2d_forward(p, chosen, dy_data, weight_data, static_cast<const T*>(nullptr), false, data);
    });
    const py::object dweight = gradient<T>(function, needs[1], axes(weight_shape), [&](T* data) {
      conv2d_backward_weights<T>(p, chosen, x_data, dy_data, data, nullptr);
    });
    const py::object dbias = gradient<T>(function, needs[2], {p.in_channels}, [&](T* data) {
      conv2d_backward_bias(p.input_shape(), dy_data, data);
    });
    return py::make_tuple(dx, dweight, dbias);
  });
}

// A prepared convolution: weight and bias packed, the parameters fixed.
template <typename T>
class PyPreparedConv2d {
 public:
  PyPreparedConv2d(const py::array& weight, const OptionalArray& bias, const Pair& stride,
                   const Pair& dilation, int64_t groups, bool relu, const OptionalName& algorithm)
      : shape_(shape4(kFunction, "weight", weight)),
        weight_(input_data<T>(kFunction, "weight", weight),
                shape_[0] * shape_[1] * shape_[2] * shape_[3]),
        stride_(stride),
        dilation_(dilation),
        groups_(groups),
        relu_(relu),
        algorithm_(algorithm) {
    if (algorithm) algorithm_for(kFunction, algorithm, shape_, window_params(stride, {}, dilation));
    const T* const values = optional_vector<T>(kFunction, "bias", bias, shape_[0]);
    if (values != nullptr) bias_.assign(values, values + shape_[0]);
  }

  py::array call(const py::array& x, const Quad& padding, const OptionalArray& out) const {
    const WindowParams window = window_params(stride_, padding, dilation_);
    const Conv2dProblem p =
        make_conv2d_problem(kFunction, shape4(kFunction, "x", x), shape_, window, groups_);
    const Algorithm chosen = algorithm_for(kFunction, algorithm_, shape_, window);
    const T* const x_data = input_data<T>(kFunction, "x", x);
    py::array y = make_output<T>(kFunction, out, p.output_shape());
    T* const y_data = output_data<T>(y);
    const T* const bias = bias_.empty() ? nullptr : bias_.data();
    with_memory_errors(kFunction, [&] {
      without_gil([&] { conv2d_forward(p, chosen, x_data, weight_, bias, relu_, y_data); });
    });
    return y;
  }

  // None unless x and out can be taken as they are, and the padding does not depend on x.
  py::object at_once(py::handle x, const std::optional<Quad>& padding, py::handle out) const {
    const bool ready = padding && is_planes(x) && has_type<T>(as_array(x)) && is_output(out, {x});
    if (!ready) return py::none();
    return call(as_array(x), *padding, as_optional_array(out));
  }

  // Copies of what it was made of.
  py::array weight() const { return py::array(py::dtype::of<T>(), axes(shape_), weight_.data()); }
  py::object bias() const {
    if (bias_.empty()) return py::none();
    return py::array(py::dtype::of<T>(), {shape_[0]}, bias_.data());
  }

 private:
  static constexpr const char* kFunction = "PreparedConv2d";
  Shape4 shape_;
  PreparedWeight<T> weight_;
  std::vector<T> bias_;
  Pair stride_, dilation_;
  int64_t groups_;
  bool relu_;
  OptionalName algorithm_;  // none: the default at the time of a call
};

// The type has no name in the module: who needs one gets it from prepare_conv2d().
template <typename T>
void register_prepared(const char* name) {
  using Prepared = PyPreparedConv2d<T>;
  py::class_<Prepared>(py::handle(), name)
      .def("__call__", &Prepared::call, py::arg("x"), py::arg("padding"), py::arg("out"))
      .def("at_once", &Prepared::at_once, py::arg("x"), py::arg("padding"), py::arg("out"))
      .def("weight", &Prepared::weight)
      .def("bias", &Prepared::bias);
}

py::object py_prepare_conv2d(const py::array& weight, const OptionalArray& bias, const Pair& stride,
                             const Pair& dilation, int64_t groups, bool relu,
                             const OptionalName& algorithm) {
  return with_element_type("PreparedConv2d", "weight", weight, [&](auto type) {
    using Prepared = PyPreparedConv2d<decltype(type)>;
    return py::cast(
        std::make_unique<Prepared>(weight, bias, stride, dilation, groups, relu, algorithm));
  });
}

}  // namespace

void register_conv(py::module_& m) {
  register_prepared<float>("PreparedConv2dFloat32");
  register_prepared<double>("PreparedConv2dFloat64");
  m.def("relu_backward", &py_relu_backward, py::arg("dy"), py::arg("y"), py::arg("in_place"));
  m.def("prepare_conv2d", &py_prepare_conv2d, py::arg("weight"), py::arg("bias"), py::arg("stride"),
        py::arg("dilation"), py::arg("groups"), py::arg("relu"), py::arg("algorithm"));
  m.def("conv2d_forward", &py_conv2d_forward, py::arg("x"), py::arg("weight"), py::arg("bias"),
        py::arg("stride"), py::arg("padding"), py::arg("dilation"), py::arg("groups"),
        py::arg("relu"), py::arg("algorithm"), py::arg("out"));
  m.def("conv2d_at_once", &py_conv2d_at_once, py::arg("x"), py::arg("weight"), py::arg("bias"),
        py::arg("stride"), py::arg("padding"), py::arg("dilation"), py::arg("groups"),
        py::arg("activation"), py::arg("algorithm"), py::arg("out"));
  m.def("conv2d_backward", &py_conv2d_backward, py::arg("dy"), py::arg("x"), py::arg("weight"),
        py::arg("y"), py::arg("overwrite_dy"), py::arg("stride"), py::arg("padding"),
        py::arg("dilation"), py::arg("groups"), py::arg("needs"), py::arg("algorithm"));
  m.def("conv2d_backward_at_once", &py_conv2d_backward_at_once, py::arg("dy"), py::arg("x"),
        py::arg("weight"), py::arg("y"), py::arg("overwrite_dy"), py::arg("stride"),
        py::arg("padding"), py::arg("dilation"), py::arg("groups"), py::arg("activation"),
        py::arg("needs"), py::arg("algorithm"));
  m.def("conv_transpose2d_forward", &py_conv_transpose2d_forward, py::arg("x"), py::arg("weight"),
        py::arg("bias"), py::arg("stride"), py::arg("padding"), py::arg("dilation"),
        py::arg("groups"), py::arg("output_size"), py::arg("algorithm"), py::arg("out"));
  m.def("conv_transpose2d_backward", &py_conv_transpose2d_backward, py::arg("dy"), py::arg("x"),
        py::arg("weight"), py::arg("stride"), py::arg("padding"), py::arg("dilation"),
        py::arg("groups"), py::arg("output_size"), py::arg("algorithm"), py::arg("needs"));
}

}  // namespace convolt
