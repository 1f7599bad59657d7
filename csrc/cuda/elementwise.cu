// Arithmetic is as fast as its operands come from memory: expected at 85-90 % of the bandwidth with
// loads of 16 bytes, at half of that with three axes and more that cannot be joined.
#include "elementwise.h"
#include "operations.cuh"
#include "strided_walk.cuh"
#include "vector_access.cuh"

namespace convolt::cuda {
namespace {

template <typename T>
__global__ void __launch_bounds__(kThreads, kBlocksAtOnce)
    unary_kernel(Unary operation, int64_t count, const T* x, T* y) {
  with_function<T>(operation, [&](auto function) {
    for_each_run<T>(
        count,
        [&](auto width, int64_t i) {
          auto run = load_run<decltype(width)::value>(x, i);
#pragma unroll
          for (T& element : run.element) element = function(element);
          store_run(y, i, run);
        },
        x, y);
  });
}

// A and B are const T* or Number<T>.
template <typename T, typename A, typename B>
__global__ void __launch_bounds__(kThreads, kBlocksAtOnce)
    binary_kernel(Binary operation, int64_t count, A a, B b, T* y) {
  with_function<T>(operation, [&](auto function) {
    for_each_run<T>(
        count,
        [&](auto width, int64_t i) {
          auto run = load_run<decltype(width)::value>(a, i);
          const auto other = load_run<decltype(width)::value>(b, i);
#pragma unroll
          for (int e = 0; e < decltype(width)::value; ++e) {
            run.element[e] = function(run.element[e], other.element[e]);
          }
          store_run(y, i, run);
        },
        a, b, y);
  });
}

template <typename T>
__global__ void __launch_bounds__(kThreads, kBlocksAtOnce)
    strided_binary_kernel(Binary operation, int64_t count, StridedWalk<2> walk, const T* a,
                          const T* b, T* y) {
  with_function<T>(operation, [&](auto function) {
    for (int64_t i = first_element(); i < count; i += all_threads()) {
      int64_t at[2];
      walk.find(i, at);
      y[i] = function(a[at[0]], b[at[1]]);
    }
  });
}

template <typename T>
__global__ void __launch_bounds__(kThreads) fill_kernel(int64_t count, Number<T> value, T* y) {
  for_each_run<T>(
      count,
      [&](auto width, int64_t i) { store_run(y, i, load_run<decltype(width)::value>(value, i)); },
      y);
}

}  // namespace

template <typename T>
void unary(Unary operation, int64_t count, const T* x, T* y) {
  launch("unary", unary_kernel<T>, grid_of_runs<T>(count), operation, count, x, y);
}

template <typename T>
void binary(Binary operation, const Extents& extents, const T* a, const Extents& a_strides,
            const T* b, const Extents& b_strides, T* y) {
  const StridedWalk<2> walk = strided_walk<2>(extents, {a_strides, b_strides});
  const int64_t count = walk.count();
  if (walk.is_contiguous()) {
    launch("binary", binary_kernel<T, const T*, const T*>, grid_of_runs<T>(count), operation, count,
           a, b, y);
  } else {
    launch("strided_binary", strided_binary_kernel<T>, grid_of_threads(count), operation, count,
           walk, a, b, y);
  }
}

template <typename T>
void binary(Binary operation, int64_t count, const T* a, T b, T* y) {
  launch("binary", binary_kernel<T, const T*, Number<T>>, grid_of_runs<T>(count), operation, count,
         a, Number<T>{b}, y);
}

template <typename T>
void binary(Binary operation, int64_t count, T a, const T* b, T* y) {
  launch("binary", binary_kernel<T, Number<T>, const T*>, grid_of_runs<T>(count), operation, count,
         Number<T>{a}, b, y);
}

template <typename T>
void fill(int64_t count, T value, T* y) {
  launch("fill", fill_kernel<T>, grid_of_runs<T>(count), count, Number<T>{value}, y);
}

template void unary(Unary, int64_t, const float*, float*);
template void unary(Unary, int64_t, const double*, double*);
template void binary(Binary, const Extents&, const float*, const Extents&, const float*,
                     const Extents&, float*);
template void binary(Binary, const Extents&, const double*, const Extents&, const double*,
                     const Extents&, double*);
template void binary(Binary, int64_t, const float*, float, float*);
template void binary(Binary, int64_t, const double*, double, double*);
template void binary(Binary, int64_t, float, const float*, float*);
template void binary(Binary, int64_t, double, const double*, double*);
template void fill(int64_t, float, float*);
template void fill(int64_t, double, double*);

}  // namespace convolt::cuda
