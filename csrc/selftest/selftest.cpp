// The self-test: every kernel of every instruction set that this machine has, and whole problems on
// top of them, without Python. It is what runs under an emulator for the instruction sets that the
// machine at hand lacks.
#include <csignal>
#include <cstdlib>
#include <exception>

#include "conv_checks.h"
#include "depthwise_checks.h"
#include "engine_checks.h"
#include "gemm_checks.h"
#include "isa.h"
#include "norm_checks.h"
#include "optimizer_checks.h"
#include "pack_checks.h"
#include "pool2d_checks.h"
#include "pool_rows_checks.h"

namespace convolt::selftest {
namespace {

// A kernel touched a guard page: say which one, with nothing but what a signal handler may call.
void report_fault(int /*signal*/) {
  constexpr char kText[] = "FAILED, memory out of bounds: ";
  const char* const current = report.current();
  if (write(STDERR_FILENO, kText, sizeof(kText) - 1) < 0 ||
      write(STDERR_FILENO, current, std::strlen(current)) < 0 ||
      write(STDERR_FILENO, "\n", 1) < 0) {
    _exit(2);
  }
  _exit(1);
}

template <typename T>
void check_isa(const std::string& section, const KernelTable<T>& kernels) {
  report.enter(section);
  Random random;
  check_gemm(kernels, random);
  check_fma_chains(kernels);
  check_packing(kernels, random);
  check_depthwise(kernels, random);
  check_pooling(kernels, random);
  check_normalization(kernels, random);
  check_optimizers(kernels, random);
  for (const int threads : {1, 3}) {
    report.enter(section + " on " + std::to_string(threads) + " threads");
    limit_threads(threads);
    check_convolutions<T>(random);
    check_poolings<T>(random);
  }
  limit_threads(0);
}

int run() {
  std::signal(SIGSEGV, report_fault);
  std::signal(SIGBUS, report_fault);
  report.enter("engine");
  check_engine();
  std::printf("engine: %lld checks\n", static_cast<long long>(report.checks()));
  for (const Isa isa : supported_isas()) {
    const int64_t checks = report.checks(), failures = report.failures();
    const std::string isa_text = isa_name(isa);
    set_isa(isa_text);
    check_isa(isa_text + " float32", kernel_tables(isa).f32);
    check_isa(isa_text + " float64", kernel_tables(isa).f64);
    const int64_t failed = report.failures() - failures;
    std::printf("%s: %lld checks passed\n", isa_name(isa),
                static_cast<long long>(report.checks() - checks - failed));
  }
  std::printf("%lld passed, %lld failed\n",
              static_cast<long long>(report.checks() - report.failures()),
              static_cast<long long>(report.failures()));
  return report.failures() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace convolt::selftest

int main() {
  try {
    return convolt::selftest::run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "FAILED %s: %s\n", convolt::selftest::report.current(), error.what());
    return EXIT_FAILURE;
  }
}
