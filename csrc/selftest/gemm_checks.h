// The micro-kernels against the equation of their contract (gemm_microkernel.h).
#pragma once

#include "check.h"
#include "kernel_table.h"

namespace convolt::selftest {

struct Tile {
  int64_t rows, vectors, kc;
  bool accumulate, bias, relu;
  bool special;   // with NaN and infinities among the operands
  bool in_place;  // A as rows, B as planes that are further apart than a panel's
  Guard guard;

  std::string text() const {
    return "gemm_microkernel rows " + std::to_string(rows) + " vectors " + std::to_string(vectors) +
           " kc " + std::to_string(kc) + (accumulate ? " accumulate" : "") + (bias ? " bias" : "") +
           (relu ? " relu" : "") + (special ? " special" : "") + (in_place ? " in place, " : ", ") +
           name(guard);
  }
};

template <typename T>
void check_tile(const KernelTable<T>& kernels, const Tile& tile, Random& random) {
  report.begin(tile.text());
  const int64_t mr = kernels.mr, nr = kernels.nr;
  const int64_t columns = tile.vectors * kernels.lanes;
  const int64_t ldc = columns + 3;
  const int64_t lda = tile.in_place ? tile.kc + 5 : mr, ldb = tile.in_place ? columns + 3 : nr;
  // Read where they lie, not one element more may be touched.
  const bool some = tile.in_place && tile.kc > 0;
  Guarded<T> a(tile.in_place ? (tile.rows - 1) * lda + tile.kc : tile.kc * mr, tile.guard);
  Guarded<T> b(some ? (tile.kc - 1) * ldb + columns : tile.kc * ldb, tile.guard);
  Guarded<T> c((tile.rows - 1) * ldc + columns, tile.guard), bias(tile.rows, tile.guard);
  random.fill(a);
  random.fill(b);
  random.fill(bias);
  random.fill(c);
  if (!tile.accumulate) std::fill(c.begin(), c.end(), kNan<T>);
  if (tile.special && tile.kc > 0) {
    random.fill_special<T>(b);
    a[0] = kNan<T>;
    a[static_cast<int64_t>(a.end() - a.begin()) - 1] = -kInfinity<T>;
  }

  std::vector<T> expected = c.copy();
  for (int64_t i = 0; i < tile.rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      T sum = 0;
      for (int64_t k = 0; k < tile.kc; ++k) {
        sum += a[tile.in_place ? i * lda + k : k * mr + i] * b[k * ldb + j];
      }
      T& element = expected[static_cast<std::size_t>(i * ldc + j)];
      if (tile.accumulate) sum = element + sum;
      if (tile.bias) sum += bias[i];
      element = tile.relu && sum < 0 ? T{0} : sum;
    }
  }
  const Epilogue<T> epilogue = {tile.bias ? bias.data() : nullptr, tile.accumulate, tile.relu};
  const GemmMicrokernel<T>* const microkernels =
      tile.in_place ? kernels.gemm_microkernels_of_rows : kernels.gemm_microkernels;
  microkernels[(tile.vectors - 1) * mr + tile.rows - 1](tile.kc, {a.data(), lda, b.data(), ldb},
                                                        c.data(), ldc, epilogue);
  report.expect_equal(c.data(), expected, "c");
}

template <typename T>
void check_tiles(const KernelTable<T>& kernels, int64_t rows, int64_t vectors, Random& random) {
  for (const int64_t kc : {0, 1, 2, 7, 255, 256, 257}) {
    for (int choice = 0; choice < 32; ++choice) {
      const bool accumulate = (choice & 1) != 0, bias = (choice & 2) != 0;
      const bool relu = (choice & 4) != 0, special = (choice & 8) != 0;
      const bool in_place = (choice & 16) != 0;
      const Guard guard = kGuards[(rows + kc + choice) % 2];
      check_tile(kernels, {rows, vectors, kc, accumulate, bias, relu, special, in_place, guard},
                 random);
    }
  }
  for (const Guard guard : kGuards) {
    check_tile(kernels, {rows, vectors, 3, true, true, true, false, false, guard}, random);
    check_tile(kernels, {rows, vectors, 3, true, true, true, false, true, guard}, random);
  }
}

template <typename T>
void check_gemm(const KernelTable<T>& kernels, Random& random) {
  for (int64_t rows = 1; rows <= kernels.mr; ++rows) {
    for (int64_t vectors = 1; vectors * kernels.lanes <= kernels.nr; ++vectors) {
      check_tiles(kernels, rows, vectors, random);
    }
  }
}

// The yardstick of the benchmarks counts what it ran.
template <typename T>
void check_fma_chains(const KernelTable<T>& kernels) {
  report.begin("fma_chains");
  T sink[16] = {};
  const double once = kernels.fma_chains(100, sink);
  report.expect(once > 0 && kernels.fma_chains(300, sink) == 3 * once,
                "operations must grow with the iterations");
}

}  // namespace convolt::selftest
