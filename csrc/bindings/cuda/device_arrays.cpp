// DeviceArray in Python, and the way from NumPy arrays to it and back.
#include "../arrays.h"
#include "../subjects.h"
#include "interchange.h"

namespace convolt {
namespace {

using cuda::ElementType;
using cuda::Shape;

py::object shape_tuple(const Array& array) { return py::tuple(py::cast(array.extents())); }

int device_or_current(const std::optional<int>& device) {
  return device ? *device : cuda::current_device();
}

void require_same_shape(const std::string& function, const char* argument, const Array& array,
                        const py::array& host) {
  if (!std::equal(array.shape(), array.shape() + array.ndim(), host.shape(),
                  host.shape() + host.ndim())) {
    throw py::value_error(function + ": " + argument + " must have shape " + shape_text(array) +
                          ", got " + py::str(host.attr("shape")).cast<std::string>());
  }
}

void require_same_type(const std::string& function, const char* argument, const Array& array,
                       const py::array& host) {
  if (cuda::element_type_of(function, argument, host.dtype()) != array.type()) {
    throw py::type_error(function + ": " + argument + " must have dtype " + dtype_text(array) +
                         ", got " + py::str(host.dtype()).cast<std::string>());
  }
}

void require_writeable(const std::string& function, const Array& array) {
  if (!array.writeable()) {
    throw py::value_error(function + ": array must be writeable, got a read-only array");
  }
}

// The same elements in C order, aligned, in native byte order: a copy only where they are not.
py::array plain(const py::array& array, ElementType type) {
  constexpr int kPlain = py::array::c_style | py::array::forcecast;
  return cuda::with_type(type, [&](auto value) -> py::array {
    return py::array_t<decltype(value), kPlain>::ensure(array);
  });
}

void upload(const py::array& host, Array& array) {
  const py::array source = plain(host, array.type());
  if (!source) throw py::error_already_set();
  const void* const from = source.data();
  without_gil([&] {
    cuda::copy_to_device(array.mutable_data(), from, static_cast<std::size_t>(array.nbytes()));
  });
}

Array empty(const Shape& shape, const py::object& dtype, const std::optional<int>& device) {
  const ElementType type = cuda::element_type_of("empty", "dtype", py::dtype::from_args(dtype));
  return on_device("empty", device_or_current(device),
                   [&] { return without_gil([&] { return Array(type, shape); }); });
}

Array from_host(const py::array& host, const std::optional<int>& device) {
  const std::string function = "from_host";
  const ElementType type = cuda::element_type_of(function, "array", host.dtype());
  return on_device(function, device_or_current(device), [&] {
    const Shape shape(host.shape(), host.shape() + host.ndim());
    Array array = without_gil([&] { return Array(type, shape); });
    upload(host, array);
    return array;
  });
}

void copy_from_host(Array& array, const py::array& source) {
  const std::string function = "copy_from_host";
  require_same_type(function, "source", array, source);
  require_same_shape(function, "source", array, source);
  require_writeable(function, array);
  in_call(function, array, [&] {
    require_ready(function, "array", array);
    upload(source, array);
    return true;
  });
}

py::array to_host(const Array& array, const std::optional<py::array>& out) {
  const std::string function = "to_host";
  if (out) {
    require_same_type(function, "out", array, *out);
    require_same_shape(function, "out", array, *out);
    if (!out->writeable()) {
      throw py::value_error(function + ": out must be writeable, got a read-only array");
    }
  }
  constexpr int kPlain = py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  const bool direct = out && (out->flags() & kPlain) == kPlain && out->dtype().byteorder() != '>';
  py::array host = direct ? *out : py::array(dtype_of(array.type()), array.extents());
  void* const to = host.mutable_data();
  in_call(function, array, [&] {
    require_ready(function, "array", array);
    without_gil(
        [&] { cuda::copy_to_host(to, array.data(), static_cast<std::size_t>(array.nbytes())); });
    return true;
  });
  if (!out || direct) return host;
  out->attr("__setitem__")(py::ellipsis(), host);
  return *out;
}

void copy_from(Array& array, const Array& source) {
  const std::string function = "copy_from";
  if (source.type() != array.type()) {
    throw py::type_error(function + ": source must have dtype " + dtype_text(array) + ", got " +
                         dtype_text(source));
  }
  if (!same_shape(array, source)) {
    throw py::value_error(function + ": source must have shape " + shape_text(array) + ", got " +
                          shape_text(source));
  }
  require_writeable(function, array);
  if (array.data() == source.data()) return;
  if (!are_apart(array, source)) {
    throw py::value_error(function + ": source must not overlap the array");
  }
  in_call(function, array, [&] {
    require_ready(function, "array", array);
    require_ready(function, "source", source);
    without_gil([&] {
      cuda::copy_on_device(array.mutable_data(), source.data(),
                           static_cast<std::size_t>(array.nbytes()));
    });
    return true;
  });
}

}  // namespace

void register_device_arrays(py::module_& m) {
  using py::arg;
  py::class_<Array> array(m, "DeviceArray", py::is_final());
  array.def_property_readonly("shape", &shape_tuple)
      .def_property_readonly("dtype", [](const Array& self) { return dtype_of(self.type()); })
      .def_property_readonly("ndim", &Array::ndim)
      .def_property_readonly("size", &Array::size)
      .def_property_readonly("nbytes", &Array::nbytes)
      .def_property_readonly("device", &Array::device)
      .def_property_readonly("stream",
                             [](const Array& self) { return cuda::stream_number(self.stream()); })
      .def_property_readonly(
          "pointer",
          [](const Array& self) { return reinterpret_cast<std::uintptr_t>(self.data()); })
      .def_property_readonly("writeable", &Array::writeable)
      .def_property_readonly("borrowed", &Array::borrowed)
      .def("reshape", &Array::reshape, arg("shape"))
      .def("rows", &Array::rows, arg("start"), arg("stop"))
      .def("to_host", &to_host, arg("out") = py::none());
  register_interchange(m, array);
  m.def("empty", &empty, arg("shape"), arg("dtype"), arg("device") = py::none());
  m.def("from_host", &from_host, arg("array"), arg("device") = py::none());
  m.def("copy_from_host", &copy_from_host, arg("array"), arg("source"));
  m.def("copy_from", &copy_from, arg("array"), arg("source"));
  m.def("copy", &copy_of, arg("array"));
}

}  // namespace convolt
