#include <algorithm>

#include "gemm.h"
#include "parallel.h"
#include "winograd.h"
#include "winograd_products.h"

namespace convolt {
namespace {

// Strip by strip, a strip being some tiles of dy, 4 x 4 pixels of it for filters of 3 x 3, 2 x 2
// for 5 x 5, side by side and image after image, with the 6 x 6 pixels of x that they met:
//
//   1. U = G dy G^T of all output channels and V = B^T x B of all input channels: 36 matrices each,
//      channels x tiles, which stay in cache;
//   2. M += U V^T, a matrix product for each of the 36 elements;
//
// and after the last strip
//
//   3. dweight = A^T M A.
//
// Where one strip is all there is, M stays in cache too: steps 2 and 3 take some output channels at
// a time. Threads share the channels, the elements of step 2 or else those blocks of output
// channels. A sum over the tiles runs strip by strip, and strips are cut by the shape alone: the
// same bits for any number of threads.
template <typename T>
class WinogradGradient {
 public:
  WinogradGradient(const Conv2dProblem& p, const T* dy, const T* x, T* dweight)
      : kernels_(selected_kernels<T>()),
        p_(p),
        dy_(dy),
        x_(x),
        dweight_(dweight),
        grid_(p.taps() == 9 ? WinogradSize{4, 3} : WinogradSize{2, 5}, p.batch, p.out_h, p.out_w),
        gradient_(p.taps() == 9 ? kernels_.winograd_gradient_3x3 : kernels_.winograd_gradient_5x5),
        rows_(p.group_out_channels()),
        channels_(p.group_in_channels()),
        panels_(ceil_div(channels_, kernels_.nr)),
        threads_(threads_for(2.0 * kElements * static_cast<double>(p.out_channels * channels_) *
                             static_cast<double>(grid_.count))) {
    // Strips of KC tiles, for M is read and written once for each of them.
    strip_ = round_up(ceil_div(grid_.count, ceil_div(grid_.count, kernels_.kc)), kernels_.lanes);
    constexpr int64_t kBlockBytes = int64_t{1} << 20;  // of M, half of L2
    const int64_t row_bytes = kElements * products_pitch() * static_cast<int64_t>(sizeof(T));
    const int64_t most_rows = std::clamp(kBlockBytes / row_bytes, kernels_.mr, kernels_.mc);
    const int64_t blocks = round_up(ceil_div(rows_, most_rows), threads_);
    block_ = is_one_strip() ? round_up(ceil_div(rows_, blocks), kernels_.mr) : rows_;
  }

  void run() {
    Slicer size;
    take_shared(size);
    shared_ = size.used();
    take_own(size);
    per_thread_ = size.used() - shared_;
    const Scratch scratch(shared_ + per_thread_ * static_cast<std::size_t>(threads_));
    scratch_ = scratch.data();
    Slicer slice(scratch_);
    take_shared(slice);
    lay_out_panels();
    for (int64_t group = 0; group < p_.groups; ++group) {
      if (is_one_strip()) {
        transform_inputs(group, 0);
        run_blocks(group);
      } else {
        run_strips(group);
      }
    }
  }

 private:
  static constexpr int64_t kElements = 36;

  struct Own {
    WinogradMatrices<T> v, m;
  };

  bool is_one_strip() const { return strip_ >= grid_.count; }
  int64_t products_pitch() const { return panels_ * kernels_.nr; }

  void take_shared(Slicer& scratch) {
    u_ = take_matrices<T>(scratch, kElements, rows_, strip_);
    packed_v_ = scratch.take<T>(kElements * panels_ * strip_ * kernels_.nr);
    panels_of_v_ = scratch.take<PanelOfB<T>>(kElements * panels_);
    m_ = take_matrices<T>(scratch, kElements, is_one_strip() ? 0 : rows_, products_pitch());
    dy_runs_ = scratch.take<WinogradRun>(grid_.most_runs(strip_));
    x_runs_ = scratch.take<WinogradRun>(grid_.most_runs(strip_));
    store_runs_ = scratch.take<PixelRun>(panels_);
    first_store_run_ = scratch.take<int64_t>(panels_ + 1);
  }

  Own take_own(Slicer& scratch) const {
    const WinogradMatrices<T> v = take_matrices<T>(scratch, kElements, kernels_.nr, strip_);
    return {v, take_matrices<T>(scratch, kElements, is_one_strip() ? block_ : 0, products_pitch())};
  }

  Own own(int thread) const {
    Slicer slice(scratch_ + shared_ + per_thread_ * static_cast<std::size_t>(thread));
    return take_own(slice);
  }

  void lay_out_panels() {
    for (int64_t i = 0; i < kElements * panels_; ++i) {
      panels_of_v_[i] = {packed_v_ + i * strip_ * kernels_.nr, kernels_.nr};
    }
    for (int64_t j = 0; j < panels_; ++j) {
      const int64_t count = std::min(kernels_.nr, channels_ - j * kernels_.nr);
      store_runs_[j] = {j * kernels_.nr, 0, round_up(count, kernels_.lanes)};
      first_store_run_[j] = j;
    }
    first_store_run_[panels_] = panels_;
  }

  void run_blocks(int64_t group) {
    parallel_for(ceil_div(rows_, block_), threads_, [&](int64_t block, int thread) {
      const WinogradMatrices<T> m = own(thread).m;
      const int64_t row = block * block_, rows = std::min(block_, rows_ - row);
      for (int64_t e = 0; e < kElements && !stop_requested(); ++e) {
        multiply(e, row, rows, grid_.count, false, m);
      }
      transform_products(group, row, rows, m);
    });
  }

  void run_strips(int64_t group) {
    for (int64_t first = 0; first < grid_.count; first += strip_) {
      const int64_t tiles = transform_inputs(group, first);
      parallel_for(kElements, threads_,
                   [&](int64_t e, int) { multiply(e, 0, rows_, tiles, first > 0, m_); });
    }
    parallel_for(rows_, threads_, [&](int64_t row, int) {
      transform_products(group, row, 1, {m_.data + row * m_.pitch, m_.step, m_.pitch});
    });
  }

  // Step 1 for the strip that begins with tile `first`; the number of its tiles.
  int64_t transform_inputs(int64_t group, int64_t first) {
    constexpr int64_t kRowsAtOnce = 4;
    const int64_t tiles = std::min(strip_, grid_.count - first);
    const int64_t dy_plane = p_.out_h * p_.out_w;
    const WinogradRuns dy_runs =
        grid_.find_runs(first, tiles, p_.out_channels * dy_plane, 0, 0, dy_runs_);
    const WinogradRuns x_runs = grid_.find_runs(first, tiles, p_.in_channels * p_.in_h * p_.in_w,
                                                p_.window.pad_top, p_.window.pad_left, x_runs_);
    parallel_for(ceil_div(rows_, kRowsAtOnce), threads_, [&](int64_t task, int) {
      const int64_t row = task * kRowsAtOnce;
      const WinogradPlanes<const T> planes = {dy_ + (group * rows_ + row) * dy_plane,
                                              std::min(kRowsAtOnce, rows_ - row), p_.out_h,
                                              p_.out_w};
      gradient_.dy(planes, dy_runs, round_up(tiles, kernels_.lanes),
                   {u_.data + row * u_.pitch, u_.step, u_.pitch});
    });
    parallel_for(panels_, threads_, [&](int64_t panel, int thread) {
      transform_panel(group, panel, tiles, x_runs, own(thread).v);
    });
    return tiles;
  }

  // V of NR channels, in panels of V^T.
  void transform_panel(int64_t group, int64_t panel, int64_t tiles, const WinogradRuns& runs,
                       const WinogradMatrices<T>& v) {
    const int64_t nr = kernels_.nr, channel = panel * nr;
    const WinogradPlanes<const T> planes = {x_ + (group * channels_ + channel) * p_.in_h * p_.in_w,
                                            std::min(nr, channels_ - channel), p_.in_h, p_.in_w};
    winograd_kernels(kernels_, grid_.size).input(planes, runs, round_up(tiles, kernels_.lanes), v);
    for (int64_t e = 0; e < kElements; ++e) {
      T* const packed = packed_v_ + (e * panels_ + panel) * strip_ * nr;
      if (planes.channels < nr) std::fill_n(packed, tiles * nr, T{0});
      kernels_.interleave_rows(v.data + e * v.step, v.pitch, planes.channels, tiles, packed, nr, 0);
    }
  }

  // Step 2: `rows` rows of M[e], from `row` on, added to what is there or not.
  void multiply(int64_t e, int64_t row, int64_t rows, int64_t tiles, bool accumulate,
                const WinogradMatrices<T>& m) {
    const TileTarget<T> target = {m.data + e * m.step, m.pitch, 1, store_runs_, first_store_run_};
    GemmBlocks<T> blocks{};
    blocks.a = u_.data + e * u_.step + row * u_.pitch;
    blocks.lda = blocks.row_step = u_.pitch;
    blocks.of_rows = true;
    blocks.rows = rows;
    blocks.b = panels_of_v_ + e * panels_;
    blocks.panels = panels_;
    blocks.kc = tiles;
    macro_kernel<T>(kernels_, blocks, target, {nullptr, accumulate, false}, nullptr);
  }

  // Step 3: the filters of `rows` output channels, from `row` on, of which m is.
  void transform_products(int64_t group, int64_t row, int64_t rows, const WinogradMatrices<T>& m) {
    for (int64_t r = 0; r < rows; ++r) {
      gradient_.filters(m.data + r * m.pitch, m.step, channels_,
                        dweight_ + (group * rows_ + row + r) * channels_ * p_.taps());
    }
  }

  const KernelTable<T>& kernels_;
  const Conv2dProblem& p_;
  const T* dy_;
  const T* x_;
  T* dweight_;
  TileGrid grid_;
  const WinogradGradientKernels<T>& gradient_;
  int64_t rows_, channels_, panels_;  // panels of NR channels
  int threads_;
  int64_t strip_, block_;
  std::byte* scratch_ = nullptr;
  std::size_t shared_ = 0, per_thread_ = 0;
  WinogradMatrices<T> u_{}, m_{};
  T* packed_v_ = nullptr;
  PanelOfB<T>* panels_of_v_ = nullptr;
  WinogradRun *dy_runs_ = nullptr, *x_runs_ = nullptr;
  PixelRun* store_runs_ = nullptr;
  int64_t* first_store_run_ = nullptr;
};

}  // namespace

template <typename T>
void winograd_backward_weights(const Conv2dProblem& p, const T* dy, const T* x, T* dweight) {
  if (p.batch * p.out_h * p.out_w == 0 || p.out_channels * p.in_channels == 0) {
    std::fill_n(dweight, p.out_channels * p.group_in_channels() * p.taps(), T{0});
    return;
  }
  WinogradGradient<T>(p, dy, x, dweight).run();
}

template void winograd_backward_weights(const Conv2dProblem&, const float*, const float*, float*);
template void winograd_backward_weights(const Conv2dProblem&, const double*, const double*,
                                        double*);

}  // namespace convolt
