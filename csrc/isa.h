// Which instruction sets the kernels were compiled for, and which of them this process uses.
#pragma once

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
void set_isa(const std::string& name);  // "": back to the default

const KernelTables& kernel_tables(Isa isa);

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

}  // namespace convolt
