// The proof of the stand-in: each fault is found, and its twin without the fault passes, in every
// order of blocks and threads.
#include <cuda_host.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "cases.h"

namespace convolt::cuda_host::selftest {
namespace {

// Empty where the case went as expected.
std::string complaint(const Case& one) {
  try {
    one.run();
  } catch (const std::exception& error) {
    take_reports();
    return std::string("failed: ") + error.what();
  }
  // What streams have left undone.
  static_cast<void>(cudaDeviceSynchronize() == cudaSuccess);
  static_cast<void>(cudaGetLastError());
  const std::vector<std::string> reports = take_reports();
  const LiveObjects live = live_objects();
  if (live.allocations + live.streams + live.events + live.cublas_handles != 0) {
    return "has left objects behind";
  }
  if (one.expected == nullptr) return reports.empty() ? "" : "false alarm: " + reports[0];
  if (reports.size() != 1) return "has " + std::to_string(reports.size()) + " reports, not 1";
  const bool found = reports[0].find(one.expected) != std::string::npos;
  return found ? "" : "is reported as: " + reports[0];
}

int run() {
  int faults = 0;
  int checks = 0;
  for (const char* const order : {"forward", "reverse", "1", "2"}) {
    setenv("CONVOLT_CUDA_HOST_ORDER", order, 1);
    for (const auto& cases : {memory_cases(), shared_memory_cases(), race_cases(), stream_cases(),
                              call_cases(), blas_cases()}) {
      for (const Case& one : cases) {
        ++checks;
        const std::string text = complaint(one);
        if (text.empty()) continue;
        ++faults;
        std::fprintf(stderr, "FAILED, order %s: \"%s\" %s\n", order, one.name, text.c_str());
      }
    }
  }
  std::printf("cuda_host: %d cases, %d failed\n", checks, faults);
  return faults == 0 ? 0 : 1;
}

}  // namespace
}  // namespace convolt::cuda_host::selftest

int main() { return convolt::cuda_host::selftest::run(); }
