#include "winograd.h"

#include <algorithm>

#include "parallel.h"
#include "winograd_products.h"

namespace convolt {
namespace {

// Strip by strip, a strip being some tiles, side by side and image after image:
//
//   1. V = B^T d B of all channels: matrices channels x tiles, one for each element of a tile,
//   which
//      stay in cache;
//   2. for some rows of filters at a time: U = G g G^T, unless that was done before,
//      M = U V, a matrix product for each element, and
//      Y = A^T M A + bias, to where it belongs.
//
// Each thread takes strips of its own, or, where there are fewer of them than threads, they share
// the channels of step 1 and the rows of step 2. A sum over the channels runs in blocks of KC,
// whatever the batch, the strip or the threads: the same bits for all of them.
template <typename T>
class WinogradConvolution {
 public:
  WinogradConvolution(const WinogradProblem<T>& p, const WinogradSize& size,
                      const PreparedWeight<T>* prepared)
      : kernels_(selected_kernels<T>()),
        p_(p),
        grid_(size, p.batch, p.output.h, p.output.w),
        plan_(kernels_, p, grid_, prepared != nullptr),
        layout_(kernels_, p.filters.first.rows, p.filters.first.channels),
        prepared_(prepared) {}

  void run() {
    if (prepared_ != nullptr) take_prepared_filters();
    Slicer size;
    take_shared(size);
    const std::size_t shared = size.used();
    take_own(size);
    const std::size_t per_thread = size.used() - shared;
    const Scratch scratch(shared + per_thread * static_cast<std::size_t>(plan_.threads));
    Slicer slice(scratch.data());
    take_shared(slice);
    if (transforms_first()) transform_filters_first();

    const auto own = [&](int thread) {
      Slicer rest(scratch.data() + shared + per_thread * static_cast<std::size_t>(thread));
      return take_own(rest);
    };
    const int64_t strips = p_.filters.groups * plan_.strips;
    if (plan_.strip_by_thread) {
      parallel_for(strips, plan_.threads, [&](int64_t i, int thread) {
        Own mine = own(thread);
        const WinogradTask<T> strip = transform_input(i, mine.input, 1);
        for (int64_t part = 0; part < plan_.parts; ++part) multiply(strip, part, mine.worker);
      });
      return;
    }
    for (int64_t i = 0; i < strips; ++i) {
      const WinogradTask<T> strip = transform_input(i, input_, plan_.threads);
      parallel_for(plan_.parts, plan_.threads,
                   [&](int64_t part, int thread) { multiply(strip, part, own(thread).worker); });
    }
  }

 private:
  struct TransformedInput {
    WinogradMatrices<T> v;
    WinogradRun* runs;
  };
  struct Own {
    TransformedInput input;
    WinogradWorker<T> worker;
  };

  int64_t filters_of_group() const { return grid_.elements() * layout_.step; }
  bool transforms_first() const { return plan_.filters_first && prepared_ == nullptr; }

  void take_shared(Slicer& scratch) {
    input_ = take_input(scratch, plan_.strip_by_thread ? 0 : plan_.strip);
    const int64_t filters = p_.filters.groups * filters_of_group();
    u_ = scratch.take<T>(transforms_first() ? filters : 0);
  }

  Own take_own(Slicer& scratch) const {
    const TransformedInput input = take_input(scratch, plan_.strip_by_thread ? plan_.strip : 0);
    return {input, WinogradWorker<T>(kernels_, p_, grid_, plan_, scratch)};
  }

  TransformedInput take_input(Slicer& scratch, int64_t tiles) const {
    if (tiles == 0) return {};
    const WinogradMatrices<T> v =
        take_matrices<T>(scratch, grid_.elements(), p_.image.channels, tiles);
    return {v, scratch.take<WinogradRun>(grid_.most_runs(tiles))};
  }

  void take_prepared_filters() {
    const int64_t step = packed_filter_elements(kernels_, p_.filters);
    const int64_t group_step = step * grid_.elements();
    const T* const u = prepared_->get(
        kernels_, {0, grid_.size.tile}, p_.filters.groups * group_step,
        [&](T* packed) { pack_all_filters(kernels_, p_.filters, grid_.size, packed); });
    filters_ = {{u, step, 0, round_up(p_.filters.first.rows, kernels_.mr)}, group_step};
  }

  void transform_filters_first() {
    transform_all_filters(kernels_, p_.filters, grid_.size, layout_, u_);
    filters_ = {{u_, layout_.step, layout_.pitch, 0}, filters_of_group()};
  }

  // Step 1 of strip i.
  WinogradTask<T> transform_input(int64_t i, const TransformedInput& input, int threads) {
    constexpr int64_t kChannelsAtOnce = 4;
    const WinogradMatrices<T>& v = input.v;
    WinogradTask<T> strip{};
    strip.group = i / plan_.strips;
    strip.first = i % plan_.strips * plan_.strip;
    strip.tiles = std::min(plan_.strip, grid_.count - strip.first);
    strip.v = {v.data, v.step, v.pitch};
    const int64_t channels = p_.image.channels, plane = p_.image.h * p_.image.w;
    const WinogradRuns runs =
        grid_.find_runs(strip.first, strip.tiles, p_.filters.groups * channels * plane, p_.pad_top,
                        p_.pad_left, input.runs);
    const int64_t columns = round_up(strip.tiles, kernels_.lanes);
    parallel_for(ceil_div(channels, kChannelsAtOnce), threads, [&](int64_t task, int) {
      const int64_t channel = task * kChannelsAtOnce;
      const WinogradPlanes<const T> planes = {
          p_.image.data + (strip.group * channels + channel) * plane,
          std::min(kChannelsAtOnce, channels - channel), p_.image.h, p_.image.w};
      winograd_kernels(kernels_, grid_.size)
          .input(planes, runs, columns, {v.data + channel * v.pitch, v.step, v.pitch});
    });
    return strip;
  }

  // Step 2 of a strip, for one part of the rows.
  void multiply(WinogradTask<T> strip, int64_t part, WinogradWorker<T> worker) const {
    strip.row_begin = part * plan_.rows;
    strip.row_end = std::min(strip.row_begin + plan_.rows, p_.filters.first.rows);
    worker.run(strip, filters_);
  }

  const KernelTable<T>& kernels_;
  const WinogradProblem<T>& p_;
  TileGrid grid_;
  WinogradPlan plan_;
  FilterLayout layout_;  // of all filters, transformed beforehand
  const PreparedWeight<T>* prepared_;
  TransformedInput input_{};  // that all threads share
  T* u_ = nullptr;
  SharedFilters<T> filters_{};
};

template <typename T>
void run_winograd(const WinogradProblem<T>& p, const WinogradSize& size,
                  const PreparedWeight<T>* prepared) {
  const bool is_empty = p.batch * p.output.h * p.output.w == 0 || p.filters.first.rows == 0;
  if (!is_empty) WinogradConvolution<T>(p, size, prepared).run();
}

}  // namespace

template <typename T>
void winograd_forward(const Conv2dProblem& p, int64_t tile, const T* x, const T* weight,
                      const PreparedWeight<T>* prepared, const T* bias, bool relu, T* y) {
  const int64_t rows = p.group_out_channels(), channels = p.group_in_channels();
  WinogradProblem<T> problem{};
  problem.batch = p.batch;
  problem.filters = {{weight, rows, channels, channels * p.taps(), p.taps(), false},
                     p.groups,
                     rows * channels * p.taps()};
  problem.image = {x, channels, p.in_h, p.in_w};
  problem.output = {y, rows, p.out_h, p.out_w};
  problem.pad_top = p.window.pad_top;
  problem.pad_left = p.window.pad_left;
  problem.bias = bias;
  problem.relu = relu;
  run_winograd(problem, {tile, p.kernel_h}, prepared);
}

template <typename T>
void winograd_backward_data(const Conv2dProblem& p, int64_t tile, const T* dy, const T* weight,
                            const T* bias, T* dx) {
  const int64_t rows = p.group_in_channels(), channels = p.group_out_channels();
  WinogradProblem<T> problem{};
  problem.batch = p.batch;
  problem.filters = {{weight, rows, channels, p.taps(), rows * p.taps(), true},
                     p.groups,
                     rows * channels * p.taps()};
  problem.image = {dy, channels, p.out_h, p.out_w};
  problem.output = {dx, rows, p.in_h, p.in_w};
  problem.pad_top = p.kernel_h - 1 - p.window.pad_top;
  problem.pad_left = p.kernel_w - 1 - p.window.pad_left;
  problem.bias = bias;
  run_winograd<T>(problem, {tile, p.kernel_h}, nullptr);
}

template void winograd_forward(const Conv2dProblem&, int64_t, const float*, const float*,
                               const PreparedWeight<float>*, const float*, bool, float*);
template void winograd_forward(const Conv2dProblem&, int64_t, const double*, const double*,
                               const PreparedWeight<double>*, const double*, bool, double*);
template void winograd_backward_data(const Conv2dProblem&, int64_t, const float*, const float*,
                                     const float*, float*);
template void winograd_backward_data(const Conv2dProblem&, int64_t, const double*, const double*,
                                     const double*, double*);

}  // namespace convolt
