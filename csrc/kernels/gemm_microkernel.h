// The inner kernel of every convolution: one register tile of C += A B.
//
//   for i < Rows, j < NR:   sum = sum over k < kc of  a[k * MR + i] * b[k * NR + j]
//                           c[i * ldc + j] = epilogue(sum)          (kernel_table.h)
//
//   A panel, MR rows of A:            B panel, NR columns of B:
//     k = 0: a0 a1 .. a(MR-1)           k = 0: b0 b1 .. b(NR-1)
//     k = 1: a0 a1 .. a(MR-1)           k = 1: b0 b1 .. b(NR-1)
//
// A is broadcast, B is loaded as vectors: with pixels as columns, rows of C are stored straight into
// NCHW arrays. Rows is the number of panel rows in use, so that a ragged last tile (64 output
// channels are ten tiles of six and one of four) costs what it computes. Ragged columns are the
// caller's: it passes a tile of scratch as C (gemm.cpp).
//
// The order of a sum is k ascending, whatever Rows, so every tile shape gives the same bits.
#pragma once

#include "../kernel_table.h"
#include "simd.h"

namespace convolt {
namespace CONVOLT_ISA {

// Register tile. Two FMA ports of latency 4-5 need at least 8-10 independent sums in flight.
//              registers   sums           + B + broadcast of A        FMAs a load
//   AVX2       16          6 x 2 = 12     + 2 + 1..2 = 15..16         12 / 8
//   AVX-512    32          14 x 2 = 28    + 2 + 0 (memory operand)    28 / 16
//   NEON       32          8 x 3 = 24     + 3 + 2 = 29                24 / 11
//   SSE2       16          6 x 2 = 12     + 2 + 1 + 1 product         12 / 8
#if defined(__AVX512F__)
constexpr int kTileRows = 14;
constexpr int kTileVectors = 2;
#elif defined(__aarch64__)
constexpr int kTileRows = 8;
constexpr int kTileVectors = 3;
#else
constexpr int kTileRows = 6;
constexpr int kTileVectors = 2;
#endif

template <typename T>
constexpr int kTileColumns = kTileVectors * kLanes<T>;

template <typename T>
static inline void store_row(const Vec<T>* sums, T* c, const T* bias, const Epilogue<T>& epilogue) {
#pragma GCC unroll 3
  for (int v = 0; v < kTileVectors; ++v) {
    Vec<T> sum = sums[v];
    T* const target = c + v * kLanes<T>;
    if (epilogue.accumulate) sum = load<T>(target) + sum;
    if (bias != nullptr) sum = sum + broadcast<T>(*bias);
    if (epilogue.relu) sum = sum < Vec<T>{} ? Vec<T>{} : sum;  // keeps a NaN
    store<T>(target, sum);
  }
}

// Its own function on purpose: inlined into a larger one, gcc spills the sums.
template <typename T, int Rows>
[[gnu::noinline]] static void gemm_microkernel(int64_t kc, const T* a, const T* b, T* c,
                                               int64_t ldc, const Epilogue<T>& epilogue) {
  Vec<T> sums[Rows][kTileVectors] = {};
  for (int64_t k = 0; k < kc; ++k) {
    Vec<T> columns[kTileVectors];
#pragma GCC unroll 3
    for (int v = 0; v < kTileVectors; ++v) columns[v] = load<T>(b + v * kLanes<T>);
#pragma GCC unroll 14
    for (int i = 0; i < Rows; ++i) {
      const Vec<T> weight = broadcast<T>(a[i]);
#pragma GCC unroll 3
      for (int v = 0; v < kTileVectors; ++v) {
        sums[i][v] = multiply_add<T>(weight, columns[v], sums[i][v]);
      }
    }
    a += kTileRows;
    b += kTileColumns<T>;
  }
#pragma GCC unroll 14
  for (int i = 0; i < Rows; ++i) {
    store_row<T>(sums[i], c + i * ldc, epilogue.bias == nullptr ? nullptr : epilogue.bias + i,
                 epilogue);
  }
}

template <typename T>
static constexpr GemmMicrokernel<T> kGemmMicrokernels[] = {
    gemm_microkernel<T, 1>,  gemm_microkernel<T, 2>,  gemm_microkernel<T, 3>,
    gemm_microkernel<T, 4>,  gemm_microkernel<T, 5>,  gemm_microkernel<T, 6>,
#if defined(__AVX512F__) || defined(__aarch64__)
    gemm_microkernel<T, 7>,  gemm_microkernel<T, 8>,
#endif
#if defined(__AVX512F__)
    gemm_microkernel<T, 9>,  gemm_microkernel<T, 10>, gemm_microkernel<T, 11>,
    gemm_microkernel<T, 12>, gemm_microkernel<T, 13>, gemm_microkernel<T, 14>,
#endif
};
static_assert(sizeof(kGemmMicrokernels<float>) == kTileRows * sizeof(void*), "one for each row");

// The yardstick: as many independent chains as the tile has sums, nothing but multiply-adds.
template <typename T>
[[gnu::noinline]] static double fma_chains(int64_t iterations, T* sink) {
  constexpr int kChains = 12;
  Vec<T> sums[kChains];
  const Vec<T> factor = broadcast<T>(sink[0]);
  for (int i = 0; i < kChains; ++i) sums[i] = broadcast<T>(sink[i]);
  for (int64_t n = 0; n < iterations; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sums[i] = multiply_add<T>(sums[i], factor, factor);
  }
  Vec<T> total{};
  for (int i = 0; i < kChains; ++i) total = total + sums[i];
  sink[0] = total[0];
  return 2.0 * kChains * kLanes<T> * static_cast<double>(iterations);
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
