#include "calls.h"
#include "subjects.h"

namespace convolt {
namespace {

// A new array of that shape, filled by compute(data) with the GIL released; None if not needed.
template <typename T, typename F>
py::object gradient(const std::string& function, bool needed, const std::vector<int64_t>& shape,
                    const F& compute) {
  if (!needed) return py::none();
  Array array = make_output<T>(function, std::nullopt, shape);
  T* const data = output_data<T>(array);
  without_gil([&] { compute(data); });
  return as_object(array);
}

// The gradient of what ReLU was given, from that of its output y of the same shape: in dy itself or
// in a new array.
template <typename T>
Array before_relu(const std::string& function, const Array& dy, const Array& y, bool in_place) {
  const T* const dy_data = input_data<T>(function, "dy", dy);
  const T* const y_data = input_data<T>(function, "y", y);
  const std::vector<int64_t> shape(dy.shape(), dy.shape() + dy.ndim());
  const bool overwrites = in_place && dy.writeable() && (dy_data == y_data || are_apart(dy, y));
  Array dx = overwrites ? dy : make_output<T>(function, std::nullopt, shape);
  T* const dx_data = output_data<T>(dx);
  without_gil([&] { engine::relu_backward(dy_data, y_data, dy.size(), dx_data); });
  return dx;
}

}  // namespace

py::object py_relu_backward(const Array& dy, const Array& y, bool in_place) {
  const bool is_free = dy.writeable() && are_apart(dy, y);
  if (!same_shape(dy, y) || (in_place && !is_free)) return py::none();
  const std::string function = "relu_backward";
  return with_element_type(function, "dy", dy, [&](auto type) -> py::object {
    using T = decltype(type);
    if (!has_type<T>(y)) return py::none();
    return as_object(before_relu<T>(function, dy, y, in_place));
  });
}

Array py_conv2d_forward(const Array& x, const Array& weight, const OptionalArray& bias,
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
    const Algorithm chosen = engine::algorithm_for(function, algorithm, weight_shape, window);
    const T* const x_data = input_data<T>(function, "x", x);
    const T* const weight_data = input_data<T>(function, "weight", weight);
    const T* const bias_data = optional_vector<T>(function, "bias", bias, p.out_channels);
    Array y = make_output<T>(function, out, p.output_shape());
    T* const y_data = output_data<T>(y);
    without_gil(
        [&] { engine::conv2d_forward(p, chosen, x_data, weight_data, bias_data, relu, y_data); });
    return y;
  });
}

py::tuple py_conv2d_backward(const Array& dy, const Array& x, const Array& weight,
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
    const Algorithm chosen = engine::algorithm_for(function, algorithm, weight_shape, window);
    const T* const x_data = input_data<T>(function, "x", x);
    const T* const weight_data = input_data<T>(function, "weight", weight);
    const bool is_free = overwrite_dy && are_apart(dy, x) && are_apart(dy, weight);
    if (y) {
      require_shape(function, "y", "(N, OC, OH, OW)", p.output_shape(), shape4(function, "y", *y));
    }
    const Array dy_before = y ? before_relu<T>(function, dy, *y, is_free) : dy;
    const T* const dy_data = input_data<T>(function, "dy", dy_before);
    const py::object dx = gradient<T>(function, needs[0], axes(p.input_shape()), [&](T* data) {
      engine::conv2d_backward_data(p, chosen, dy_data, weight_data, static_cast<const T*>(nullptr),
                                   data);
    });
    T* dbias_data = nullptr;
    const py::object dbias = gradient<T>(function, needs[2], {p.out_channels}, [&](T* data) {
      dbias_data = data;
      if (!needs[1]) engine::conv2d_backward_bias(p.output_shape(), dy_data, data);
    });
    const py::object dweight = gradient<T>(function, needs[1], axes(weight_shape), [&](T* data) {
      engine::conv2d_backward_weights(p, chosen, dy_data, x_data, data, dbias_data);
    });
    return py::make_tuple(dx, dweight, dbias);
  });
}

namespace {

Array py_conv_transpose2d_forward(const Array& x, const Array& weight, const OptionalArray& bias,
                                  const Pair& stride, const Quad& padding, const Pair& dilation,
                                  int64_t groups, const Pair& output_size,
                                  const OptionalName& algorithm, const OptionalArray& out) {
  const std::string function = "conv_transpose2d";
  return with_element_type(function, "x", x, [&](auto type) {
    using T = decltype(type);
    const Shape4 weight_shape = shape4(function, "weight", weight);
    const WindowParams window = window_params(stride, padding, dilation);
    const Conv2dProblem p =
        make_conv_transpose2d_problem(function, shape4(function, "x", x), weight_shape, window,
                                      groups, output_size[0], output_size[1]);
    const Algorithm chosen = engine::algorithm_for(function, algorithm, weight_shape, window);
    const T* const x_data = input_data<T>(function, "x", x);
    const T* const weight_data = input_data<T>(function, "weight", weight);
    const T* const bias_data = optional_vector<T>(function, "bias", bias, p.in_channels);
    Array y = make_output<T>(function, out, p.input_shape());
    T* const y_data = output_data<T>(y);
    without_gil(
        [&] { engine::conv2d_backward_data(p, chosen, x_data, weight_data, bias_data, y_data); });
    return y;
  });
}

// The roles of the transposed convolution: its x is the dy of the convolution, its dy the x.
py::tuple py_conv_transpose2d_backward(const Array& dy, const Array& x, const Array& weight,
                                       const Pair& stride, const Quad& padding,
                                       const Pair& dilation, int64_t groups,
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
    const Algorithm chosen = engine::algorithm_for(function, algorithm, weight_shape, window);
    const T* const dy_data = input_data<T>(function, "dy", dy);
    const T* const x_data = input_data<T>(function, "x", x);
    const T* const weight_data = input_data<T>(function, "weight", weight);
    const py::object dx = gradient<T>(function, needs[0], axes(p.output_shape()), [&](T* data) {
      engine::conv2d_forward(p, chosen, dy_data, weight_data, static_cast<const T*>(nullptr), false,
                             data);
    });
    const py::object dweight = gradient<T>(function, needs[1], axes(weight_shape), [&](T* data) {
      engine::conv2d_backward_weights<T>(p, chosen, x_data, dy_data, data, nullptr);
    });
    const py::object dbias = gradient<T>(function, needs[2], {p.in_channels}, [&](T* data) {
      engine::conv2d_backward_bias(p.input_shape(), dy_data, data);
    });
    return py::make_tuple(dx, dweight, dbias);
  });
}

}  // namespace

void register_conv(py::module_& m) {
  m.def("conv2d_forward", &py_conv2d_forward, py::arg("x"), py::arg("weight"), py::arg("bias"),
        py::arg("stride"), py::arg("padding"), py::arg("dilation"), py::arg("groups"),
        py::arg("relu"), py::arg("algorithm"), py::arg("out"));
  m.def("conv2d_backward", &py_conv2d_backward, py::arg("dy"), py::arg("x"), py::arg("weight"),
        py::arg("y"), py::arg("overwrite_dy"), py::arg("stride"), py::arg("padding"),
        py::arg("dilation"), py::arg("groups"), py::arg("needs"), py::arg("algorithm"));
  m.def("conv_transpose2d_forward", &py_conv_transpose2d_forward, py::arg("x"), py::arg("weight"),
        py::arg("bias"), py::arg("stride"), py::arg("padding"), py::arg("dilation"),
        py::arg("groups"), py::arg("output_size"), py::arg("algorithm"), py::arg("out"));
  m.def("conv_transpose2d_backward", &py_conv_transpose2d_backward, py::arg("dy"), py::arg("x"),
        py::arg("weight"), py::arg("stride"), py::arg("padding"), py::arg("dilation"),
        py::arg("groups"), py::arg("output_size"), py::arg("algorithm"), py::arg("needs"));
}

}  // namespace convolt
