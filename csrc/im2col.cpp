#include "im2col.h"

#include <algorithm>

namespace convolt {
namespace {

bool is_empty(const Conv2dProblem& p) {
  return p.batch == 0 || p.in_channels == 0 || p.out_pixels() == 0;
}

}  // namespace

template <typename T>
void im2col(const Conv2dProblem& p, ColumnLayout layout, const T* x, T* col) {
  if (is_empty(p)) return;
  layout == ColumnLayout::kTaps ? image_to_taps(p, x, col) : image_to_windows(p, x, col);
}

template <typename T>
void col2im(const Conv2dProblem& p, ColumnLayout layout, const T* col, T* x) {
  if (is_empty(p)) {
    std::fill(x, x + p.batch * p.in_channels * p.in_pixels(), T{0});
    return;
  }
  layout == ColumnLayout::kTaps ? taps_to_image(p, col, x) : windows_to_image(p, col, x);
}

template void im2col(const Conv2dProblem&, ColumnLayout, const float*, float*);
template void im2col(const Conv2dProblem&, ColumnLayout, const double*, double*);
template void col2im(const Conv2dProblem&, ColumnLayout, const float*, float*);
template void col2im(const Conv2dProblem&, ColumnLayout, const double*, double*);

}  // namespace convolt
