#include "staged_planes.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "phase_axis.h"

namespace convolt {
namespace {

// Padded rows of one block, in bytes: what L1 holds beside the output. Where that is less than
// kManyRows of all channels, the rows that two blocks share would be staged too often, and L2 is
// near enough: with 16 channels and more that gained 10 to 20 %.
constexpr int64_t kStagedBytes = int64_t{24} << 10;
constexpr int64_t kMostStagedBytes = int64_t{96} << 10;
constexpr int64_t kManyRows = 16;
// Wide rows of many channels are cut, so that a block has kLeastRows, but not shorter than this.
constexpr int64_t kLeastRows = 4;
constexpr int64_t kLeastColumns = 64;

// Blocks of `total` positions, even and at most `largest`, in multiples of `multiple`.
int64_t even_blocks(int64_t total, int64_t largest, int64_t multiple) {
  const int64_t blocks = ceil_div(total, std::max(largest, multiple));
  return std::min(total, round_up(ceil_div(total, blocks), multiple));
}

}  // namespace

StagedAxis forward_axis(int64_t size, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad,
                        int64_t out) {
  StagedAxis axis{};
  axis.size = size;
  axis.origin = -pad;
  axis.step = stride;
  axis.samplings = std::min(kernel, stride / std::gcd(stride, dilation));
  axis.spacing = dilation;
  GridPhase phase = {0, out, {}};
  for (int64_t tap = 0; tap < kernel; ++tap) {
    const int64_t sampling = tap % axis.samplings;
    phase.taps.push_back({tap, sampling, (tap - sampling) * dilation / stride});
    axis.reach = phase.taps.back().shift;
  }
  axis.phases.push_back(std::move(phase));
  return axis;
}

StagedAxis backward_axis(int64_t size, int64_t kernel, int64_t stride, int64_t dilation,
                         int64_t pad, int64_t out) {
  const std::vector<PhaseAxis> axes = phases(size, kernel, stride, dilation, pad);
  StagedAxis axis{};
  axis.size = out;
  axis.step = axis.samplings = axis.spacing = 1;
  bool first = true;
  for (const PhaseAxis& phase : axes) {
    if (phase.taps == 0) continue;
    axis.origin = first ? phase.origin : std::min(axis.origin, phase.origin);
    first = false;
  }
  for (const PhaseAxis& phase : axes) {
    GridPhase taps = {phase.phase, phase.pixels, {}};
    for (int64_t i = 0; i < phase.taps; ++i) {
      const int64_t shift = phase.origin - axis.origin + i * phase.dilation;
      taps.taps.push_back({phase.last_tap - i * phase.tap_step, 0, shift});
      axis.reach = std::max(axis.reach, shift);
    }
    axis.phases.push_back(std::move(taps));
  }
  return axis;
}

StagedPlanes::StagedPlanes(StagedAxis vertical_axis, StagedAxis horizontal_axis,
                           int64_t channel_count, int64_t lanes, int64_t element_bytes)
    : vertical(std::move(vertical_axis)),
      horizontal(std::move(horizontal_axis)),
      channels(channel_count),
      lanes_(lanes) {
  const int64_t least_rows =
      vertical.samplings * (std::min(kLeastRows, vertical.positions()) + vertical.reach);
  const int64_t columns =
      kMostStagedBytes / (channels * least_rows * horizontal.samplings * element_bytes) -
      horizontal.reach;
  block_columns = even_blocks(horizontal.positions(), std::max(columns, kLeastColumns), lanes);
  column_blocks_ = ceil_div(horizontal.positions(), block_columns);
  samples_ = std::max(block_columns, lanes) + horizontal.reach;
  row_pitch_ = round_up(horizontal.samplings * samples_, lanes);

  const int64_t row_bytes = row_pitch_ * element_bytes * channels * vertical.samplings;
  const int64_t rows = std::max(kStagedBytes / row_bytes, std::min(kMostStagedBytes / row_bytes,
                                                                   kManyRows + vertical.reach)) -
                       vertical.reach;
  block_rows = even_blocks(vertical.positions(), rows, kLeastRows);
  row_blocks_ = ceil_div(vertical.positions(), block_rows);
  rows_per_sampling_ = block_rows + vertical.reach;
  plane_pitch_ = vertical.samplings * rows_per_sampling_ * row_pitch_;
  units = blocks() > 1
              ? 1
              : std::max<int64_t>(1, kStagedBytes / (channels * plane_pitch_ * element_bytes));
}

GridBlock StagedPlanes::block(int64_t index) const {
  GridBlock block;
  block.y = index / column_blocks_ * block_rows;
  block.x = index % column_blocks_ * block_columns;
  block.rows = std::min(block_rows, vertical.positions() - block.y);
  block.columns = std::min(block_columns, horizontal.positions() - block.x);
  return block;
}

std::vector<int64_t> StagedPlanes::tap_starts(const GridPhase& v, const GridPhase& h) const {
  std::vector<int64_t> starts;
  starts.reserve(static_cast<std::size_t>(channels) * v.taps.size() * h.taps.size());
  for (int64_t channel = 0; channel < channels; ++channel) {
    for (const TapPlace& y : v.taps) {
      const int64_t row = y.sampling * rows_per_sampling_ + y.shift;
      for (const TapPlace& x : h.taps) {
        starts.push_back(channel * plane_pitch_ + row * row_pitch_ + x.sampling * samples_ +
                         x.shift);
      }
    }
  }
  return starts;
}

template <typename T>
void StagedPlanes::stage(const KernelTable<T>& kernels, const T* image, const GridBlock& block,
                         int64_t count, const Room<T>& room) const {
  for (int64_t s = 0; s < horizontal.samplings; ++s) {
    const int64_t start = horizontal.origin + s * horizontal.spacing + block.x * horizontal.step;
    const TapRange inside = taps_inside(0, horizontal.size, samples_, 1, horizontal.step, -start);
    room.samplings[s] = {start, inside.begin, inside.end};
  }
  const int64_t rows = block.rows + vertical.reach;
  const PaddedRows padded = {
      room.row_offsets, rows,      room.samplings, horizontal.samplings, samples_,
      horizontal.step,  row_pitch_};
  for (int64_t s = 0; s < vertical.samplings; ++s) {
    int64_t y = vertical.origin + s * vertical.spacing + block.y * vertical.step;
    for (int64_t r = 0; r < rows; ++r, y += vertical.step) {
      room.row_offsets[r] = y >= 0 && y < vertical.size ? y * horizontal.size : -1;
    }
    T* const first = room.padded + s * rows_per_sampling_ * row_pitch_;
    for (int64_t plane = 0; plane < count * channels; ++plane) {
      kernels.pad_rows(padded, image + plane * vertical.size * horizontal.size, T{0},
                       first + plane * plane_pitch_);
    }
  }
}

template void StagedPlanes::stage(const KernelTable<float>&, const float*, const GridBlock&,
                                  int64_t, const Room<float>&) const;
template void StagedPlanes::stage(const KernelTable<double>&, const double*, const GridBlock&,
                                  int64_t, const Room<double>&) const;

}  // namespace convolt
