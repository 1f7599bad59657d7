// Matrix products by cuBLAS.
#pragma once

#include <cstdint>

namespace convolt::cuda {

// A row-major matrix (rows, columns), or the transpose of one; in a batch `stride` elements apart.
template <typename T>
struct Matrix {
  T* data;
  int64_t leading;  // elements from row to row as stored
  bool transposed = false;
  int64_t stride = 0;
};

// c[i] = a[i] b[i], or c[i] + a[i] b[i], for i < batch; (m, k) times (k, n). c is not transposed.
template <typename T>
void multiply(int64_t m, int64_t n, int64_t k, const Matrix<const T>& a, const Matrix<const T>& b,
              const Matrix<T>& c, bool accumulate = false, int64_t batch = 1);

// Of the library that is loaded, such as 130100.
int cublas_version();

}  // namespace convolt::cuda
