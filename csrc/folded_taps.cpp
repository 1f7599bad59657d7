#include "folded_taps.h"

#include <algorithm>

#include "gemm.h"
#include "parallel.h"
#include "tap_fold.h"

namespace convolt {
namespace {

constexpr int64_t kMostColumns = 512;  // of a row of dy

// How dx is cut: into images, and channels of a group, for the tasks; and rows of dy that follow
// each other within a task, for they meet in dx. The rows depend on the shape of one image alone,
// for they decide about the order of the sums.
struct FoldPlan {
  int64_t images, rows, channels;  // at once
  int64_t image_parts, row_parts, channel_parts;

  FoldPlan(const Conv2dProblem& p, int64_t elements) {
    constexpr int64_t kPixels = 768;    // of dy: enough to share the packed weights
    constexpr int64_t kLeastTaps = 96;  // to share the packed dy
    constexpr int64_t kTasks = 16;
    row_parts = ceil_div(p.out_pixels(), std::max(kPixels, p.out_w));
    rows = ceil_div(p.out_h, row_parts);
    row_parts = ceil_div(p.out_h, rows);
    images = std::clamp<int64_t>(kPixels / p.out_pixels(), 1, p.batch);
    image_parts = ceil_div(p.batch, images);
    const int64_t group = p.group_in_channels();
    const int64_t most = elements / (p.taps() * images * rows * p.out_w);
    const int64_t wanted = ceil_div(group * p.groups * image_parts, kTasks);
    channels = std::min(most, std::max(wanted, ceil_div(kLeastTaps, p.taps())));
    channel_parts = ceil_div(group, std::clamp<int64_t>(channels, 1, group));
    channels = ceil_div(group, channel_parts);
  }
};

// Rows [first, first + rows) of dy in some images, as operand B.
Im2colView rows_of_dy(const Conv2dProblem& p, int64_t images, int64_t rows) {
  Im2colView view{};
  view.channels = p.group_out_channels();
  view.in_h = view.grid_h = rows;
  view.in_w = view.grid_w = p.out_w;
  view.batch_stride = p.out_channels * p.out_pixels();
  view.channel_stride = p.out_pixels();
  view.taps_h = view.taps_w = view.dilation_h = view.dilation_w = 1;
  view.stride_h = view.stride_w = 1;
  view.batch = images;
  return view;
}

// The taps of some channels of a group, as operand A: turned.
template <typename T>
WeightView<T> taps_of_channels(const Conv2dProblem& p, const T* weight, int64_t channels) {
  WeightView<T> a{};
  a.data = weight;
  a.rows = channels * p.taps();
  a.channels = p.group_out_channels();
  a.row_stride = 1;
  a.channel_stride = p.group_in_channels() * p.taps();
  a.taps_h = a.taps_w = 1;
  return a;
}

// The packed taps of each part of the channels, of all groups.
template <typename T>
class PackedTaps {
 public:
  PackedTaps(const KernelTable<T>& kernels, const Conv2dProblem& p, const FoldPlan& plan,
             Slicer& scratch)
      : kernels_(kernels),
        p_(p),
        plan_(plan),
        pitch_(
            PackedWeight<T>::elements(taps_of_channels<T>(p, nullptr, plan.channels), kernels.mr)),
        data_(scratch.take<T>(p.groups * plan.channel_parts * pitch_)) {}

  void pack(const T* weight) {
    for (int64_t part = 0; part < plan_.channel_parts; ++part) {
      const int64_t first = part * plan_.channels;
      const WeightView<T> a = taps_of_channels(
          p_, weight + first * p_.taps(), std::min(plan_.channels, p_.group_in_channels() - first));
      const int64_t group_step = p_.group_out_channels() * a.channel_stride;
      for (int64_t group = 0; group < p_.groups; ++group) {
        WeightView<T> own = a;
        own.data += group * group_step;
        pack_weights(kernels_, own, 1, 0, kernels_.mr, of(group, part));
      }
    }
  }

  T* of(int64_t group, int64_t part) const {
    return data_ + (group * plan_.channel_parts + part) * pitch_;
  }

 private:
  const KernelTable<T>& kernels_;
  const Conv2dProblem& p_;
  const FoldPlan& plan_;
  int64_t pitch_;
  T* data_;
};

template <typename T>
class FoldWorker {
 public:
  FoldWorker(const KernelTable<T>& kernels, const Conv2dProblem& p, const FoldPlan& plan,
             Slicer& scratch)
      : kernels_(kernels), p_(p), plan_(plan) {
    col_ = scratch.take<T>(plan.channels * p.taps() * plan.images * plan.rows * p.out_w);
    gemm_ = scratch.take<std::byte>(static_cast<int64_t>(gemm_bytes()));
    Slicer size;
    Folder<T>(p, folded_rows(), p.out_w, size);
    folder_ = scratch.take<std::byte>(static_cast<int64_t>(size.used()));
  }

  // The channels of one part in some images. dy and dx: of the first image, group and channel.
  void run(const T* dy, const T* weight, const T* packed, int64_t images, int64_t channels, T* dx) {
    const WeightView<T> a = taps_of_channels(p_, weight, channels);
    for (int64_t first = 0; first < p_.out_h && !stop_requested(); first += plan_.rows) {
      const int64_t rows = std::min(plan_.rows, p_.out_h - first);
      multiply(a, {packed, kernels_.mr}, dy + first * p_.out_w, images, rows);
      for (int64_t n = 0; n < images; ++n) {
        fold(first, rows, n * rows * p_.out_w, images * rows * p_.out_w, channels,
             dx + n * p_.in_channels * p_.in_pixels());
      }
    }
  }

 private:
  int64_t folded_rows() const { return staged_rows_at_once(p_, p_.out_w); }

  // Of a worker for any of the blocks: the largest need not take most.
  std::size_t gemm_bytes() const {
    const int64_t last_images = p_.batch - (plan_.image_parts - 1) * plan_.images;
    const int64_t last_rows = p_.out_h - (plan_.row_parts - 1) * plan_.rows;
    std::size_t bytes = 0;
    for (const int64_t images : {plan_.images, last_images}) {
      for (const int64_t rows : {plan_.rows, last_rows}) {
        const Im2colView view = rows_of_dy(p_, images, rows);
        const ColumnBlocks blocks(view.grid(), kernels_.nc, kernels_.nr);
        Slicer size;
        GemmWorker<T>(kernels_, view, blocks, taps_of_channels<T>(p_, nullptr, plan_.channels),
                      OperandA::kPrepacked, size);
        bytes = std::max(bytes, size.used());
      }
    }
    return bytes;
  }

  // col = the products of some rows of dy.
  void multiply(const WeightView<T>& a, const PackedWeight<T>& packed, const T* dy, int64_t images,
                int64_t rows) {
    const Im2colView view = rows_of_dy(p_, images, rows);
    const ColumnBlocks blocks(view.grid(), kernels_.nc, kernels_.nr);
    GemmProblem<T> problem{};
    problem.a = a;
    problem.packed_a = packed;
    problem.image = dy;
    problem.c = {col_, view.columns(), rows * p_.out_w, p_.out_w, 1, rows, p_.out_w};
    Slicer slice(gemm_);
    GemmWorker<T> worker(kernels_, view, blocks, a, OperandA::kPrepacked, slice);
    for (int64_t block = 0; block < blocks.count; ++block) {
      worker.run(problem, blocks.first(block), blocks.columns(block), 0, a.rows);
    }
  }

  // Adds rows [first, first + rows) of dy, in col from `column` on, to the channels of an image.
  void fold(int64_t first, int64_t rows, int64_t column, int64_t pitch, int64_t channels, T* dx) {
    Conv2dProblem part = p_;
    part.out_h = rows;
    part.window.pad_top -= first * p_.window.stride_h;
    Slicer slice(folder_);
    Folder<T> folder(part, folded_rows(), p_.out_w, slice);
    const bool all = rows == p_.out_h;
    const int64_t reach = (p_.kernel_h - 1) * p_.window.dilation_h + 1;
    const int64_t last = (rows - 1) * p_.window.stride_h - part.window.pad_top + reach;
    const int64_t begin = all ? 0 : std::clamp<int64_t>(-part.window.pad_top, 0, p_.in_h);
    const int64_t end = all ? p_.in_h : std::clamp<int64_t>(last, begin, p_.in_h);
    if (first == 0 && !all) std::fill_n(dx, channels * p_.in_pixels(), T{0});
    for (int64_t row = begin; row < end; row += folded_rows()) {
      const int64_t count = std::min(folded_rows(), end - row);
      folder.prepare(row, count, 0, p_.out_w);
      if (all && !folder.overwrites()) clear_rows(dx, channels, row, count);
      for (int64_t c = 0; c < channels; ++c) {
        folder.run({col_ + c * p_.taps() * pitch + column, pitch}, !all, dx + c * p_.in_pixels());
      }
    }
  }

  void clear_rows(T* dx, int64_t channels, int64_t row, int64_t rows) const {
    for (int64_t c = 0; c < channels; ++c) {
      std::fill_n(dx + c * p_.in_pixels() + row * p_.in_w, rows * p_.in_w, T{0});
    }
  }

  const KernelTable<T>& kernels_;
  const Conv2dProblem& p_;
  const FoldPlan& plan_;
  T* col_;
  std::byte* gemm_;
  std::byte* folder_;
};

}  // namespace

bool suits_folded_taps(const Conv2dProblem& p, double least_waste) {
  constexpr int64_t kLeastOutputs = 8, kFewChannels = 6;
  const int64_t outputs = p.group_out_channels(), channels = p.group_in_channels();
  if (p.taps() == 1 || p.out_pixels() == 1 || p.out_w > kMostColumns || outputs < kLeastOutputs) {
    return false;
  }
  if (channels <= kFewChannels) return true;
  if (p.window.stride_h * p.window.stride_w > 1) {
    return outputs > 16 || channels <= 16 || p.taps() <= 9;
  }
  const double pixels = static_cast<double>(p.in_pixels());
  return pixels >= least_waste * static_cast<double>(p.out_pixels());
}

template <typename T>
void folded_taps_backward_data(const Conv2dProblem& p, const T* dy, const T* weight, T* dx) {
  constexpr int64_t kColumnBytes = int64_t{640} << 10;  // of the column matrix, in L2
  const KernelTable<T>& kernels = selected_kernels<T>();
  const FoldPlan plan(p, kColumnBytes / static_cast<int64_t>(sizeof(T)));
  const int threads = threads_for(2.0 * static_cast<double>(p.batch * p.out_channels) *
                                  static_cast<double>(p.group_in_channels() * p.taps()) *
                                  static_cast<double>(p.out_pixels()));
  Slicer size;
  PackedTaps<T>(kernels, p, plan, size);
  const std::size_t shared = size.used();
  FoldWorker<T>(kernels, p, plan, size);
  const std::size_t per_thread = size.used() - shared;
  const Scratch scratch(shared + per_thread * static_cast<std::size_t>(threads));
  Slicer slice(scratch.data());
  PackedTaps<T> packed(kernels, p, plan, slice);
  packed.pack(weight);

  const int64_t tasks = plan.image_parts * p.groups * plan.channel_parts;
  parallel_for(tasks, threads, [&](int64_t task, int thread) {
    const int64_t part = task % plan.channel_parts;
    const int64_t group = task / plan.channel_parts % p.groups;
    const int64_t image = task / plan.channel_parts / p.groups * plan.images;
    const int64_t channel = part * plan.channels;
    Slicer own(scratch.data() + shared + per_thread * static_cast<std::size_t>(thread));
    FoldWorker<T> worker(kernels, p, plan, own);
    const int64_t first_plane = image * p.in_channels + group * p.group_in_channels() + channel;
    worker.run(dy + (image * p.out_channels + group * p.group_out_channels()) * p.out_pixels(),
               weight, packed.of(group, part), std::min(plan.images, p.batch - image),
               std::min(plan.channels, p.group_in_channels() - channel),
               dx + first_plane * p.in_pixels());
  });
}

template void folded_taps_backward_data(const Conv2dProblem&, const float*, const float*, float*);
template void folded_taps_backward_data(const Conv2dProblem&, const double*, const double*,
                                        double*);

}  // namespace convolt
