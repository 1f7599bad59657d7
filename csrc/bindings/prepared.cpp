#include "prepared.h"

#include <memory>

#include "subjects.h"

namespace convolt {
namespace {

// The type has no name in the module: who needs one gets it from prepare_conv2d(). And each module
// has its own.
template <typename T>
void register_prepared(const char* name) {
  using Prepared = PyPreparedConv2d<T>;
  py::class_<Prepared>(py::handle(), name, py::module_local())
      .def("__call__", &Prepared::call, py::arg("x"), py::arg("padding"), py::arg("out"))
      .def("at_once", &prepared_at_once<T>, py::arg("x"), py::arg("padding"), py::arg("out"))
      .def("weight", &Prepared::weight)
      .def("bias", &Prepared::bias);
}

py::object py_prepare_conv2d(const Array& weight, const OptionalArray& bias, const Pair& stride,
                             const Pair& dilation, int64_t groups, bool relu,
                             const OptionalName& algorithm) {
  return with_element_type("PreparedConv2d", "weight", weight, [&](auto type) {
    using Prepared = PyPreparedConv2d<decltype(type)>;
    return py::cast(
        std::make_unique<Prepared>(weight, bias, stride, dilation, groups, relu, algorithm));
  });
}

}  // namespace

void register_prepared(py::module_& m) {
  register_prepared<float>("PreparedConv2dFloat32");
  register_prepared<double>("PreparedConv2dFloat64");
  m.def("prepare_conv2d", &py_prepare_conv2d, py::arg("weight"), py::arg("bias"), py::arg("stride"),
        py::arg("dilation"), py::arg("groups"), py::arg("relu"), py::arg("algorithm"));
}

}  // namespace convolt
