// Device arrays, computed by CUDA kernels: the back end of convolt._cuda.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "algorithm.h"
#include "call.h"
#include "cuda/conv2d.h"
#include "cuda/im2col.h"
#include "cuda/norm.h"
#include "cuda/optimizers.h"
#include "cuda/pool2d.h"
#include "device_array.h"

namespace convolt {

namespace py = pybind11;
namespace engine = convolt::cuda;
using Array = cuda::DeviceArray;
using cuda::require_ready;

inline py::object as_object(Array array) { return py::cast(std::move(array)); }

inline py::dtype dtype_of(cuda::ElementType type) {
  return cuda::with_type(type, [](auto value) { return py::dtype::of<decltype(value)>(); });
}

inline std::string shape_text(const Array& array) {
  return py::str(py::tuple(py::cast(array.extents()))).cast<std::string>();
}

inline std::string dtype_text(const Array& array) {
  return py::str(dtype_of(array.type())).cast<std::string>();
}

inline bool is_ready(const Array&) { return true; }

template <typename T>
bool has_type(const Array& array) {
  return array.type() == cuda::element_type<T>;
}

// Calls the engine, which enqueues, allocates or waits, with the GIL released.
template <typename F>
auto without_gil(F&& f) {
  const py::gil_scoped_release release;
  return f();
}

template <typename T>
Array new_array(const std::vector<int64_t>& shape) {
  return without_gil([&] { return Array(cuda::element_type<T>, shape); });
}

template <typename T>
void copy_elements(const T* from, int64_t count, T* to) {
  without_gil([&] { cuda::copy_on_device(to, from, static_cast<std::size_t>(count) * sizeof(T)); });
}

[[noreturn]] inline void throw_memory_error(const std::string& function,
                                            const std::bad_alloc& error) {
  const auto* const asked = dynamic_cast<const cuda::OutOfDeviceMemory*>(&error);
  const std::string size =
      asked == nullptr ? "working" : std::to_string(asked->bytes) + " bytes of device";
  py::set_error(PyExc_MemoryError, (function + ": unable to allocate " + size + " memory").c_str());
  throw py::error_already_set();
}

// Calls f on that device, as one call.
template <typename F>
auto on_device(const std::string& function, int device, F&& f) {
  try {
    cuda::Call call(device);
    auto result = f();
    call.end();
    return result;
  } catch (const std::bad_alloc& error) {
    throw_memory_error(function, error);
  }
}

// Calls f, which is what a function does with `operand` and others.
template <typename Operand, typename F>
auto in_call(const std::string& function, const Operand& operand, F&& f) {
  return on_device(function, operand.device(), f);
}

// A new array with the same elements.
inline Array copy_of(const Array& array) {
  const std::string function = "copy";
  return in_call(function, array, [&] {
    require_ready(function, "array", array);
    return without_gil([&] {
      Array result(array.type(), array.extents());
      cuda::copy_on_device(result.mutable_data(), array.data(),
                           static_cast<std::size_t>(array.nbytes()));
      return result;
    });
  });
}

namespace cuda {

// A weight that stays on the device. The kernels take it as it is.
template <typename T>
class PreparedWeight {
 public:
  PreparedWeight(const T* weight, int64_t elements) : array_(new_array<T>({elements})) {
    copy_elements(weight, elements, static_cast<T*>(array_.mutable_data()));
  }

  int device() const { return array_.device(); }
  const T* data() const { return static_cast<const T*>(array_.data()); }
  operator const T*() const { return data(); }

  friend void require_ready(const std::string& function, const char* argument,
                            const PreparedWeight& weight) {
    require_ready(function, argument, weight.array_);
  }

 private:
  DeviceArray array_;
};

// By name only what there is here; the default of the process is for all devices, and gives way.
inline Algorithm algorithm_for(const std::string& function, const std::optional<std::string>& name,
                               const Shape4&, const WindowParams&) {
  if (!name || *name == "auto") return Algorithm::kAuto;
  if (*name == "gemm") return Algorithm::kGemm;
  throw std::invalid_argument(function + ": algorithm must be 'auto' or 'gemm' on a CUDA device, " +
                              "got '" + *name + "'");
}

}  // namespace cuda
}  // namespace convolt
