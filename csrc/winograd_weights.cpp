#include <algorithm>

#include "gemm.h"
#include "parallel.h"
#include "winograd.h"
#include "winograd_products.h"

namespace convolt {
namespace {

// Strip by strip, a strip being some tiles of 4 x 4 pixels of dy, side by side and image after
// image, with the 6 x 6 pixels of x that they met:
//
//   1. U = G dy G^T of all output channels and V = B^T x B of all input channels: 36 matrices each,
//      channels x tiles, which stay in cache;
//   2. M += U V^T, a matrix product for each of the 36 elements;
//
// and after the last one dweight = A^T M A. Threads share the channels of step 1, the elements of
// step 2 and the filters at the end. A sum over the tiles runs strip by strip, and strips are cut
// by the shape alone: the same bits for any number of threads.
template <typename T>
class WinogradGradient {
 public:
  WinogradGradient(const Conv2dProblem& p, const T* dy, const T* x, T* dweight)
      : kernels_(selected_kernels<T>()),
        p_(p),
        dy_(dy),
        x_(x),
        dweight_(dweight),
        grid_(4, p.batch, p.out_h, p.out_w),
        rows_(p.group_out_channels()),
        channels_(p.group_in_channels()),
        panels_(ceil_div(channels_, kernels_.nr)),
        threads_(threads_for(2.0 * kElements * static_cast<double>(p.out_channels * channels_) *
                             static_cast<double>(grid_.count))) {
    constexpr int64_t kStripBytes = int64_t{2} << 20;
    constexpr int64_t kLeastStrip = 64;  // tiles, for M is read and written once for each strip
    const int64_t tile_bytes = kElements * (rows_ + channels_) * static_cast<int64_t>(sizeof(T));
    const int64_t wanted = std::clamp(kStripBytes / tile_bytes, kLeastStrip, kernels_.kc);
    strip_ = round_up(ceil_div(grid_.count, ceil_div(grid_.count, wanted)), kernels_.lanes);
  }

  void run() {
    Slicer size;
    take_shared(size);
    const std::size_t shared = size.used();
    take_own(size);
    const std::size_t per_thread = size.used() - shared;
    const Scratch scratch(shared + per_thread * static_cast<std::size_t>(threads_));
    Slicer slice(scratch.data());
    take_shared(slice);
    for (int64_t j = 0; j < panels_; ++j) {
      const int64_t count = std::min(kernels_.nr, channels_ - j * kernels_.nr);
      store_runs_[j] = {j * kernels_.nr, 0, round_up(count, kernels_.lanes)};
      first_store_run_[j] = j;
    }
    first_store_run_[panels_] = panels_;

    for (int64_t group = 0; group < p_.groups; ++group) {
      for (int64_t first = 0; first < grid_.count; first += strip_) {
        const int64_t tiles = std::min(strip_, grid_.count - first);
        transform(group, first, tiles);
        parallel_for(kElements, threads_, [&](int64_t element, int thread) {
          Slicer own(scratch.data() + shared + per_thread * static_cast<std::size_t>(thread));
          multiply(element, tiles, first > 0, take_own(own));
        });
      }
      parallel_for(rows_, threads_, [&](int64_t row, int) {
        kernels_.winograd_taps(m_.data + row * m_.pitch, m_.step, channels_,
                               dweight_ + (group * rows_ + row) * channels_ * 9);
      });
    }
  }

 private:
  static constexpr int64_t kElements = 36;

  struct PackedInput {
    T* data;
    PanelOfB<T>* panels;
  };

  void take_shared(Slicer& scratch) {
    // Rows of an odd number of cache lines, and elements a line apart from a multiple of 4 KiB, so
    // that neither share a set of the first level of the cache.
    const int64_t line = static_cast<int64_t>(kCacheLine / sizeof(T));
    const int64_t pitch = (ceil_div(strip_, line) | 1) * line;
    const int64_t m_pitch = panels_ * kernels_.nr;
    u_ = take_matrices(scratch, rows_ * pitch + line, pitch);
    v_ = take_matrices(scratch, channels_ * pitch + line, pitch);
    m_ = take_matrices(scratch, rows_ * m_pitch + line, m_pitch);
    dy_runs_ = scratch.take<WinogradRun>(grid_.most_runs(strip_));
    x_runs_ = scratch.take<WinogradRun>(grid_.most_runs(strip_));
    store_runs_ = scratch.take<PixelRun>(panels_);
    first_store_run_ = scratch.take<int64_t>(panels_ + 1);
  }

  static WinogradMatrices<T> take_matrices(Slicer& scratch, int64_t step, int64_t pitch) {
    return {scratch.take<T>(kElements * step), step, pitch};
  }

  PackedInput take_own(Slicer& scratch) const {
    T* const data = scratch.take<T>(panels_ * strip_ * kernels_.nr);
    return {data, scratch.take<PanelOfB<T>>(panels_)};
  }

  void transform(int64_t group, int64_t first, int64_t tiles) {
    constexpr int64_t kChannelsAtOnce = 4;
    const int64_t dy_plane = p_.out_h * p_.out_w, x_plane = p_.in_h * p_.in_w;
    const WinogradRuns dy_runs =
        grid_.find_runs(first, tiles, p_.out_channels * dy_plane, 0, 0, dy_runs_);
    const WinogradRuns x_runs = grid_.find_runs(first, tiles, p_.in_channels * x_plane,
                                                p_.window.pad_top, p_.window.pad_left, x_runs_);
    const int64_t columns = round_up(tiles, kernels_.lanes);
    const int64_t dy_tasks = ceil_div(rows_, kChannelsAtOnce);
    const int64_t tasks = dy_tasks + ceil_div(channels_, kChannelsAtOnce);
    parallel_for(tasks, threads_, [&](int64_t task, int) {
      if (task < dy_tasks) {
        const int64_t c = task * kChannelsAtOnce;
        kernels_.winograd_gradient(
            {dy_ + (group * rows_ + c) * dy_plane, std::min(kChannelsAtOnce, rows_ - c), p_.out_h,
             p_.out_w},
            dy_runs, columns, {u_.data + c * u_.pitch, u_.step, u_.pitch});
      } else {
        const int64_t c = (task - dy_tasks) * kChannelsAtOnce;
        kernels_.winograd_4x4.input(
            {x_ + (group * channels_ + c) * x_plane, std::min(kChannelsAtOnce, channels_ - c),
             p_.in_h, p_.in_w},
            x_runs, columns, {v_.data + c * v_.pitch, v_.step, v_.pitch});
      }
    });
  }

  // M[e] = U[e] V[e]^T, added to what is there or not.
  void multiply(int64_t e, int64_t tiles, bool accumulate, const PackedInput& packed) {
    const int64_t nr = kernels_.nr;
    for (int64_t j = 0; j < panels_; ++j) {
      T* const panel = packed.data + j * strip_ * nr;
      const int64_t count = std::min(nr, channels_ - j * nr);
      if (count < nr) std::fill_n(panel, tiles * nr, T{0});
      kernels_.interleave_rows(v_.data + e * v_.step + j * nr * v_.pitch, v_.pitch, count, tiles,
                               panel, nr, nr * v_.pitch);
      packed.panels[j] = {panel, nr};
    }
    for (int64_t row = 0; row < rows_ && !stop_requested(); row += kernels_.mc) {
      const TileTarget<T> target = {m_.data + e * m_.step + row * m_.pitch, m_.pitch, 1,
                                    store_runs_, first_store_run_};
      const GemmBlocks<T> blocks = {u_.data + e * u_.step + row * u_.pitch,
                                    u_.pitch,
                                    u_.pitch,
                                    true,
                                    std::min(kernels_.mc, rows_ - row),
                                    packed.panels,
                                    panels_,
                                    tiles};
      macro_kernel<T>(kernels_, blocks, target, {nullptr, accumulate, false}, nullptr);
    }
  }

  const KernelTable<T>& kernels_;
  const Conv2dProblem& p_;
  const T* dy_;
  const T* x_;
  T* dweight_;
  TileGrid grid_;
  int64_t rows_, channels_, panels_;
  int threads_;
  int64_t strip_;
  WinogradMatrices<T> u_{}, v_{}, m_{};
  WinogradRun *dy_runs_ = nullptr, *x_runs_ = nullptr;
  PixelRun* store_runs_ = nullptr;
  int64_t* first_store_run_ = nullptr;
};

}  // namespace

template <typename T>
void winograd_backward_weights(const Conv2dProblem& p, const T* dy, const T* x, T* dweight) {
  if (p.batch * p.out_h * p.out_w == 0 || p.out_channels * p.in_channels == 0) {
    std::fill_n(dweight, p.out_channels * p.group_in_channels() * 9, T{0});
    return;
  }
  WinogradGradient<T>(p, dy, x, dweight).run();
}

template void winograd_backward_weights(const Conv2dProblem&, const float*, const float*, float*);
template void winograd_backward_weights(const Conv2dProblem&, const double*, const double*,
                                        double*);

}  // namespace convolt
