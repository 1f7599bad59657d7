// The object behind PreparedConv2d.
#pragma once

#include "arrays.h"

namespace convolt {

// A prepared convolution: weight and bias packed, the parameters fixed.
template <typename T>
class PyPreparedConv2d {
 public:
  PyPreparedConv2d(const Array& weight, const OptionalArray& bias, const Pair& stride,
                   const Pair& dilation, int64_t groups, bool relu, const OptionalName& algorithm)
      : shape_(shape4(kFunction, "weight", weight)),
        weight_(input_data<T>(kFunction, "weight", weight),
                shape_[0] * shape_[1] * shape_[2] * shape_[3]),
        stride_(stride),
        dilation_(dilation),
        groups_(groups),
        relu_(relu),
        algorithm_(algorithm) {
    if (algorithm) chosen_for(window_params(stride, {}, dilation));
    const T* const values = optional_vector<T>(kFunction, "bias", bias, shape_[0]);
    if (values != nullptr) bias_ = array_of({shape_[0]}, values);
  }

  Array call(const Array& x, const Quad& padding, const OptionalArray& out) const {
    const WindowParams window = window_params(stride_, padding, dilation_);
    const Conv2dProblem p =
        make_conv2d_problem(kFunction, shape4(kFunction, "x", x), shape_, window, groups_);
    const Algorithm chosen = chosen_for(window);
    return in_call(kFunction, x, [&] {
      const T* const x_data = input_data<T>(kFunction, "x", x);
      require_ready(kFunction, "weight", weight_);
      const T* const bias_data = optional_vector<T>(kFunction, "bias", bias_, p.out_channels);
      Array y = make_output<T>(kFunction, out, p.output_shape());
      T* const y_data = output_data<T>(y);
      without_gil(
          [&] { engine::conv2d_forward<T>(p, chosen, x_data, weight_, bias_data, relu_, y_data); });
      return y;
    });
  }

  // Copies of what it was made of.
  Array weight() const {
    return in_call(kFunction, weight_, [&] {
      require_ready(kFunction, "weight", weight_);
      return array_of(axes(shape_), weight_.data());
    });
  }
  OptionalArray bias() const {
    if (!bias_) return std::nullopt;
    return in_call(kFunction, *bias_,
                   [&] { return array_of({shape_[0]}, input_data<T>(kFunction, "bias", *bias_)); });
  }

 private:
  static constexpr const char* kFunction = "PreparedConv2d";

  Algorithm chosen_for(const WindowParams& window) const {
    return engine::algorithm_for(kFunction, algorithm_, shape_, window);
  }

  Shape4 shape_;
  engine::PreparedWeight<T> weight_;
  OptionalArray bias_;
  Pair stride_, dilation_;
  int64_t groups_;
  bool relu_;
  OptionalName algorithm_;  // none: the default at the time of a call
};

// The call where x and out can be taken as they are and the padding does not depend on x, or None.
template <typename T>
py::object prepared_at_once(const PyPreparedConv2d<T>& prepared, py::handle x,
                            const std::optional<Quad>& padding, py::handle out);

}  // namespace convolt
