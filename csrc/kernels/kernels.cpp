// The table of kernels for one ISA; compiled once for each, with -DCONVOLT_ISA=<name> and the
// compiler flags of that ISA. Nothing but intrinsics and our own kernel headers may be included
// here: a function that the linker could share with the rest of the library would take AVX code to
// CPUs that have none. CI looks at the symbols of the object.
#include "gemm_microkernel.h"
#include "normalize_planes.h"
#include "optimizer_steps.h"
#include "pack.h"
#include "pad_rows.h"
#include "plane_dots.h"
#include "plane_spread.h"
#include "plane_sums.h"
#include "plane_windows.h"
#include "pool_gradient.h"
#include "pool_rows.h"
#include "pool_windows.h"
#include "relu_rows.h"
#include "stage_rows.h"
#include "store_tile.h"
#include "tap_dots.h"
#include "tap_planes.h"
#include "tap_rows.h"
#include "window_runs.h"
#include "winograd_gradient.h"
#include "winograd_tiles.h"

namespace convolt {
namespace CONVOLT_ISA {

// Blocks, in elements of float; NC is half of it for double:
//   KC  a panel of B, KC x NR, fills half of L1, and one of A, MR x KC, fits beside it
//         AVX2: 256 x 16 floats = 16 KiB of 32;  AVX-512: 192 x 32 = 24 KiB of 48, where 256 cost 5
//         %.
//   NC  the packed block of B, KC x NC, fills half of L2 (AVX2 and others: 240 KiB; AVX-512: 384).
//   MC  the block of A that meets it, MC x KC, fills a quarter of L2.
constexpr int64_t kBlockK = kVectorBytes == 64 ? 192 : 256;
template <typename T>
constexpr int64_t kBlockN =
    (kVectorBytes == 64 ? 512 : 240) * static_cast<int64_t>(sizeof(float)) / sizeof(T);
constexpr int64_t kBlockM = kTileRows * (kVectorBytes == 64 ? 16 : 20);

// The kernels that walk over planes are much code, and the wheel is to be small: not on the x86-64
// of 2003, and AVX-512 uses what AVX2 has. Pooling waits for memory, and few maps fill longer
// vectors; depthwise windows would gain 1.2 from vectors twice as long, those of 5 x 5 up to 1.7.
constexpr bool kHasPlaneKernels = kVectorBytes == 32 || (kVectorBytes == 16 && kRegisters == 32);

template <typename T, template <typename> class Tiles>
constexpr WinogradKernels<T> kWinograd = {winograd_input<T, Tiles<T>>, winograd_filter<T, Tiles<T>>,
                                          winograd_output<T, Tiles<T>>};
template <typename T, template <typename> class Tiles>
constexpr WinogradGradientKernels<T> kGradient = {winograd_input<T, Tiles<T>>,
                                                  winograd_taps<T, Tiles<T>>};

template <typename T>
constexpr KernelTable<T> make_table() {
  KernelTable<T> table{};
  table.mr = kTileRows;
  table.nr = kTileColumns<T>;
  table.lanes = kLanes<T>;
  table.kc = kBlockK;
  table.mc = kBlockM;
  table.nc = kBlockN<T>;
  table.gemm_microkernels = kMicrokernels<T, PanelOfA>.tiles;
  table.gemm_microkernels_of_rows = kMicrokernels<T, RowsOfA>.tiles;
  table.pad_rows = pad_rows<T>;
  table.gather_taps = gather_taps<T>;
  table.gather_taps_exact = gather_taps_exact<T>;
  table.interleave_rows = interleave_rows<T>;
  table.stage_rows = stage_rows<T>;
  table.add_staged_rows = add_staged_rows<T>;
  table.write_staged_rows = write_staged_rows<T>;
  table.copy_window_runs = copy_window_runs<T>;
  table.add_window_runs = add_window_runs<T>;
  table.copy_tap_rows = copy_tap_rows<T>;
  table.add_tap_rows = add_tap_rows<T>;
  table.copy_panels = copy_panels<T>;
  if constexpr (kHasPlaneKernels) {
    table.pool_windows = pool_windows<T>;
    table.pool_gradient = pool_gradient<T>;
    table.pool_gradient_room = kPoolGradientRoom<T>;
  }
  table.max_row = extremum_row<T, false, false>;
  table.min_row = extremum_row<T, true, false>;
  table.max_row_with_offsets = extremum_row<T, false, true>;
  table.min_row_with_offsets = extremum_row<T, true, true>;
  table.sum_row = sum_row<T>;
  table.widen_offsets = widen_offsets<T>;
  table.divide_row = divide_row<T>;
  table.add_row = add_row<T>;
  table.spread_row = spread_row<T>;
  table.plane_means = plane_means<T>;
  table.fill_planes = fill_planes<T>;
  table.first_maximum = first_maximum<T>;
  table.relu_backward = relu_backward<T>;
  table.channel_sum = channel_sum<T>;
  table.centered_dot = centered_dot<T>;
  table.normalize = normalize<T>;
  table.normalize_backward = normalize_backward<T>;
  table.store_tile = store_tile<T>;
  if constexpr (kHasPlaneKernels) {
    table.plane_windows = plane_windows<T>;
    table.plane_spread = plane_spread<T>;
    table.plane_dots = plane_dots<T>;
  }
  table.tap_rows = tap_rows<T>;
  table.tap_dots = tap_dots<T>;
  table.sum_dots = sum_dots<T>;
  table.winograd_2x2 = kWinograd<T, Tiles2x2>;
  table.winograd_4x4 = kWinograd<T, Tiles4x4>;
  table.winograd_2x2_of_5x5 = kWinograd<T, Tiles2x2Of5x5>;
  table.winograd_gradient_3x3 = kGradient<T, Gradient3x3>;
  table.winograd_gradient_5x5 = kGradient<T, Gradient5x5>;
  table.sgd_step = sgd_step<T>;
  table.adam_step = adam_step<T>;
  table.fma_chains = fma_chains<T>;
  return table;
}

extern constexpr KernelTables kTables = {make_table<float>(), make_table<double>()};

}  // namespace CONVOLT_ISA
}  // namespace convolt
