// Batch normalization. The Python layer has checked shapes and dtypes.
#include "arrays.h"
#include "subjects.h"

namespace convolt {
namespace {

template <typename T>
BatchNorm<T> batch_norm(const std::string& function, const Array& x, const OptionalArray& weight,
                        const OptionalArray& bias, double eps, bool of_batch) {
  const Shape4 shape = shape4(function, "x", x);
  return {shape,
          input_data<T>(function, "x", x),
          optional_vector<T>(function, "weight", weight, shape[1]),
          optional_vector<T>(function, "bias", bias, shape[1]),
          static_cast<T>(eps),
          of_batch};
}

// (y, mean, var). Without mean and var they are those of x.
py::tuple forward(const Array& x, const OptionalArray& weight, const OptionalArray& bias,
                  const OptionalArray& mean, const OptionalArray& var, double eps) {
  const std::string function = "batch_norm2d";
  return with_element_type(function, "x", x, [&](auto type) {
    using T = decltype(type);
    const BatchNorm<T> norm = batch_norm<T>(function, x, weight, bias, eps, !mean);
    const std::vector<int64_t> channels = {norm.shape[1]};
    Array y = make_output<T>(function, std::nullopt, norm.shape);
    Array means = make_output<T>(function, std::nullopt, channels);
    Array variances = make_output<T>(function, std::nullopt, channels);
    T* const y_data = output_data<T>(y);
    T* const mean_data = output_data<T>(means);
    T* const var_data = output_data<T>(variances);
    if (!norm.of_batch) {
      copy_elements(optional_vector<T>(function, "mean", mean, channels[0]), channels[0],
                    mean_data);
      copy_elements(optional_vector<T>(function, "var", var, channels[0]), channels[0], var_data);
    }
    without_gil([&] { engine::batch_norm_forward(norm, mean_data, var_data, y_data); });
    return py::make_tuple(y, means, variances);
  });
}

// (dx, dweight, dbias)
py::tuple backward(const Array& dy, const Array& x, const OptionalArray& weight, const Array& mean,
                   const Array& var, double eps, bool training) {
  const std::string function = "batch_norm2d_backward";
  return with_element_type(function, "x", x, [&](auto type) {
    using T = decltype(type);
    const BatchNorm<T> norm = batch_norm<T>(function, x, weight, std::nullopt, eps, training);
    const std::vector<int64_t> channels = {norm.shape[1]};
    const T* const dy_data = input_data<T>(function, "dy", dy);
    const T* const mean_data = optional_vector<T>(function, "mean", mean, channels[0]);
    const T* const var_data = optional_vector<T>(function, "var", var, channels[0]);
    Array dx = make_output<T>(function, std::nullopt, norm.shape);
    Array dweight = make_output<T>(function, std::nullopt, channels);
    Array dbias = make_output<T>(function, std::nullopt, channels);
    T* const dx_data = output_data<T>(dx);
    T* const dweight_data = output_data<T>(dweight);
    T* const dbias_data = output_data<T>(dbias);
    without_gil([&] {
      engine::batch_norm_backward(norm, dy_data, mean_data, var_data, dx_data, dweight_data,
                                  dbias_data);
    });
    return py::make_tuple(dx, dweight, dbias);
  });
}

}  // namespace

void register_norm(py::module_& m) {
  using py::arg;
  m.def("batch_norm2d", &forward, arg("x"), arg("weight"), arg("bias"), arg("mean"), arg("var"),
        arg("eps"));
  m.def("batch_norm2d_backward", &backward, arg("dy"), arg("x"), arg("weight"), arg("mean"),
        arg("var"), arg("eps"), arg("training"));
}

}  // namespace convolt
