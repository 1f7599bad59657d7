// Pooling on a CUDA device: pool2d.h of the CPU engine with the same contracts, for pointers to
// device memory. A gradient is gathered by the pixels of dx, without atomics, in an order that
// depends on the shape only.
#pragma once

#include "../geometry.h"
#include "../kernel_table.h"
#include "../pool2d.h"

namespace convolt::cuda {

using convolt::PoolResults;

template <typename T>
void extremum_pool2d_forward(const std::string& function, const Pool2dProblem& problem,
                             PoolOperation operation, const T* x, const PoolResults<T>& results);

// From indices that a user gave. Waits for the check of them, and throws std::invalid_argument for
// one outside the plane.
template <typename T>
void extremum_pool2d_backward(const std::string& function, const Pool2dProblem& problem,
                              const T* dy, const int64_t* indices, T* dx);

// From what the forward pass left, which nobody checks: a winner outside its window or the plane
// adds nothing.
template <typename T>
void extremum_pool2d_backward(const std::string& function, const Pool2dProblem& problem,
                              const T* dy, const uint8_t* winners, T* dx);

template <typename T>
void avg_pool2d_forward(const Pool2dProblem& problem, const T* x, T* y);
template <typename T>
void avg_pool2d_backward(const Pool2dProblem& problem, const T* dy, T* dx);

template <typename T>
void global_avg_pool2d_forward(int64_t planes, int64_t pixels, const T* x, T* y);
template <typename T>
void global_avg_pool2d_backward(int64_t planes, int64_t pixels, const T* dy, T* dx);
template <typename T>
void global_max_pool2d_forward(int64_t planes, int64_t pixels, const T* x, T* y, int64_t* indices);

}  // namespace convolt::cuda
