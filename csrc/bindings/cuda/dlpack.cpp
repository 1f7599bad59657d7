#include "dlpack.h"

#include <memory>
#include <type_traits>

#include "interchange.h"

namespace convolt {
namespace cuda {
namespace {

using dlpack::Managed;
using dlpack::ManagedVersioned;
using VersionPair = std::pair<int, int>;

[[noreturn]] void throw_buffer_error(const std::string& message) {
  py::set_error(PyExc_BufferError, message.c_str());
  throw py::error_already_set();
}

dlpack::DataType dlpack_type(ElementType type) {
  return with_type(type, [](auto value) -> dlpack::DataType {
    using T = decltype(value);
    const uint8_t code = std::is_floating_point_v<T>
                             ? dlpack::kFloating
                             : (std::is_signed_v<T> ? dlpack::kInteger : dlpack::kUnsigned);
    return {code, static_cast<uint8_t>(8 * sizeof(T)), 1};
  });
}

// --- ours out ---

// What a capsule holds: the array, the numbers that its tensor points to, and the stream on which
// it is used, if there is one.
template <typename M>
struct Exported {
  DeviceArray array;
  Shape shape, strides;
  std::optional<Stream> consumer;
  M managed;
};

// The memory is given back on the array's own stream, after what the consumer has enqueued.
template <typename M>
void end_export(Exported<M>* exported) noexcept {
  const std::unique_ptr<Exported<M>> ended(exported);
  if (!ended->consumer) return;
  try {
    const DeviceGuard guard(ended->array.device());
    make_wait(ended->array.stream(), *ended->consumer);
  } catch (const Error&) {  // the stream is gone, or the driver: nobody to wait for
    ended->consumer.reset();
  }
}

template <typename M>
py::object export_capsule(const DeviceArray& array, const std::optional<Stream>& consumer) {
  auto exported = std::make_unique<Exported<M>>(
      Exported<M>{array, array.extents(), contiguous_strides(array.extents()), consumer, M{}});
  M& managed = exported->managed;
  managed.context = exported.get();
  managed.deleter = [](M* self) { end_export(static_cast<Exported<M>*>(self->context)); };
  managed.tensor = {exported->array.mutable_data(),
                    {dlpack::kCuda, array.device()},
                    static_cast<int32_t>(array.ndim()),
                    dlpack_type(array.type()),
                    exported->shape.data(),
                    exported->strides.data(),
                    0};
  if constexpr (std::is_same_v<M, ManagedVersioned>) {
    managed.version = {1, 0};
    managed.flags = array.writeable() ? 0 : dlpack::kReadOnly;
  }
  const auto destroy = [](PyObject* capsule) {
    if (PyCapsule_IsValid(capsule, dlpack::capsule_name<M>) == 0) return;  // somebody took it
    M* const unused = static_cast<M*>(PyCapsule_GetPointer(capsule, dlpack::capsule_name<M>));
    unused->deleter(unused);
  };
  PyObject* const capsule = PyCapsule_New(&managed, dlpack::capsule_name<M>, destroy);
  if (capsule == nullptr) throw py::error_already_set();
  static_cast<void>(exported.release());
  return py::reinterpret_steal<py::object>(capsule);
}

// What the consumer enqueues on its stream from now on comes after what fills the array. Returns
// that stream.
std::optional<Stream> let_wait(const DeviceArray& array, const std::optional<int64_t>& stream) {
  if (stream == -1) return std::nullopt;
  if (stream && *stream < 1) {
    throw py::value_error("__dlpack__: stream must be None, -1 or a stream, got " +
                          std::to_string(*stream));
  }
  const Stream consumer = stream ? stream_of(static_cast<std::uintptr_t>(*stream)) : nullptr;
  const DeviceGuard guard(array.device());
  make_wait(consumer, array.stream());
  return consumer;
}

py::object to_dlpack(const DeviceArray& array, const std::optional<int64_t>& stream,
                     const std::optional<VersionPair>& max_version,
                     const std::optional<VersionPair>& device, const std::optional<bool>& copies) {
  if (device && *device != VersionPair(dlpack::kCuda, array.device())) {
    throw_buffer_error("__dlpack__: dl_device must be the array's own, (2, " +
                       std::to_string(array.device()) + ")");
  }
  const DeviceArray exported = copies.value_or(false) ? copy_of(array) : array;
  const bool versioned = max_version && max_version->first >= 1;
  if (!versioned && !exported.writeable()) {
    throw_buffer_error("__dlpack__: a read-only array needs a consumer of DLPack 1.0");
  }
  const std::optional<Stream> consumer = let_wait(exported, stream);
  return versioned ? export_capsule<ManagedVersioned>(exported, consumer)
                   : export_capsule<Managed>(exported, consumer);
}

// --- theirs in ---

ElementType element_type_of(const dlpack::DataType& type) {
  for (const ElementType candidate :
       {ElementType::kFloat32, ElementType::kFloat64, ElementType::kInt64, ElementType::kUint8}) {
    const dlpack::DataType ours = dlpack_type(candidate);
    if (type.code == ours.code && type.bits == ours.bits && type.lanes == 1) return candidate;
  }
  throw py::type_error(
      "from_dlpack: array must be float32, float64, int64 or uint8, got DLPack's type code " +
      std::to_string(type.code) + " of " + std::to_string(type.bits) + " bits");
}

void require_cuda(const dlpack::Device& device) {
  if (device.type != dlpack::kCuda && device.type != dlpack::kCudaManaged) {
    throw_buffer_error("from_dlpack: array must be on a CUDA device, got DLPack's device type " +
                       std::to_string(device.type));
  }
}

DeviceArray array_of_tensor(const dlpack::Tensor& tensor, Owner owner, bool writeable) {
  require_cuda(tensor.device);
  const ElementType type = element_type_of(tensor.dtype);
  const Shape shape(tensor.shape, tensor.shape + tensor.ndim);
  char* const data = static_cast<char*>(tensor.data) + tensor.byte_offset;
  DeviceArray array(std::move(owner), data, type, shape, tensor.device.id, current_stream(),
                    writeable);
  if (tensor.strides == nullptr) return array;
  return contiguous("from_dlpack", array, Shape(tensor.strides, tensor.strides + tensor.ndim));
}

// Takes what is in the capsule: from here on its deleter is called once, by whoever is the last.
template <typename M>
DeviceArray take(const py::object& capsule) {
  auto* const managed =
      static_cast<M*>(PyCapsule_GetPointer(capsule.ptr(), dlpack::capsule_name<M>));
  if (managed == nullptr || PyCapsule_SetName(capsule.ptr(), dlpack::used_name<M>) != 0) {
    throw py::error_already_set();
  }
  // The array is one of the current stream, which it needs as long as it lives.
  Owner owner(managed, [keeper = current_kept_stream().keeper](void* held) {
    M* const done = static_cast<M*>(held);
    if (done->deleter != nullptr) done->deleter(done);
  });
  bool writeable = true;
  if constexpr (std::is_same_v<M, ManagedVersioned>) {
    if (managed->version.major != 1) {
      throw_buffer_error("from_dlpack: array must come in version 1 of DLPack, got " +
                         std::to_string(managed->version.major));
    }
    writeable = (managed->flags & dlpack::kReadOnly) == 0;
  }
  return array_of_tensor(managed->tensor, std::move(owner), writeable);
}

// The producer orders its work before our current stream.
py::object request_capsule(const py::object& producer, int device) {
  const DeviceGuard guard(device);
  const std::uintptr_t number = stream_number(current_stream());
  const py::object method = producer.attr("__dlpack__");
  const py::arg stream("stream");
  const std::uintptr_t ours = number == 0 ? 1 : number;
  try {
    return method(stream = ours, py::arg("max_version") = VersionPair(1, 0));
  } catch (const py::error_already_set& error) {
    // Producers older than DLPack 1.0 do not know the argument.
    if (!error.matches(PyExc_TypeError)) throw;
  }
  return method(stream = ours);
}

DeviceArray from_dlpack(const py::object& producer) {
  const auto device = producer.attr("__dlpack_device__")().cast<VersionPair>();
  require_cuda({device.first, device.second});
  const py::object capsule = request_capsule(producer, device.second);
  if (PyCapsule_IsValid(capsule.ptr(), dlpack::capsule_name<ManagedVersioned>) != 0) {
    return take<ManagedVersioned>(capsule);
  }
  return take<Managed>(capsule);
}

}  // namespace
}  // namespace cuda

void register_dlpack(py::module_& m, py::class_<Array>& array) {
  using py::arg;
  array
      .def("__dlpack__", &cuda::to_dlpack, py::kw_only(), arg("stream") = py::none(),
           arg("max_version") = py::none(), arg("dl_device") = py::none(), arg("copy") = py::none())
      .def("__dlpack_device__", [](const Array& self) {
        return py::make_tuple(static_cast<int>(cuda::dlpack::kCuda), self.device());
      });
  m.def("from_dlpack", &cuda::from_dlpack, arg("array"));
}

}  // namespace convolt
