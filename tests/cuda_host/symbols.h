// The symbols of the module that holds the kernels: what a kernel is called, and which shared
// arrays are its own. Nothing in the source of a kernel says so once it is compiled, but the name
// of a static array in a function begins with the name of the function. The module must not be
// stripped.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace convolt::cuda_host {

struct SharedArray {
  std::string name;
  std::size_t begin;  // address
  std::size_t bytes;
};

// "convolt::cuda::fill<float>(float*, long, float)"
const std::string& function_name(const void* function);

// "libname.so+0x1234", for addr2line.
std::string code_location(const void* code);

const std::vector<SharedArray>& shared_arrays(const void* function);
std::size_t shared_bytes(const void* function);

}  // namespace convolt::cuda_host
