// The handles of cuBLAS, for those who count what is alive.
#pragma once

#include <cstdint>

namespace convolt::cuda_host {

int64_t live_cublas_handles();

}  // namespace convolt::cuda_host
