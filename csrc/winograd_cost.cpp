#include "winograd_cost.h"

namespace convolt {
namespace {

// A convolution seen from its output: of the forward pass, or of the gradient of x.
struct Layer {
  int64_t batch, groups, rows, channels, h, w;
  bool transposed;

  Layer(const Conv2dProblem& p, Pass pass)
      : batch(p.batch), groups(p.groups), transposed(pass == Pass::kBackwardData) {
    rows = transposed ? p.group_in_channels() : p.group_out_channels();
    channels = transposed ? p.group_out_channels() : p.group_in_channels();
    h = transposed ? p.in_h : p.out_h;
    w = transposed ? p.in_w : p.out_w;
  }
};

// All costs are cycles of a core with two vector multiply-adds in each. The factors were fitted to
// the times of benchmarks/algorithms.py from 16 channels on, on AVX2 and AVX-512. On its 675
// problems the choice costs 0.6 and 1.1 % of the time of the best algorithm in the mean, more than
// 10 % in 25 and 31 of them: most with 8 channels, or the gradient of 512 at 7 x 7 and below.
double product_cycles(const Layer& layer, int64_t depth, int64_t columns, const ProductTile& tile) {
  return static_cast<double>(round_up(layer.rows, tile.mr)) * static_cast<double>(depth) *
         static_cast<double>(ceil_div(columns, tile.lanes)) / 2;
}

double gemm_cycles(const Layer& layer, bool prepared, const ProductTile& tile) {
  constexpr double kPacking = 4.3;  // of a vector of pixels, for each tap
  constexpr double kWeights = 1.9, kFlippedWeights = 12;
  const int64_t depth = 9 * layer.channels, pixels = layer.batch * layer.h * layer.w;
  const double vectors = static_cast<double>(depth) / static_cast<double>(tile.lanes);
  double cycles = product_cycles(layer, depth, pixels, tile);
  cycles += kPacking * vectors * static_cast<double>(pixels);
  if (!prepared) {
    cycles +=
        (layer.transposed ? kFlippedWeights : kWeights) * vectors * static_cast<double>(layer.rows);
  }
  return cycles * static_cast<double>(layer.groups);
}

// The transforms are of vectors of tiles in a row of tiles, or of filters.
struct WinogradFactors {
  int64_t tile;
  double products, prepared_products;  // against those of the GEMM, whose sums are longer
  double input, output, filter;
};
constexpr WinogradFactors kFactors2x2 = {2, 1.22, 1.12, 37, 17, 90};
constexpr WinogradFactors kFactors4x4 = {4, 1.42, 1.27, 170, 107, 120};

double winograd_cycles(const Layer& layer, bool prepared, const ProductTile& product,
                       const WinogradFactors& factors) {
  constexpr double kStart = 3500;
  constexpr double kFilterLoad = 0.9;  // from memory; flipped filters lie scattered
  const int64_t tile = factors.tile, elements = (tile + 2) * (tile + 2);
  const int64_t tiles_h = ceil_div(layer.h, tile), tiles_w = ceil_div(layer.w, tile);
  const int64_t vectors = layer.batch * tiles_h * ceil_div(tiles_w, product.lanes);
  const int64_t filters = layer.rows * layer.channels;
  double cycles =
      (prepared ? factors.prepared_products : factors.products) *
      product_cycles(layer, elements * layer.channels, layer.batch * tiles_h * tiles_w, product);
  cycles += static_cast<double>(vectors) * (factors.input * static_cast<double>(layer.channels) +
                                            factors.output * static_cast<double>(layer.rows));
  if (!prepared) {
    cycles += static_cast<double>(filters) * (factors.filter / static_cast<double>(product.lanes) +
                                              (layer.transposed ? 2 * kFilterLoad : kFilterLoad));
  }
  return (cycles + kStart) * static_cast<double>(layer.groups);
}

}  // namespace

int64_t fewest_products(const Conv2dProblem& problem, Pass pass) {
  const Layer layer(problem, pass);
  const int64_t small = 16 * ceil_div(layer.h, 2) * ceil_div(layer.w, 2);
  const int64_t large = 36 * ceil_div(layer.h, 4) * ceil_div(layer.w, 4);
  return small <= large ? 2 : 4;
}

Algorithm cheapest_3x3(const Conv2dProblem& problem, Pass pass, bool prepared,
                       const ProductTile& product) {
  const Layer layer(problem, pass);
  const double small = winograd_cycles(layer, prepared, product, kFactors2x2);
  const double large = winograd_cycles(layer, prepared, product, kFactors4x4);
  const double gemm = gemm_cycles(layer, prepared, product);
  if (gemm <= small && gemm <= large) return Algorithm::kGemm;
  return small <= large ? Algorithm::kWinograd2x2 : Algorithm::kWinograd4x4;
}

Algorithm cheapest_3x3_gradient(const Conv2dProblem& p, const ProductTile& product) {
  constexpr double kPacking = 5.1, kProducts = 1.4;
  constexpr double kInput = 138, kGradient = 170, kFilter = 67, kStart = 4000;
  const int64_t rows = p.group_out_channels(), channels = p.group_in_channels();
  const auto cycles = [&](int64_t columns, int64_t depth) {
    return static_cast<double>(round_up(rows, product.mr) * ceil_div(columns, product.lanes)) *
           static_cast<double>(depth) / 2;
  };
  const int64_t pixels = p.batch * p.out_h * p.out_w;
  const auto vectors = [&](int64_t n) {
    return static_cast<double>(n) / static_cast<double>(product.lanes);
  };
  const double gemm = cycles(9 * channels, pixels) + kPacking * vectors(9 * channels * pixels);

  const int64_t tile_rows = p.batch * ceil_div(p.out_h, 4), tiles_w = ceil_div(p.out_w, 4);
  const auto tile_vectors = static_cast<double>(tile_rows * ceil_div(tiles_w, product.lanes));
  const double winograd = kStart + kProducts * 36 * cycles(channels, tile_rows * tiles_w) +
                          tile_vectors * (kInput * static_cast<double>(channels) +
                                          kGradient * static_cast<double>(rows)) +
                          kFilter * vectors(rows * channels);
  return gemm <= winograd ? Algorithm::kGemm : Algorithm::kWinograd4x4;
}

}  // namespace convolt
