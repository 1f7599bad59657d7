// What benchmarks compare kernels with.
#pragma once

#include <cstdint>

namespace convolt::cuda {

// Enqueues independent chains of multiply-adds in registers, enough of them to keep every lane of
// the device busy. Returns how many operations they are, two for each multiply-add.
template <typename T>
double fma_chains(int64_t iterations);

}  // namespace convolt::cuda
