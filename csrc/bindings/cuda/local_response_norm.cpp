#include "../arrays.h"
#include "../subjects.h"
#include "cuda/norm.h"

namespace convolt {
namespace {

Array forward(const Array& x, int64_t size, double alpha, double beta, double k) {
  const std::string function = "local_response_norm";
  return with_element_type(function, "x", x, [&](auto type) {
    using T = decltype(type);
    const cuda::LocalResponse norm = {shape4(function, "x", x), size, alpha, beta, k};
    const T* const x_data = input_data<T>(function, "x", x);
    Array y = new_array<T>(x.extents());
    without_gil([&] { cuda::local_response_norm_forward(norm, x_data, output_data<T>(y)); });
    return y;
  });
}

Array backward(const Array& dy, const Array& x, int64_t size, double alpha, double beta, double k) {
  const std::string function = "local_response_norm_backward";
  return with_element_type(function, "x", x, [&](auto type) {
    using T = decltype(type);
    const cuda::LocalResponse norm = {shape4(function, "x", x), size, alpha, beta, k};
    require_shape(function, "dy", "(N, C, H, W)", norm.shape, shape4(function, "dy", dy));
    const T* const dy_data = input_data<T>(function, "dy", dy);
    const T* const x_data = input_data<T>(function, "x", x);
    Array dx = new_array<T>(x.extents());
    without_gil(
        [&] { cuda::local_response_norm_backward(norm, dy_data, x_data, output_data<T>(dx)); });
    return dx;
  });
}

}  // namespace

void register_local_response_norm(py::module_& m) {
  using py::arg;
  m.def("local_response_norm", &forward, arg("x"), arg("size"), arg("alpha"), arg("beta"),
        arg("k"));
  m.def("local_response_norm_backward", &backward, arg("dy"), arg("x"), arg("size"), arg("alpha"),
        arg("beta"), arg("k"));
}

}  // namespace convolt
