#include "algorithm.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

namespace convolt {
namespace {

struct Named {
  Algorithm algorithm;
  const char* name;
};

constexpr Named kNames[] = {{Algorithm::kAuto, "auto"},
                            {Algorithm::kGemm, "gemm"},
                            {Algorithm::kWinograd, "winograd"},
                            {Algorithm::kWinograd2x2, "winograd_2x2"},
                            {Algorithm::kWinograd4x4, "winograd_4x4"}};

const Named& parse(const std::string& function, const std::string& name) {
  for (const Named& known : kNames) {
    if (name == known.name) return known;
  }
  throw std::invalid_argument(function +
                              ": algorithm must be 'auto', 'gemm', 'winograd', 'winograd_2x2' or "
                              "'winograd_4x4', got '" +
                              name + "'");
}

const Named& default_of_environment() {
  const char* const name = std::getenv("CONVOLT_ALGORITHM");
  return parse("CONVOLT_ALGORITHM", name == nullptr || *name == '\0' ? "auto" : name);
}

std::atomic<const Named*> selected{nullptr};

const Named& selected_default() {
  const Named* current = selected.load(std::memory_order_relaxed);
  if (current == nullptr) {
    current = &default_of_environment();
    selected.store(current, std::memory_order_relaxed);
  }
  return *current;
}

std::string pair_text(int64_t vertical, int64_t horizontal) {
  return "(" + std::to_string(vertical) + ", " + std::to_string(horizontal) + ")";
}

}  // namespace

bool is_winograd(Algorithm algorithm) {
  return algorithm == Algorithm::kWinograd || algorithm == Algorithm::kWinograd2x2 ||
         algorithm == Algorithm::kWinograd4x4;
}

bool winograd_applies(Algorithm asked, int64_t kernel_h, int64_t kernel_w,
                      const WindowParams& window) {
  const bool has_size = kernel_h == 3 || (kernel_h == 5 && asked != Algorithm::kWinograd4x4);
  return has_size && kernel_w == kernel_h && window.stride_h == 1 && window.stride_w == 1 &&
         window.dilation_h == 1 && window.dilation_w == 1;
}

Algorithm algorithm_for(const std::string& function, const std::optional<std::string>& name,
                        const Shape4& weight, const WindowParams& window) {
  const Algorithm asked = (name ? parse(function, *name) : selected_default()).algorithm;
  if (!is_winograd(asked) || winograd_applies(asked, weight[2], weight[3], window)) return asked;
  if (!name) return Algorithm::kAuto;
  throw std::invalid_argument(
      function + ": algorithm must be 'auto' or 'gemm' unless the kernel is (3, 3)" +
      (asked == Algorithm::kWinograd4x4 ? "" : " or (5, 5)") +
      ", stride (1, 1) and dilation (1, 1), got '" + *name + "' for a kernel of " +
      pair_text(weight[2], weight[3]) + ", stride " + pair_text(window.stride_h, window.stride_w) +
      ", dilation " + pair_text(window.dilation_h, window.dilation_w));
}

std::string default_algorithm() { return selected_default().name; }

void set_default_algorithm(const std::optional<std::string>& name) {
  selected.store(name ? &parse("set_algorithm", *name) : nullptr, std::memory_order_relaxed);
}

}  // namespace convolt
