// backward_data with a horizontal stride: the phases of a row are products of their own, and their
// pixels alternate in dx. Stored one phase after the other, each element would be a store of its
// own, and dx would pass through the caches once for each phase. So a task computes a block of all
// phases side by side in scratch, and joins them as whole rows.
//
//   phase 0   a b c d              stride 2
//   phase 1   e f g        ->      a e b f c g d
#pragma once

#include <vector>

#include "grouped_gemm.h"

namespace convolt {

// All horizontal phases of one vertical phase.
template <typename T>
struct JoinedPhases {
  // A product for each phase, all on the grid of the first, which has the most pixels; its C is not
  // used, and its k is 0 where no tap meets the phase.
  std::vector<GroupedGemm<T>> phases;
  // Pixel (gy, gx) of phase i of channel c of image n goes to
  //     dx[n * batch_stride + c * channel_stride + gy * y_stride + gx * x_stride + i].
  T* dx;
  int64_t channel_stride, batch_stride, y_stride, x_stride;
  int64_t width;  // of a row of dx

  const GroupedGemm<T>& first() const { return phases.front(); }
};

template <typename T>
std::size_t joined_phases_scratch_bytes(const JoinedPhases<T>& joined);

template <typename T>
void run_joined_phases(const JoinedPhases<T>& joined, std::byte* scratch);

}  // namespace convolt
