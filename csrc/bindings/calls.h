// The functions that take arrays and parameters in normal form, where more than one file of the
// bindings needs them. The names of the public functions stand in their messages.
#pragma once

#include "arrays.h"

namespace convolt {

using Needs = std::array<bool, 3>;  // dx, dweight, dbias

// By the name of the function that reads or writes the columns.
inline ColumnLayout column_layout(const std::string& function) {
  return function == "unfold" || function == "fold" ? ColumnLayout::kTaps : ColumnLayout::kWindows;
}

struct PoolArguments {
  Pair kernel, stride;
  Quad padding;
  Pair dilation;
  bool ceil_mode;

  Pool2dProblem problem(const std::string& function, const Shape4& input) const {
    return make_pool2d_problem(function, input, kernel[0], kernel[1],
                               window_params(stride, padding, dilation), ceil_mode);
  }
};

Array py_conv2d_forward(const Array& x, const Array& weight, const OptionalArray& bias,
                        const Pair& stride, const Quad& padding, const Pair& dilation,
                        int64_t groups, bool relu, const OptionalName& algorithm,
                        const OptionalArray& out);

// Gradients in the order dx, dweight, dbias; None for what was not asked. With y, the output, they
// are those behind ReLU.
py::tuple py_conv2d_backward(const Array& dy, const Array& x, const Array& weight,
                             const OptionalArray& y, bool overwrite_dy, const Pair& stride,
                             const Quad& padding, const Pair& dilation, int64_t groups,
                             const Needs& needs, const OptionalName& algorithm);

// For arrays of any shape, in dy itself if so asked. None unless y is as dy, and dy to be had.
py::object py_relu_backward(const Array& dy, const Array& y, bool in_place);

// `function` is im2col or unfold.
Array image_to_columns(const std::string& function, const Array& x, const Pair& kernel,
                       const Pair& stride, const Quad& padding, const Pair& dilation,
                       const OptionalArray& out);

// `function` is col2im or fold.
Array columns_to_image(const std::string& function, const Array& col, const Shape4& input_shape,
                       const Pair& kernel, const Pair& stride, const Quad& padding,
                       const Pair& dilation, const OptionalArray& out);

// `wanted` besides the values: "indices", the flat ones in the plane; "winners", whatever the
// backward pass needs at least; or "values", nothing.
py::object extremum_forward(const std::string& function, const Array& x,
                            const PoolArguments& arguments, const std::string& wanted,
                            const OptionalArray& out);

Array avg_forward(const Array& x, const PoolArguments& arguments, bool count_include_pad,
                  int64_t divisor_override, const OptionalArray& out);

}  // namespace convolt
