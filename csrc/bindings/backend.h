// Whose arrays the bindings take, and which engine computes: the files of this folder are compiled
// once for NumPy and the CPU (convolt._core) and once for device arrays and CUDA (convolt._cuda).
// A back end is the type Array with the functions of numpy/arrays.h on it, and a namespace `engine`
// whose operators have the names and parameters of conv2d.h, pool2d.h and the like.
#pragma once

#if defined(CONVOLT_CUDA_BINDINGS)
#include "cuda/arrays.h"
#else
#include "numpy/arrays.h"
#endif
