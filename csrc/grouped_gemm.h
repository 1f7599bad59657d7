// The products of one pass, one for each group, and their split into tasks.
#pragma once

#include "gemm.h"

namespace convolt {

// Packing A for each block of columns costs some 3 % of the block's product; packing it beforehand,
// where more blocks than this share it, costs a trip to memory.
constexpr int64_t kMostPackings = 2;

// What the passes differ in.
template <typename T>
struct GroupedGemm {
  const KernelTable<T>* kernels;
  Im2colView view;
  int64_t groups;
  GemmProblem<T> first;  // of group 0
  // From group to group, in elements.
  int64_t weight_step, image_step, c_step;

  GemmProblem<T> of_group(int64_t group) const {
    GemmProblem<T> problem = first;
    problem.a.data += group * weight_step;
    if (problem.packed_a.data != nullptr) {
      problem.packed_a.data += group * PackedWeight<T>::elements(first.a, problem.packed_a.width);
    }
    problem.image += group * image_step;
    problem.c.data += group * c_step;
    if (problem.bias != nullptr) problem.bias += group * first.a.rows;
    return problem;
  }
};

// The rows of a panel of A that the product of this size reads: MR, or NR where it is narrow.
template <typename T>
int64_t weight_panel_width(const KernelTable<T>& kernels, const WeightView<T>& a, int64_t columns);

// Bytes of scratch for run_gemm().
template <typename T>
std::size_t gemm_scratch_bytes(const GroupedGemm<T>& gemm);

template <typename T>
void run_gemm(const GroupedGemm<T>& gemm, std::byte* scratch);

}  // namespace convolt
