#include <utility>

#include "calls.h"
#include "subjects.h"

namespace convolt {
namespace {

Pool2dProblem average_problem(const std::string& function, const Shape4& input,
                              const PoolArguments& arguments, bool count_include_pad,
                              int64_t divisor_override) {
  Pool2dProblem p = arguments.problem(function, input);
  p.count_include_pad = count_include_pad;
  p.divisor_override = divisor_override;
  return p;
}

// A plane is one window here, so it must have an element.
void require_pixels(const std::string& function, const Shape4& input) {
  if (input[2] < 1 || input[3] < 1) {
    throw py::value_error(function + ": x must have H, W >= 1, got shape " + to_string(input));
  }
}

Shape4 global_output_shape(const Shape4& input) { return {input[0], input[1], 1, 1}; }

py::object with_indices(const Array& y, const py::object& indices) {
  return indices.is_none() ? as_object(y) : py::object(py::make_tuple(y, indices));
}

// Whether the number of a tap fits into a byte. Larger windows keep indices.
bool has_byte_winners(const Pool2dProblem& p) { return p.kernel_h <= 255 / p.kernel_w; }

}  // namespace

py::object extremum_forward(const std::string& function, const Array& x,
                            const PoolArguments& arguments, const std::string& wanted,
                            const OptionalArray& out) {
  return with_element_type(function, "x", x, [&](auto tag) -> py::object {
    using T = decltype(tag);
    const Pool2dProblem p = arguments.problem(function, shape4(function, "x", x));
    const PoolOperation operation =
        function.rfind("min", 0) == 0 ? PoolOperation::kMinimum : PoolOperation::kMaximum;
    Array y = make_output<T>(function, out, p.output_shape());
    PoolResults<T> results = {output_data<T>(y), nullptr, nullptr};
    py::object where = py::none();
    if (wanted == "winners" && has_byte_winners(p)) {
      Array winners = make_output<uint8_t>(function, std::nullopt, p.output_shape());
      results.winners = output_data<uint8_t>(winners);
      where = as_object(winners);
    } else if (wanted != "values") {
      Array indices = make_output<int64_t>(function, std::nullopt, p.output_shape());
      results.indices = output_data<int64_t>(indices);
      where = as_object(indices);
    }
    const T* const x_data = input_data<T>(function, "x", x);
    without_gil([&] { engine::extremum_pool2d_forward(function, p, operation, x_data, results); });
    return with_indices(y, where);
  });
}

Array avg_forward(const Array& x, const PoolArguments& arguments, bool count_include_pad,
                  int64_t divisor_override, const OptionalArray& out) {
  const std::string function = "avg_pool2d";
  return with_element_type(function, "x", x, [&](auto tag) {
    using T = decltype(tag);
    const Pool2dProblem p = average_problem(function, shape4(function, "x", x), arguments,
                                            count_include_pad, divisor_override);
    Array y = make_output<T>(function, out, p.output_shape());
    const T* const x_data = input_data<T>(function, "x", x);
    T* const y_data = output_data<T>(y);
    without_gil([&] { engine::avg_pool2d_forward(p, x_data, y_data); });
    return y;
  });
}

namespace {

// dx of any maximum or minimum.
Array extremum_backward(const std::string& function, const Array& dy, const Array& indices,
                        const char* axes, const Pool2dProblem& p) {
  return with_element_type(function, "dy", dy, [&](auto tag) {
    using T = decltype(tag);
    require_shape(function, "dy", axes, p.output_shape(), shape4(function, "dy", dy));
    require_shape(function, "indices", axes, p.output_shape(),
                  shape4(function, "indices", indices));
    Array dx = make_output<T>(function, std::nullopt, p.input_shape());
    const T* const dy_data = input_data<T>(function, "dy", dy);
    const int64_t* const indices_data = input_data<int64_t>(function, "indices", indices);
    T* const dx_data = output_data<T>(dx);
    without_gil(
        [&] { engine::extremum_pool2d_backward(function, p, dy_data, indices_data, dx_data); });
    return dx;
  });
}

// The same from what the forward pass returned as winners.
Array winners_backward(const std::string& function, const Array& dy, const Array& winners,
                       const Shape4& input, const PoolArguments& arguments) {
  const char* const axes = "(N, C, OH, OW)";
  const Pool2dProblem p = arguments.problem(function, input);
  if (!has_byte_winners(p)) return extremum_backward(function, dy, winners, axes, p);
  return with_element_type(function, "dy", dy, [&](auto tag) {
    using T = decltype(tag);
    require_shape(function, "dy", axes, p.output_shape(), shape4(function, "dy", dy));
    require_shape(function, "winners", axes, p.output_shape(),
                  shape4(function, "winners", winners));
    Array dx = make_output<T>(function, std::nullopt, input);
    const T* const dy_data = input_data<T>(function, "dy", dy);
    const uint8_t* const winners_data = input_data<uint8_t>(function, "winners", winners);
    T* const dx_data = output_data<T>(dx);
    without_gil(
        [&] { engine::extremum_pool2d_backward(function, p, dy_data, winners_data, dx_data); });
    return dx;
  });
}

Array avg_backward(const Array& dy, const Shape4& input, const PoolArguments& arguments,
                   bool count_include_pad, int64_t divisor_override) {
  const std::string function = "avg_pool2d_backward";
  return with_element_type(function, "dy", dy, [&](auto tag) {
    using T = decltype(tag);
    const Pool2dProblem p =
        average_problem(function, input, arguments, count_include_pad, divisor_override);
    require_shape(function, "dy", "(N, C, OH, OW)", p.output_shape(), shape4(function, "dy", dy));
    Array dx = make_output<T>(function, std::nullopt, input);
    const T* const dy_data = input_data<T>(function, "dy", dy);
    T* const dx_data = output_data<T>(dx);
    without_gil([&] { engine::avg_pool2d_backward(p, dy_data, dx_data); });
    return dx;
  });
}

Array global_avg_forward(const Array& x, const OptionalArray& out) {
  const std::string function = "global_avg_pool2d";
  return with_element_type(function, "x", x, [&](auto tag) {
    using T = decltype(tag);
    const Shape4 input = shape4(function, "x", x);
    require_pixels(function, input);
    Array y = make_output<T>(function, out, global_output_shape(input));
    const T* const x_data = input_data<T>(function, "x", x);
    T* const y_data = output_data<T>(y);
    without_gil([&] {
      engine::global_avg_pool2d_forward(input[0] * input[1], input[2] * input[3], x_data, y_data);
    });
    return y;
  });
}

Array global_avg_backward(const Array& dy, const Shape4& input) {
  const std::string function = "global_avg_pool2d_backward";
  return with_element_type(function, "dy", dy, [&](auto tag) {
    using T = decltype(tag);
    require_pixels(function, input);
    require_shape(function, "dy", "(N, C, 1, 1)", global_output_shape(input),
                  shape4(function, "dy", dy));
    Array dx = make_output<T>(function, std::nullopt, input);
    const T* const dy_data = input_data<T>(function, "dy", dy);
    T* const dx_data = output_data<T>(dx);
    without_gil([&] {
      engine::global_avg_pool2d_backward(input[0] * input[1], input[2] * input[3], dy_data,
                                         dx_data);
    });
    return dx;
  });
}

py::object global_max_forward(const Array& x, bool return_indices, const OptionalArray& out) {
  const std::string function = "global_max_pool2d";
  return with_element_type(function, "x", x, [&](auto tag) -> py::object {
    using T = decltype(tag);
    const Shape4 input = shape4(function, "x", x);
    require_pixels(function, input);
    Array y = make_output<T>(function, out, global_output_shape(input));
    Array indices = make_output<int64_t>(function, std::nullopt, global_output_shape(input));
    const T* const x_data = input_data<T>(function, "x", x);
    T* const y_data = output_data<T>(y);
    int64_t* const indices_data = output_data<int64_t>(indices);
    without_gil([&] {
      engine::global_max_pool2d_forward(input[0] * input[1], input[2] * input[3], x_data, y_data,
                                        indices_data);
    });
    return with_indices(y, return_indices ? as_object(indices) : py::none());
  });
}

}  // namespace

void register_pool(py::module_& m) {
  using py::arg;
  m.def(
      "pool2d_max_forward",
      [](const std::string& function, const Array& x, const Pair& kernel, const Pair& stride,
         const Quad& padding, const Pair& dilation, bool ceil_mode, const std::string& wanted,
         const OptionalArray& out) {
        return extremum_forward(function, x, {kernel, stride, padding, dilation, ceil_mode}, wanted,
                                out);
      },
      arg("function"), arg("x"), arg("kernel"), arg("stride"), arg("padding"), arg("dilation"),
      arg("ceil_mode"), arg("wanted"), arg("out"));
  m.def(
      "pool2d_max_backward",
      [](const std::string& function, const Array& dy, const Array& indices,
         const Shape4& input_shape, const Pair& kernel, const Pair& stride, const Quad& padding,
         const Pair& dilation, bool ceil_mode) {
        const PoolArguments arguments = {kernel, stride, padding, dilation, ceil_mode};
        return extremum_backward(function, dy, indices, "(N, C, OH, OW)",
                                 arguments.problem(function, input_shape));
      },
      arg("function"), arg("dy"), arg("indices"), arg("input_shape"), arg("kernel"), arg("stride"),
      arg("padding"), arg("dilation"), arg("ceil_mode"));
  m.def(
      "pool2d_winners_backward",
      [](const std::string& function, const Array& dy, const Array& winners,
         const Shape4& input_shape, const Pair& kernel, const Pair& stride, const Quad& padding,
         const Pair& dilation, bool ceil_mode) {
        return winners_backward(function, dy, winners, input_shape,
                                {kernel, stride, padding, dilation, ceil_mode});
      },
      arg("function"), arg("dy"), arg("winners"), arg("input_shape"), arg("kernel"), arg("stride"),
      arg("padding"), arg("dilation"), arg("ceil_mode"));
  m.def(
      "avg_pool2d_forward",
      [](const Array& x, const Pair& kernel, const Pair& stride, const Quad& padding,
         bool ceil_mode, bool count_include_pad, int64_t divisor_override,
         const OptionalArray& out) {
        return avg_forward(x, {kernel, stride, padding, {1, 1}, ceil_mode}, count_include_pad,
                           divisor_override, out);
      },
      arg("x"), arg("kernel"), arg("stride"), arg("padding"), arg("ceil_mode"),
      arg("count_include_pad"), arg("divisor_override"), arg("out"));
  m.def(
      "avg_pool2d_backward",
      [](const Array& dy, const Shape4& input_shape, const Pair& kernel, const Pair& stride,
         const Quad& padding, bool ceil_mode, bool count_include_pad, int64_t divisor_override) {
        return avg_backward(dy, input_shape, {kernel, stride, padding, {1, 1}, ceil_mode},
                            count_include_pad, divisor_override);
      },
      arg("dy"), arg("input_shape"), arg("kernel"), arg("stride"), arg("padding"), arg("ceil_mode"),
      arg("count_include_pad"), arg("divisor_override"));
  m.def("global_avg_pool2d_forward", &global_avg_forward, arg("x"), arg("out"));
  m.def("global_avg_pool2d_backward", &global_avg_backward, arg("dy"), arg("input_shape"));
  m.def("global_max_pool2d_forward", &global_max_forward, arg("x"), arg("return_indices"),
        arg("out"));
  m.def(
      "global_max_pool2d_backward",
      [](const Array& dy, const Array& indices, const Shape4& input_shape) {
        const std::string function = "global_max_pool2d_backward";
        require_pixels(function, input_shape);
        const Pool2dProblem whole_planes = make_pool2d_problem(
            function, input_shape, input_shape[2], input_shape[3], WindowParams{}, false);
        return extremum_backward(function, dy, indices, "(N, C, 1, 1)", whole_planes);
      },
      arg("dy"), arg("indices"), arg("input_shape"));
}

}  // namespace convolt
