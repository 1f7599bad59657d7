// backward_weights: for each group, image after image and row after row, into sums that stay in
// cache. Long batches of few groups are split, by the shape and never by the threads.
#include <algorithm>
#include <vector>

#include "isa.h"
#include "parallel.h"
#include "staged_planes.h"
#include "tap_rows.h"

namespace convolt {
namespace {

template <typename T>
class WeightsWorker {
 public:
  WeightsWorker(const KernelTable<T>& kernels, const Conv2dProblem& problem,
                const StagedPlanes& planes, const std::vector<int64_t>& tap_starts, Slicer& scratch)
      : kernels_(kernels),
        p_(problem),
        planes_(planes),
        sums_(problem.group_out_channels() * static_cast<int64_t>(tap_starts.size())) {
    window_.tap_starts = tap_starts.data();
    window_.taps = static_cast<int64_t>(tap_starts.size());
    window_.row_pitch = planes.row_pitch();
    room_ = planes.take_room<T>(scratch);
    totals_ = scratch.take<T>(planes.units * sums_ * kernels.lanes);
  }

  // The gradients of some groups, planes.units at most, from the images [begin, end).
  void run(const T* dy, const T* x, int64_t group, int64_t groups, int64_t begin, int64_t end,
           T* dweight) {
    std::fill_n(totals_, groups * sums_ * kernels_.lanes, T{0});
    const int64_t in_unit = planes_.channels * p_.in_pixels();
    const int64_t out_unit = p_.group_out_channels() * p_.out_pixels();
    for (int64_t n = begin; n < end; ++n) {
      const int64_t unit = n * p_.groups + group;
      for (int64_t index = 0; index < planes_.blocks() && !stop_requested(); ++index) {
        const GridBlock block = planes_.block(index);
        planes_.stage(kernels_, x + unit * in_unit, block, groups, room_);
        for (int64_t g = 0; g < groups; ++g) add_block(dy + (unit + g) * out_unit, g, block);
      }
    }
    kernels_.sum_dots(totals_, groups * sums_, dweight);
  }

 private:
  void add_block(const T* dy, int64_t group, const GridBlock& block) {
    window_.padded = room_.padded + group * planes_.unit_pitch();
    window_.rows = block.rows;
    window_.columns = block.columns;
    const PlaneRows<const T> rows = {dy + block.y * p_.out_w + block.x, p_.out_pixels(), p_.out_w};
    kernels_.tap_dots(window_, rows, p_.group_out_channels(),
                      totals_ + group * sums_ * kernels_.lanes);
  }

  const KernelTable<T>& kernels_;
  const Conv2dProblem& p_;
  const StagedPlanes& planes_;
  int64_t sums_;  // of one group
  RowWindow<T> window_{};
  typename StagedPlanes::Room<T> room_;
  T* totals_;
};

}  // namespace

template <typename T>
void tap_rows_backward_weights(const Conv2dProblem& p, const T* dy, const T* x, T* dweight) {
  const int64_t elements = p.out_channels * p.group_in_channels() * p.taps();
  if (elements == 0) return;
  const KernelTable<T>& kernels = kernels_for_columns<T>(p.out_w);
  const WindowParams& w = p.window;
  const StagedPlanes planes(
      forward_axis(p.in_h, p.kernel_h, w.stride_h, w.dilation_h, w.pad_top, p.out_h),
      forward_axis(p.in_w, p.kernel_w, w.stride_w, w.dilation_w, w.pad_left, p.out_w),
      p.group_in_channels(), kernels.lanes, static_cast<int64_t>(sizeof(T)));
  const std::vector<int64_t> tap_starts =
      planes.tap_starts(planes.vertical.phases.front(), planes.horizontal.phases.front());
  const int threads = threads_for(2.0 * static_cast<double>(elements) *
                                  static_cast<double>(p.batch * p.out_pixels()));
  // Enough tasks for many threads; the partial sums of a split are dweight once more.
  constexpr int64_t kTasks = 16;
  const int64_t bunches = ceil_div(p.groups, planes.units);
  const int64_t wanted = ceil_div(kTasks, bunches);
  const int64_t images = std::max<int64_t>(ceil_div(p.batch, wanted), 1);
  const int64_t splits = std::max<int64_t>(ceil_div(p.batch, images), 1);

  Slicer size;
  T* partial = size.take<T>(splits > 1 ? splits * elements : 0);
  const std::size_t shared = size.used();
  WeightsWorker<T>(kernels, p, planes, tap_starts, size);
  const std::size_t per_thread = size.used() - shared;
  const Scratch scratch(shared + per_thread * static_cast<std::size_t>(threads));
  partial = splits > 1 ? reinterpret_cast<T*>(scratch.data()) : dweight;

  parallel_for(bunches * splits, threads, [&](int64_t task, int thread) {
    const int64_t group = task % bunches * planes.units;
    const int64_t split = task / bunches;
    Slicer slice(scratch.data() + shared + per_thread * static_cast<std::size_t>(thread));
    WeightsWorker<T> worker(kernels, p, planes, tap_starts, slice);
    worker.run(dy, x, group, std::min(planes.units, p.groups - group), split * images,
               std::min(p.batch, (split + 1) * images),
               partial + split * elements + group * (elements / p.groups));
  });
  if (splits > 1) {
    std::copy_n(partial, elements, dweight);
    for (int64_t s = 1; s < splits; ++s) {
      for (int64_t i = 0; i < elements; ++i) dweight[i] += partial[s * elements + i];
    }
  }
}

template void tap_rows_backward_weights(const Conv2dProblem&, const float*, const float*, float*);
template void tap_rows_backward_weights(const Conv2dProblem&, const double*, const double*,
                                        double*);

}  // namespace convolt
