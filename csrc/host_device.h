// Marks what CUDA kernels call as well. Nothing else may be here: the kernel objects include it
// too.
#pragma once

#if defined(__CUDACC__)
#define CONVOLT_HOST_DEVICE __host__ __device__
#else
#define CONVOLT_HOST_DEVICE
#endif
