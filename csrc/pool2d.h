// Pooling, forward and backward. Every plane is pooled alone: the result does not depend on the
// number of threads. `function` names the public function in messages.
#pragma once

#include <string>

#include "geometry.h"
#include "kernel_table.h"

namespace convolt {

// Where the results of a pooling go: the values and, if asked for, which elements of their windows
// the extrema are, as one kind of number.
template <typename T>
struct PoolResults {
  T* y;
  uint8_t* winners;  // kh * kernel_w + kw, of windows with at most 255 taps; or null
  int64_t* indices;  // h * in_w + w; or null
};

// The extremum of every window. The first of equal elements wins; a NaN wins over everything,
// padding over nothing.
template <typename T>
void extremum_pool2d_forward(const std::string& function, const Pool2dProblem& problem,
                             PoolOperation operation, const T* x, const PoolResults<T>& results);

// dx[plane][indices[plane][i]] += dy[plane][i], in the order of i; all other elements of dx are 0.
// Throws std::invalid_argument for an index outside the plane. Outside its window it may be.
template <typename T>
void extremum_pool2d_backward(const std::string& function, const Pool2dProblem& problem,
                              const T* dy, const int64_t* indices, T* dx);

// The same from the winners of the windows, taps as in PoolResults; one outside the plane throws.
template <typename T>
void extremum_pool2d_backward(const std::string& function, const Pool2dProblem& problem,
                              const T* dy, const uint8_t* winners, T* dx);

template <typename T>
void avg_pool2d_forward(const Pool2dProblem& problem, const T* x, T* y);
template <typename T>
void avg_pool2d_backward(const Pool2dProblem& problem, const T* dy, T* dx);

// One window that is the whole plane.
template <typename T>
void global_avg_pool2d_forward(int64_t planes, int64_t pixels, const T* x, T* y);
template <typename T>
void global_avg_pool2d_backward(int64_t planes, int64_t pixels, const T* dy, T* dx);
template <typename T>
void global_max_pool2d_forward(int64_t planes, int64_t pixels, const T* x, T* y, int64_t* indices);

}  // namespace convolt
