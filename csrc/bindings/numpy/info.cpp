// What was built, what is selected, how many threads; and the yardstick of the benchmarks.
#include <chrono>

#include "../arrays.h"
#include "../subjects.h"
#include "algorithm.h"
#include "at_once.h"
#include "isa.h"
#include "workspace.h"

namespace convolt {
namespace {

std::vector<std::string> names(const std::vector<Isa>& isas) {
  std::vector<std::string> result;
  result.reserve(isas.size());
  for (const Isa isa : isas) result.emplace_back(isa_name(isa));
  return result;
}

py::dict build_info() {
  py::dict info;
  info["version"] = CONVOLT_VERSION;
  info["compiler"] = CONVOLT_COMPILER;
  info["flags"] = CONVOLT_FLAGS;
  info["kernel_flags"] = CONVOLT_KERNEL_FLAGS;
  info["isas_compiled"] = names(compiled_isas());
  info["isas_supported"] = names(supported_isas());
  info["isa_selected"] = isa_name(selected_isa());
  info["algorithm"] = default_algorithm();
  info["openmp"] = has_openmp();
  info["num_threads"] = num_threads();
  return info;
}

// GFLOP/s of multiply-adds alone, for about 50 ms on each thread.
template <typename T>
double fma_rate(int threads) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  using Clock = std::chrono::steady_clock;
  std::vector<double> rates(static_cast<std::size_t>(threads), 0.0);
  parallel_for(threads, threads, [&](int64_t task, int) {
    T sink[16] = {};
    double operations = 0;
    const Clock::time_point start = Clock::now();
    std::chrono::duration<double> elapsed{0};
    while (elapsed.count() < 0.05) {
      operations += kernels.fma_chains(100000, sink);
      elapsed = Clock::now() - start;
    }
    rates[static_cast<std::size_t>(task)] = operations / elapsed.count();
  });
  double total = 0;
  for (const double rate : rates) total += rate;
  return total * 1e-9;
}

double measure_fma_peak(const std::string& dtype, int threads) {
  if (dtype != "float32" && dtype != "float64") {
    throw py::value_error("measure_fma_peak: dtype must be 'float32' or 'float64', got '" + dtype +
                          "'");
  }
  if (threads < 1) {
    throw py::value_error("measure_fma_peak: threads must be at least 1, got " +
                          std::to_string(threads));
  }
  double rate = 0;
  without_gil(
      [&] { rate = dtype == "float32" ? fma_rate<float>(threads) : fma_rate<double>(threads); });
  return rate;
}

}  // namespace

void register_info(py::module_& m) {
  m.attr("__version__") = CONVOLT_VERSION;
  m.def("build_info", &build_info);
  m.def("selected_isa", [] { return std::string(isa_name(selected_isa())); });
  m.def("set_isa", &set_isa, py::arg("name"));
  m.def("algorithm", &default_algorithm);
  m.def("set_algorithm", &set_default_algorithm, py::arg("name"));
  m.def("set_at_once", [](bool allowed) { at_once_allowed = allowed; }, py::arg("allowed"));
  m.def("num_threads", &num_threads);
  m.def("set_num_threads", &set_num_threads, py::arg("threads"));
  m.def("limit_threads", &limit_threads, py::arg("threads"));
  m.def("thread_limit", &thread_limit);
  m.def("busy_threads", &busy_threads);
  m.def("scratch_bytes", &scratch_bytes);
  m.def("release_memory", &release_memory);
  m.def("measure_fma_peak", &measure_fma_peak, py::arg("dtype"), py::arg("threads"));
}

}  // namespace convolt
