#include "interchange.h"

#include "cuda/elementwise.h"

namespace convolt {
namespace cuda {
namespace {

// Without an interpreter there is nobody left to release the object for, and nothing to do it with.
void release(PyObject* object) {
  if (PyGILState_Check() != 0) {
    Py_DECREF(object);
  } else if (Py_IsInitialized() != 0) {
    const PyGILState_STATE state = PyGILState_Ensure();
    Py_DECREF(object);
    PyGILState_Release(state);
  }
}

// Axes of one element may have any stride.
bool is_contiguous(const Shape& shape, const Shape& strides) {
  const Shape expected = contiguous_strides(shape);
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] != 1 && strides[axis] != expected[axis]) return false;
  }
  return true;
}

// Right-aligned, with extents or strides `filler` in front.
Extents padded(const Shape& shape, int64_t filler) {
  Extents extents;
  extents.fill(filler);
  std::copy(shape.begin(), shape.end(), extents.end() - static_cast<std::ptrdiff_t>(shape.size()));
  return extents;
}

// Strides of __cuda_array_interface__, in elements.
Shape element_strides(const Shape& strides, const Shape& shape, int64_t itemsize) {
  if (strides.size() != shape.size()) {
    throw py::value_error("view: strides must have an entry for each axis, got " +
                          std::to_string(strides.size()) + " for " + std::to_string(shape.size()));
  }
  Shape result;
  for (const int64_t bytes : strides) {
    if (bytes % itemsize != 0) {
      throw py::value_error("view: strides must be multiples of the " + std::to_string(itemsize) +
                            " bytes of an element, got " + std::to_string(bytes));
    }
    result.push_back(bytes / itemsize);
  }
  return result;
}

}  // namespace

std::uintptr_t stream_number(Stream stream) { return reinterpret_cast<std::uintptr_t>(stream); }

Stream stream_of(std::uintptr_t number) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): both protocols have numbers.
  return number == 1 ? nullptr : reinterpret_cast<Stream>(number);
}

ElementType element_type_of(const std::string& function, const char* argument,
                            const py::dtype& dtype) {
  const int number = dtype.num();
  if (number == py::dtype::num_of<float>()) return ElementType::kFloat32;
  if (number == py::dtype::num_of<double>()) return ElementType::kFloat64;
  if (number == py::dtype::num_of<int64_t>()) return ElementType::kInt64;
  if (number == py::dtype::num_of<uint8_t>()) return ElementType::kUint8;
  throw py::type_error(function + ": " + argument +
                       " must be float32, float64, int64 or uint8, got " +
                       py::str(dtype).cast<std::string>());
}

DeviceArray contiguous(const std::string& function, const DeviceArray& array,
                       const Shape& strides) {
  if (array.size() == 0 || is_contiguous(array.extents(), strides)) return array;
  if (array.ndim() > kMostAxes) {
    throw py::value_error(function + ": an array that is not contiguous must have at most " +
                          std::to_string(kMostAxes) + " axes, got shape " + shape_text(array));
  }
  return in_call(function, array, [&] {
    require_ready(function, "array", array);
    return without_gil([&] {
      DeviceArray result(array.type(), array.extents());
      copy_strided(array.itemsize(), padded(array.extents(), 1), array.data(), padded(strides, 0),
                   result.mutable_data(), padded(contiguous_strides(array.extents()), 0));
      return result;
    });
  });
}

Owner owner_of(py::object object) {
  return Owner(object.release().ptr(), [](void* held) { release(static_cast<PyObject*>(held)); });
}

}  // namespace cuda

namespace {

using cuda::Shape;

py::dict cuda_array_interface(const Array& array) {
  py::dict interface;
  interface["version"] = 3;
  interface["shape"] = py::tuple(py::cast(array.extents()));
  interface["typestr"] = dtype_of(array.type()).attr("str");
  interface["data"] =
      py::make_tuple(reinterpret_cast<std::uintptr_t>(array.data()), !array.writeable());
  interface["strides"] = py::none();
  const std::uintptr_t stream = cuda::stream_number(array.stream());
  interface["stream"] = stream == 0 ? 1 : stream;
  return interface;
}

Array view(std::uintptr_t pointer, const Shape& shape, const std::optional<Shape>& strides,
           const py::object& dtype, const py::object& owner,
           const std::optional<std::uintptr_t>& stream, bool writeable,
           const std::optional<int>& device_of_none) {
  const std::string function = "view";
  const cuda::ElementType type =
      cuda::element_type_of(function, "dtype", py::dtype::from_args(dtype));
  const int64_t count = cuda::element_count(function, shape);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the interface has a number.
  void* const data = reinterpret_cast<void*>(pointer);
  const int device = count > 0        ? cuda::device_of(data)
                     : device_of_none ? *device_of_none
                                      : cuda::current_device();
  Array array(cuda::owner_of(owner), data, type, shape, device,
              stream ? cuda::stream_of(*stream) : cuda::current_stream(), writeable);
  if (pointer % static_cast<std::uintptr_t>(array.itemsize()) != 0) {
    throw py::value_error(function + ": pointer must be aligned to the " +
                          std::to_string(array.itemsize()) + " bytes of an element");
  }
  if (!strides) return array;
  return cuda::contiguous(function, array,
                          cuda::element_strides(*strides, shape, array.itemsize()));
}

}  // namespace

void register_interchange(py::module_& m, py::class_<Array>& array) {
  using py::arg;
  array.def_property_readonly("__cuda_array_interface__", &cuda_array_interface);
  m.def("view", &view, arg("pointer"), arg("shape"), arg("strides"), arg("dtype"), arg("owner"),
        arg("stream"), arg("writeable") = true, arg("device_of_none") = py::none());
  register_dlpack(m, array);
}

}  // namespace convolt
