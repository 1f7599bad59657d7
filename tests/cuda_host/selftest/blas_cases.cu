#include <cublas_v2.h>

#include "cases.h"

namespace convolt::cuda_host::selftest {
namespace {

class Handle {
 public:
  Handle() { require(cublasCreate(&handle_) == CUBLAS_STATUS_SUCCESS, "cublasCreate"); }
  ~Handle() { static_cast<void>(cublasDestroy(handle_) == CUBLAS_STATUS_SUCCESS); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  cublasHandle_t get() const { return handle_; }

 private:
  cublasHandle_t handle_ = nullptr;
};

// (2, 3) times (3, 2), column-major, both or none of them stored transposed; two in a batch.
struct Product {
  std::size_t count_of_a = 12;
  int64_t leading_of_a = 2;
  cublasOperation_t transpose = CUBLAS_OP_N;
  float beta = 0;
  cublasMath_t math = CUBLAS_DEFAULT_MATH;
  float element_of_a = 1;
};

std::vector<float> multiply(const Product& product, cublasStatus expected) {
  const Handle handle;
  require(cublasSetMathMode(handle.get(), product.math) == CUBLAS_STATUS_SUCCESS, "the mode");
  const Array<float> a(std::vector<float>(product.count_of_a, product.element_of_a));
  const Array<float> b(std::vector<float>{1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6});
  const Array<float> c(8);
  const float alpha = 1;
  const int64_t leading_of_b = product.transpose == CUBLAS_OP_N ? 3 : 2;
  const cublasStatus status = cublasSgemmStridedBatched_64(
      handle.get(), product.transpose, product.transpose, 2, 2, 3, &alpha, a.data(),
      product.leading_of_a, 6, b.data(), leading_of_b, 6, &product.beta, c.data(), 2, 4, 2);
  require(status == expected, cublasGetStatusString(status));
  return status == CUBLAS_STATUS_SUCCESS ? c.values() : std::vector<float>{};
}

void product_of_matrices() {
  const std::vector<float> expected{6, 6, 15, 15, 6, 6, 15, 15};
  require(multiply({}, CUBLAS_STATUS_SUCCESS) == expected, "the product");
}
void product_of_transposes() {
  Product product;
  product.transpose = CUBLAS_OP_T;
  product.leading_of_a = 3;
  const std::vector<float> expected{9, 9, 12, 12, 9, 9, 12, 12};
  require(multiply(product, CUBLAS_STATUS_SUCCESS) == expected, "the product");
}
void leading_dimension_too_small() {
  Product product;
  product.leading_of_a = 1;
  multiply(product, CUBLAS_STATUS_INVALID_VALUE);
}
void reads_behind() {
  Product product;
  product.count_of_a = 11;
  multiply(product, CUBLAS_STATUS_EXECUTION_FAILED);
}
void adds_to_unwritten() {
  Product product;
  product.beta = 1;
  multiply(product, CUBLAS_STATUS_EXECUTION_FAILED);
}

// 1 + 2^-12 has no room in TF32.
void rounded_factors() {
  Product product;
  product.element_of_a = 1.0F + 1.0F / 4096;
  require(multiply(product, CUBLAS_STATUS_SUCCESS)[0] != 6.0F, "the product of float32");
  product.math = CUBLAS_TF32_TENSOR_OP_MATH;
  require(multiply(product, CUBLAS_STATUS_SUCCESS)[0] == 6.0F, "the product of TF32");
}

}  // namespace

std::vector<Case> blas_cases() {
  return {
      {"a product", product_of_matrices, nullptr},
      {"a product of transposes", product_of_transposes, nullptr},
      {"a leading dimension too small", leading_dimension_too_small, nullptr},
      {"a product that reads behind the end", reads_behind, "reads a at 0 bytes behind the end"},
      {"a product added to what nobody wrote", adds_to_unwritten, "reads c at byte 0"},
      {"TF32", rounded_factors, nullptr},
  };
}

}  // namespace convolt::cuda_host::selftest
