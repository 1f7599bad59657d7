// convolt._cuda.host, in the build for the stand-in of the CUDA runtime alone: what tests ask of it
// and plant in it.
#include <cuda_host.h>
#include <cuda_runtime.h>

#include "../subjects.h"
#include "interchange.h"

namespace convolt {
namespace {

py::dict live_objects() {
  const cuda_host::LiveObjects live = cuda_host::live_objects();
  py::dict result;
  result["allocations"] = live.allocations;
  result["bytes"] = live.bytes;
  result["streams"] = live.streams;
  result["events"] = live.events;
  result["cublas_handles"] = live.cublas_handles;
  return result;
}

void require_success(const cudaError_t& status, const char* what) {
  if (status != cudaSuccess)
    throw cuda::Error(std::string(what) + ": " + cudaGetErrorString(status));
}

// One that does not wait for the legacy default stream, nor this for it.
std::uintptr_t create_stream() {
  cudaStream_t stream = nullptr;
  require_success(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking),
                  "cudaStreamCreateWithFlags");
  return cuda::stream_number(stream);
}

void destroy_stream(std::uintptr_t stream) {
  require_success(cudaStreamDestroy(cuda::stream_of(stream)), "cudaStreamDestroy");
}

}  // namespace

void register_host(py::module_& m) {
  using py::arg;
  py::module_ host = m.def_submodule("host", "The stand-in of the CUDA runtime, for tests.");
  host.def("reports", &cuda_host::take_reports);
  host.def("live_objects", &live_objects);
  host.def("live_allocations", [] { return cuda_host::live_objects().allocations; });
  host.def("fail_call", &cuda_host::fail_call, arg("n"));
  host.def("failure_is_planned", &cuda_host::failure_is_planned);
  host.def("set_memory_limit", &cuda_host::set_memory_limit, arg("bytes"));
  host.def("launches", &cuda_host::launch_count);
  host.def("create_stream", &create_stream);
  host.def("destroy_stream", &destroy_stream, arg("stream"));
}

}  // namespace convolt
