#include "calls.h"
#include "subjects.h"

namespace convolt {
namespace {

std::vector<int64_t> column_shape(const Conv2dProblem& p, ColumnLayout layout) {
  const int64_t taps = p.in_channels * p.taps();
  if (layout == ColumnLayout::kTaps) return {p.batch, taps, p.out_pixels()};
  return {p.batch * p.out_pixels(), taps};
}

const char* column_axes(ColumnLayout layout) {
  return layout == ColumnLayout::kTaps ? "(N, C*KH*KW, OH*OW)" : "(N*OH*OW, C*KH*KW)";
}

}  // namespace

Array image_to_columns(const std::string& function, const Array& x, const Pair& kernel,
                       const Pair& stride, const Quad& padding, const Pair& dilation,
                       const OptionalArray& out) {
  return with_element_type(function, "x", x, [&](auto type) {
    using T = decltype(type);
    const Conv2dProblem p =
        make_im2col_problem(function, shape4(function, "x", x), kernel[0], kernel[1],
                            window_params(stride, padding, dilation));
    const ColumnLayout layout = column_layout(function);
    Array col = make_output<T>(function, out, column_shape(p, layout));
    const T* const x_data = input_data<T>(function, "x", x);
    T* const col_data = output_data<T>(col);
    without_gil([&] { engine::im2col(p, layout, x_data, col_data); });
    return col;
  });
}

Array columns_to_image(const std::string& function, const Array& col, const Shape4& input_shape,
                       const Pair& kernel, const Pair& stride, const Quad& padding,
                       const Pair& dilation, const OptionalArray& out) {
  return with_element_type(function, "col", col, [&](auto type) {
    using T = decltype(type);
    const Conv2dProblem p = make_im2col_problem(function, input_shape, kernel[0], kernel[1],
                                                window_params(stride, padding, dilation));
    const ColumnLayout layout = column_layout(function);
    const std::vector<int64_t> expected = column_shape(p, layout);
    if (!has_shape(col, expected)) {
      throw py::value_error(function + ": col must have shape " + column_axes(layout) + " = " +
                            shape_text(expected) + ", got " + shape_text(col));
    }
    Array x = make_output<T>(function, out, p.input_shape());
    const T* const col_data = input_data<T>(function, "col", col);
    T* const x_data = output_data<T>(x);
    without_gil([&] { engine::col2im(p, layout, col_data, x_data); });
    return x;
  });
}

void register_im2col(py::module_& m) {
  m.def("image_to_columns", &image_to_columns, py::arg("function"), py::arg("x"), py::arg("kernel"),
        py::arg("stride"), py::arg("padding"), py::arg("dilation"), py::arg("out"));
  m.def("columns_to_image", &columns_to_image, py::arg("function"), py::arg("col"),
        py::arg("input_shape"), py::arg("kernel"), py::arg("stride"), py::arg("padding"),
        py::arg("dilation"), py::arg("out"));
}

}  // namespace convolt
