// Devices, streams and what is set for all calls.
#include "../subjects.h"
#include "cuda/blas.h"
#include "cuda/columns.h"
#include "cuda/tile_shapes.h"
#include "cuda/timing.h"
#include "cuda/yardsticks.h"
#include "interchange.h"

namespace convolt {
namespace {

using cuda::Kernels;
using cuda::stream_number;
using cuda::stream_of;

// Calls f on that device, or on the current one.
template <typename F>
auto guarded(const std::optional<int>& device, F&& f) {
  const cuda::DeviceGuard guard(device ? *device : cuda::current_device());
  return without_gil(f);
}

py::dict device_properties(int device) {
  const cuda::DeviceProperties properties =
      without_gil([&] { return cuda::device_properties(device); });
  py::dict result;
  result["name"] = properties.name;
  result["compute_capability"] = py::make_tuple(properties.major, properties.minor);
  result["multiprocessors"] = properties.multiprocessors;
  result["clock_khz"] = properties.clock_khz;
  result["memory_clock_khz"] = properties.memory_clock_khz;
  result["memory_bus_bits"] = properties.memory_bus_bits;
  result["memory_bytes"] = properties.memory_bytes;
  return result;
}

py::dict versions() {
  py::dict result;
  result["driver"] = cuda::driver_version();
  result["runtime"] = cuda::runtime_version();
  result["cublas"] = cuda::cublas_version();
  return result;
}

std::pair<std::size_t, std::size_t> memory_use(const std::optional<int>& device) {
  const cuda::MemoryUse use = guarded(device, [] { return cuda::memory_use(); });
  return {use.free, use.total};
}

// Returns what it takes to have the stream back that was the current one.
py::tuple set_stream(std::uintptr_t stream, const py::object& keeper) {
  const cuda::KeptStream& before = cuda::current_kept_stream();
  auto* const held = static_cast<PyObject*>(before.keeper.get());
  py::tuple result =
      py::make_tuple(stream_number(before.handle),
                     held == nullptr ? py::none() : py::reinterpret_borrow<py::object>(held));
  cuda::set_current_stream(
      {stream_of(stream), keeper.is_none() ? nullptr : cuda::owner_of(keeper)});
  return result;
}

void set_kernels(const std::string& name) {
  constexpr std::array<std::pair<const char*, Kernels>, 4> kNames = {
      {{"auto", Kernels::kAuto},
       {"implicit_gemm", Kernels::kImplicitGemm},
       {"columns", Kernels::kColumns},
       {"direct", Kernels::kDirect}}};
  for (const auto& [known, kernels] : kNames) {
    if (name == known) return cuda::set_kernels(kernels);
  }
  throw py::value_error(
      "set_kernels: name must be 'auto', 'implicit_gemm', 'columns' or 'direct', got '" + name +
      "'");
}

void set_most_blocks(int64_t blocks) {
  if (blocks < 1) {
    throw py::value_error("set_most_blocks: blocks must be at least 1, got " +
                          std::to_string(blocks));
  }
  cuda::set_most_blocks(blocks);
}

double fma_chains(const std::string& dtype, int64_t iterations) {
  if (dtype != "float32" && dtype != "float64") {
    throw py::value_error("fma_chains: dtype must be 'float32' or 'float64', got '" + dtype + "'");
  }
  return without_gil([&] {
    return dtype == "float32" ? cuda::fma_chains<float>(iterations)
                              : cuda::fma_chains<double>(iterations);
  });
}

}  // namespace

void register_devices(py::module_& m) {
  using py::arg;
  m.def("device_count", [] { return without_gil([] { return cuda::device_count(); }); });
  m.def("device_problem", &cuda::device_problem, arg("device"));
  m.def("device_properties", &device_properties, arg("device"));
  m.def("current_device", &cuda::current_device);
  m.def("versions", &versions);
  m.def("memory_use", &memory_use, arg("device") = py::none());
  m.def(
      "release_memory",
      [](const std::optional<int>& device) { guarded(device, [] { cuda::release_memory(); }); },
      arg("device") = py::none());
  m.def("is_host_stand_in", &cuda::is_host_stand_in);
  m.def("current_stream", [] { return stream_number(cuda::current_stream()); });
  m.def("set_stream", &set_stream, arg("stream"), arg("keeper") = py::none());
  m.def(
      "make_wait",
      [](std::uintptr_t waiting, std::uintptr_t other) {
        cuda::make_wait(stream_of(waiting), stream_of(other));
      },
      arg("waiting"), arg("other"));
  m.def(
      "synchronize",
      [](const std::optional<int>& device) { guarded(device, [] { cuda::synchronize(); }); },
      arg("device") = py::none());
  py::class_<cuda::TimingEvent>(m, "Event", py::is_final())
      .def(py::init<>())
      .def("record", &cuda::TimingEvent::record)
      .def("elapsed_ms", &cuda::TimingEvent::elapsed_ms, arg("other"),
           py::call_guard<py::gil_scoped_release>());
  m.def("fma_chains", &fma_chains, arg("dtype"), arg("iterations"));
  m.def("allow_tf32", &cuda::allow_tf32, arg("allowed"));
  m.def("tf32_allowed", &cuda::tf32_allowed);
  m.def("set_kernels", &set_kernels, arg("name"));
  m.def("set_tile_shape", &cuda::set_tile_shape, arg("shape"));
  m.def("set_column_scratch", &cuda::set_column_scratch, arg("bytes"));
  m.def("set_most_blocks", &set_most_blocks, arg("blocks"));
}

}  // namespace convolt
