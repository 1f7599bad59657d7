// The inner kernel of every convolution: one register tile of C += A B.
//
//   for i < Rows, j < Vectors * lanes:
//       sum = sum over k < kc of  a[k * MR + i] * b[k * NR + j]
//       c[i * ldc + j] = epilogue(sum)                              (kernel_table.h)
//
//   A panel, MR rows of A:            B panel, NR columns of B:
//     k = 0: a0 a1 .. a(MR-1)           k = 0: b0 b1 .. b(NR-1)
//     k = 1: a0 a1 .. a(MR-1)           k = 1: b0 b1 .. b(NR-1)
//
// A is broadcast, B is loaded as vectors: with pixels as columns, rows of C are stored straight
// into NCHW arrays. Rows and Vectors are what is in use of the panels, so that a ragged tile (64
// output channels are ten tiles of six and one of four; 7 x 7 pixels are three panels of sixteen
// and one pixel) costs what it computes. Columns that do not fill a vector are the caller's: it
// passes a tile of scratch as C (gemm.cpp).
//
// The order of a sum is k ascending, whatever the tile, so every tile gives the same bits.
#pragma once

#include "../kernel_table.h"
#include "simd.h"

namespace convolt {
namespace CONVOLT_ISA {

// Register tile. Two FMA ports of latency 4-5 need at least 8-10 independent sums in flight.
//              registers   sums           + B + broadcast of A        FMAs a load
//   AVX2       16          6 x 2 = 12     + 2 + 1..2 = 15..16         12 / 8
//   AVX-512    32          14 x 2 = 28    + 2 + 1..2 = 31..32         28 / 16
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

template <typename T, int Vectors>
static inline void store_row(const Vec<T>* sums, T* c, const T* bias, const Epilogue<T>& epilogue) {
#pragma GCC unroll 3
  for (int v = 0; v < Vectors; ++v) {
    Vec<T> sum = sums[v];
    T* const target = c + v * kLanes<T>;
    if (epilogue.accumulate) sum = load<T>(target) + sum;
    if (bias != nullptr) sum = sum + broadcast<T>(*bias);
    if (epilogue.relu) sum = sum < Vec<T>{} ? Vec<T>{} : sum;  // keeps a NaN
    store<T>(target, sum);
  }
}

// Its own function on purpose: inlined into a larger one, gcc spills the sums.
template <typename T, int Vectors, int Rows>
[[gnu::noinline]] static void gemm_microkernel(int64_t kc, const T* a, const T* b, T* c,
                                               int64_t ldc, const Epilogue<T>& epilogue) {
  Vec<T> sums[Rows][Vectors] = {};
  for (int64_t k = 0; k < kc; ++k) {
    Vec<T> columns[Vectors];
#pragma GCC unroll 3
    for (int v = 0; v < Vectors; ++v) columns[v] = load<T>(b + v * kLanes<T>);
#pragma GCC unroll 14
    for (int i = 0; i < Rows; ++i) {
      Vec<T> weight = broadcast<T>(a[i]);
      keep_in_register<T>(weight);
#pragma GCC unroll 3
      for (int v = 0; v < Vectors; ++v) {
        sums[i][v] = multiply_add<T>(weight, columns[v], sums[i][v]);
      }
    }
    a += kTileRows;
    b += kTileColumns<T>;
  }
#pragma GCC unroll 14
  for (int i = 0; i < Rows; ++i) {
    store_row<T, Vectors>(sums[i], c + i * ldc,
                          epilogue.bias == nullptr ? nullptr : epilogue.bias + i, epilogue);
  }
}

// The micro-kernels of every tile, [(vectors - 1) * MR + rows - 1].
template <typename T>
struct Microkernels {
  GemmMicrokernel<T> tiles[kTileVectors * kTileRows];
};

template <typename T, int Tile = kTileVectors * kTileRows>
static constexpr void add_microkernels(Microkernels<T>& kernels) {
  if constexpr (Tile > 0) {
    constexpr int kVectors = (Tile - 1) / kTileRows + 1, kRows = (Tile - 1) % kTileRows + 1;
    kernels.tiles[Tile - 1] = gemm_microkernel<T, kVectors, kRows>;
    add_microkernels<T, Tile - 1>(kernels);
  }
}

template <typename T>
static constexpr Microkernels<T> make_microkernels() {
  Microkernels<T> kernels{};
  add_microkernels(kernels);
  return kernels;
}

template <typename T>
static constexpr Microkernels<T> kMicrokernels = make_microkernels<T>();

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
