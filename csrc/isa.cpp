#include "isa.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

namespace convolt {
namespace {

struct IsaEntry {
  Isa isa;
  const char* name;
  const KernelTables* tables;  // null: not compiled in
};

// CMake defines CONVOLT_HAVE_<ISA> for each kernel object that it links in.
const IsaEntry kIsas[] = {
#if defined(CONVOLT_HAVE_BASELINE)
    {Isa::kBaseline, "baseline", &baseline::kTables},
#else
    {Isa::kBaseline, "baseline", nullptr},
#endif
#if defined(CONVOLT_HAVE_NEON)
    {Isa::kNeon, "neon", &neon::kTables},
#else
    {Isa::kNeon, "neon", nullptr},
#endif
#if defined(CONVOLT_HAVE_AVX2)
    {Isa::kAvx2, "avx2", &avx2::kTables},
#else
    {Isa::kAvx2, "avx2", nullptr},
#endif
#if defined(CONVOLT_HAVE_AVX512)
    {Isa::kAvx512, "avx512", &avx512::kTables},
#else
    {Isa::kAvx512, "avx512", nullptr},
#endif
};

const IsaEntry& entry(Isa isa) { return kIsas[static_cast<int>(isa)]; }

// The compiler's runtime asks CPUID, and XGETBV for what the system saves of the registers.
bool cpu_has([[maybe_unused]] Isa isa) {
#if defined(CONVOLT_HAVE_AVX2)
  if (isa == Isa::kAvx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
#if defined(CONVOLT_HAVE_AVX512)
  if (isa == Isa::kAvx512) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("fma");
  }
#endif
  return true;  // baseline and NEON are part of what the whole library was compiled for
}

std::string join_names(const std::vector<Isa>& isas) {
  std::string names;
  for (const Isa isa : isas) names += (names.empty() ? "" : ", ") + std::string(isa_name(isa));
  return names;
}

Isa parse(const std::string& source, const std::string& name) {
  const std::vector<Isa> supported = supported_isas();
  for (const Isa isa : supported) {
    if (name == isa_name(isa)) return isa;
  }
  std::string why = "is not the name of an instruction set";
  for (const IsaEntry& known : kIsas) {
    if (name != known.name) continue;
    why = known.tables == nullptr ? "is not compiled into this build"
                                  : "is not supported by this CPU";
  }
  throw std::invalid_argument(source + ": name must be one of " + join_names(supported) +
                              ", got '" + name + "', which " + why);
}

Isa default_isa() {
  const char* const name = std::getenv("CONVOLT_MAX_ISA");
  if (name != nullptr && *name != '\0') return parse("CONVOLT_MAX_ISA", name);
  return supported_isas().back();
}

constexpr int kUnset = -1;
std::atomic<int> selected{kUnset};

}  // namespace

const char* isa_name(Isa isa) { return entry(isa).name; }

std::vector<Isa> compiled_isas() {
  std::vector<Isa> isas;
  for (const IsaEntry& known : kIsas) {
    if (is_compiled(known.isa)) isas.push_back(known.isa);
  }
  return isas;
}

std::vector<Isa> supported_isas() {
  std::vector<Isa> isas;
  for (const Isa isa : compiled_isas()) {
    if (cpu_has(isa)) isas.push_back(isa);
  }
  return isas;
}

Isa selected_isa() {
  int current = selected.load(std::memory_order_relaxed);
  if (current == kUnset) {
    current = static_cast<int>(default_isa());
    selected.store(current, std::memory_order_relaxed);
  }
  return static_cast<Isa>(current);
}

void set_isa(const std::optional<std::string>& name) {
  const int isa = name ? static_cast<int>(parse("set_isa", *name)) : kUnset;
  selected.store(isa, std::memory_order_relaxed);
}

const KernelTables& kernel_tables(Isa isa) { return *entry(isa).tables; }
bool is_compiled(Isa isa) { return entry(isa).tables != nullptr; }

}  // namespace convolt
