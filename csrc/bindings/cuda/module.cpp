// convolt._cuda: the operators of _core for device arrays, and what moves these about.
#include "../calls.h"
#include "../prepared.h"
#include "../subjects.h"

namespace convolt {

// What Python has to prepare is prepared, on the way to a device.
template <typename T>
py::object prepared_at_once(const PyPreparedConv2d<T>&, py::handle, const std::optional<Quad>&,
                            py::handle) {
  return py::none();
}
template py::object prepared_at_once(const PyPreparedConv2d<float>&, py::handle,
                                     const std::optional<Quad>&, py::handle);
template py::object prepared_at_once(const PyPreparedConv2d<double>&, py::handle,
                                     const std::optional<Quad>&, py::handle);

}  // namespace convolt

PYBIND11_MODULE(_cuda, m, pybind11::mod_gil_not_used()) {
  m.doc() = "The CUDA back end of convolt; use convolt.cuda.";
  convolt::register_devices(m);
  convolt::register_device_arrays(m);
  convolt::register_elementwise(m);
  convolt::register_join(m);
  convolt::register_conv(m);
  convolt::register_prepared(m);
  convolt::register_im2col(m);
  convolt::register_pool(m);
  convolt::register_optim(m);
  convolt::register_norm(m);
  convolt::register_local_response_norm(m);
  m.def("relu_backward", &convolt::py_relu_backward, pybind11::arg("dy"), pybind11::arg("y"),
        pybind11::arg("in_place"));
#if defined(CONVOLT_CUDA_HOST)
  convolt::register_host(m);
#endif
}
