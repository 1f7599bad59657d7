// Which instruction sets the kernels were compiled for, and which of them this process uses.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernel_table.h"

namespace convolt {

// In ascending order: a larger one is the better choice where the CPU has it.
enum class Isa { kBaseline, kNeon, kAvx2, kAvx512 };

const char* isa_name(Isa isa);
std::vector<Isa> compiled_isas();
std::vector<Isa> supported_isas();  // compiled, and the CPU and the system have it

// The highest supported one, unless a lower was asked for: by set_isa, or else by the environment
// variable CONVOLT_MAX_ISA, read at first use. Throws std::invalid_argument for a name that is
// unknown or not supported here.
Isa selected_isa();
void set_isa(const std::optional<std::string>& name);  // nullopt: back to the default

const KernelTables& kernel_tables(Isa isa);
bool is_compiled(Isa isa);

template <typename T>
const KernelTable<T>& selected_kernels();
template <>
inline const KernelTable<float>& selected_kernels<float>() {
  return kernel_tables(selected_isa()).f32;
}
template <>
inline const KernelTable<double>& selected_kernels<double>() {
  return kernel_tables(selected_isa()).f64;
}

// For rows of so few columns: the selected kernels, or those of the next lower instruction set
// where its vectors hold a row as well. A half-empty vector costs as much as a full one.
template <typename T>
const KernelTable<T>& kernels_for_columns(int64_t columns) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  if (2 * columns > kernels.lanes || selected_isa() != Isa::kAvx512 || !is_compiled(Isa::kAvx2)) {
    return kernels;
  }
  if constexpr (sizeof(T) == sizeof(float)) {
    return kernel_tables(Isa::kAvx2).f32;
  } else {
    return kernel_tables(Isa::kAvx2).f64;
  }
}

// The table with the kernels that walk straight over planes, of pooling and of depthwise windows.
// AVX-512 has none of its own and takes those of AVX2.
template <typename T>
const KernelTable<T>& plane_kernels() {
  return kernels_for_columns<T>(1);
}

}  // namespace convolt
