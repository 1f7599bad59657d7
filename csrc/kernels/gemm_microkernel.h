// The inner kernel of every convolution: one register tile of C += A B.
//
//   for i < Rows, j < Vectors * lanes:
//       sum = sum over k < kc of  A[i][k] * b[k * ldb + j]
//       c[i * ldc + j] = epilogue(sum)                              (kernel_table.h)
//
//   A panel of A:                     Rows of A:                       A panel of B:
//     k = 0: a0 a1 .. a(MR-1)           a0: k = 0, 1, 2 ..               k = 0: b0 b1 .. b(NR-1)
//     k = 1: a0 a1 .. a(MR-1)           a1: k = 0, 1, 2 ..               k = 1: b0 b1 .. b(NR-1)
//
// Panels are packed, or lie so in an array. A is broadcast, B is loaded as vectors: with pixels as
// columns, rows of C are stored straight into NCHW arrays. Rows and Vectors are what is in use of
// the panels, so that a ragged tile (64 output channels are ten tiles of six and one of four; 7 x 7
// pixels are three panels of sixteen and one pixel) costs what it computes. Columns that do not
// fill a vector are the caller's: it passes a tile of scratch as C (gemm.cpp).
//
// The order of a sum is k ascending, whatever the tile and wherever its operands lie, so every tile
// gives the same bits.
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

// Each question once a tile, not once a store: after a short k they are a tenth of the time.
template <typename T, int Vectors, int Rows>
static inline void store_sums(Vec<T> (&sums)[Rows][Vectors], T* c, int64_t ldc,
                              const Epilogue<T>& epilogue) {
  const auto for_each_sum = [&](auto&& f) __attribute__((always_inline)) {
#pragma GCC unroll 14
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 3
      for (int v = 0; v < Vectors; ++v) f(sums[i][v], i, c + i * ldc + v * kLanes<T>);
    }
  };
  if (epilogue.accumulate) {
    for_each_sum([](Vec<T>& sum, int, const T* p) { sum = load<T>(p) + sum; });
  }
  if (epilogue.bias != nullptr) {
    const T* const bias = epilogue.bias;
    for_each_sum([bias](Vec<T>& sum, int i, const T*) { sum = sum + broadcast<T>(bias[i]); });
  }
  if (epilogue.relu) {  // keeps a NaN
    for_each_sum([](Vec<T>& sum, int, const T*) { sum = sum < Vec<T>{} ? Vec<T>{} : sum; });
  }
  for_each_sum([](const Vec<T>& sum, int, T* p) { store<T>(p, sum); });
}

// The two ways to read A: next() goes on to the next k.
template <typename T, int Rows>
struct PanelOfA {
  const T* a;
  int64_t lda;
  explicit PanelOfA(const TileOperands<T>& operands) : a(operands.a), lda(operands.lda) {}
  T row(int i) const { return a[i]; }
  void next() {
    __builtin_prefetch(a + 768);
    a += lda;
  }
};

// Three rows to a pointer are what an address can say: base, base + stride, base + 2 * stride.
template <typename T, int Rows>
struct RowsOfA {
  const char* rows[(Rows + 2) / 3];
  int64_t stride;
  explicit RowsOfA(const TileOperands<T>& operands)
      : stride(operands.lda * static_cast<int64_t>(sizeof(T))) {
    for (int i = 0; i < (Rows + 2) / 3; ++i) {
      rows[i] = reinterpret_cast<const char*>(operands.a) + 3 * i * stride;
    }
  }
  T row(int i) const {
    T value;
    __builtin_memcpy(&value, rows[i / 3] + i % 3 * stride, sizeof(T));
    return value;
  }
  void next() {
#pragma GCC unroll 5
    for (int i = 0; i < (Rows + 2) / 3; ++i) rows[i] += sizeof(T);
  }
};

// Its own function on purpose: inlined into a larger one, gcc spills the sums.
template <typename T, int Vectors, int Rows, template <typename, int> class OperandA>
[[gnu::noinline]] static void gemm_microkernel(int64_t kc, const TileOperands<T>& operands, T* c,
                                               int64_t ldc, const Epilogue<T>& epilogue) {
  Vec<T> sums[Rows][Vectors] = {};
  OperandA<T, Rows> a(operands);
  const T* b = operands.b;
  const int64_t ldb = operands.ldb;
  for (int64_t k = 0; k < kc; ++k) {
    Vec<T> columns[Vectors];
#pragma GCC unroll 3
    for (int v = 0; v < Vectors; ++v) columns[v] = load<T>(b + v * kLanes<T>);
#pragma GCC unroll 14
    for (int i = 0; i < Rows; ++i) {
      Vec<T> weight = broadcast<T>(a.row(i));
      keep_in_register<T>(weight);
#pragma GCC unroll 3
      for (int v = 0; v < Vectors; ++v) {
        sums[i][v] = multiply_add<T>(weight, columns[v], sums[i][v]);
      }
    }
    a.next();
    b += ldb;
  }
  store_sums<T, Vectors, Rows>(sums, c, ldc, epilogue);
}

// The micro-kernels of every tile, [(vectors - 1) * MR + rows - 1].
template <typename T>
struct Microkernels {
  GemmMicrokernel<T> tiles[kTileVectors * kTileRows];
};

template <typename T, template <typename, int> class OperandA, int Tile = kTileVectors * kTileRows>
static constexpr void add_microkernels(Microkernels<T>& kernels) {
  if constexpr (Tile > 0) {
    constexpr int kVectors = (Tile - 1) / kTileRows + 1, kRows = (Tile - 1) % kTileRows + 1;
    kernels.tiles[Tile - 1] = gemm_microkernel<T, kVectors, kRows, OperandA>;
    add_microkernels<T, OperandA, Tile - 1>(kernels);
  }
}

template <typename T, template <typename, int> class OperandA>
static constexpr Microkernels<T> make_microkernels() {
  Microkernels<T> kernels{};
  add_microkernels<T, OperandA>(kernels);
  return kernels;
}

template <typename T, template <typename, int> class OperandA>
static constexpr Microkernels<T> kMicrokernels = make_microkernels<T, OperandA>();

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
