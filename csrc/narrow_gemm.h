// C = A B for few columns: 7 x 7 maps, single images, fully connected layers.
//
// 49 pixels fill three panels of 16 columns and one vector of a fourth, or 77 % of two panels
// of 32. So the operands change places: the pixels are broadcast, the output channels are the
// vectors,
//
//     C^T [pixel][row] = sum over k of  B[k][pixel] * A[row][k]
//
// and the weight, of which every element is used once in a call, goes through the first level of
// the cache one panel at a time, packed there or read as it was prepared. A tile of C^T collects
// all of k before it is turned and stored. The sums have the order of the wide product: the same
// bits.
#pragma once

#include "grouped_gemm.h"

namespace convolt {

template <typename T>
bool is_narrow(const KernelTable<T>& kernels, const WeightView<T>& a, int64_t columns);

template <typename T>
std::size_t narrow_gemm_scratch_bytes(const GroupedGemm<T>& gemm);

template <typename T>
void run_narrow_gemm(const GroupedGemm<T>& gemm, std::byte* scratch);

}  // namespace convolt
