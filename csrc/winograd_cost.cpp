#include "winograd_cost.h"

#include <algorithm>

namespace convolt {
namespace {

// All costs are cycles of a core with two vector multiply-adds in each. The factors were fitted to
// the times of benchmarks/algorithms.py with vectors of 32 and of 64 bytes; it tells what the
// choice costs against the best algorithm.
struct WinogradFactors {
  Algorithm algorithm;
  int64_t tile, taps;
  double products, prepared_products;  // against those of the GEMM, whose sums are longer
  double input, output, filter;        // of a vector of tiles in a row of tiles, or of filters
};

struct Factors {
  double packing;           // of a vector of pixels, for each tap
  double weights, flipped;  // of a vector of the weight, for each tap
  double start;
  double filter_memory, flipped_filter;  // of a transformed filter beyond the cache, and of any
  WinogradFactors winograd[3];
};

constexpr Factors kNarrow = {4.5,
                             2,
                             9.4,
                             6900,
                             0.35,
                             2.9,
                             {{Algorithm::kWinograd2x2, 2, 3, 1.32, 1.06, 46, 25, 44},
                              {Algorithm::kWinograd4x4, 4, 3, 1.47, 1.27, 121, 120, 103},
                              {Algorithm::kWinograd2x2, 2, 5, 1.47, 1.14, 166, 104, 13}}};
constexpr Factors kWide = {4.3,
                           0.2,
                           12.3,
                           5100,
                           0.14,
                           3.6,
                           {{Algorithm::kWinograd2x2, 2, 3, 1.19, 1.32, 15, 19, 156},
                            {Algorithm::kWinograd4x4, 4, 3, 1.14, 1.44, 245, 51, 263},
                            {Algorithm::kWinograd2x2, 2, 5, 1.46, 1.41, 143, 28, 301}}};

// A convolution seen from its output: of the forward pass, or of the gradient of x.
struct Layer {
  int64_t batch, rows, channels, h, w, taps;
  bool transposed;

  Layer(const Conv2dProblem& p, Pass pass)
      : batch(p.batch), taps(p.taps()), transposed(pass == Pass::kBackwardData) {
    rows = transposed ? p.group_in_channels() : p.group_out_channels();
    channels = transposed ? p.group_out_channels() : p.group_in_channels();
    h = transposed ? p.in_h : p.out_h;
    w = transposed ? p.in_w : p.out_w;
  }
};

double product_cycles(int64_t rows, int64_t columns, int64_t depth, const ProductTile& tile) {
  return static_cast<double>(round_up(rows, tile.mr) * ceil_div(columns, tile.lanes)) *
         static_cast<double>(depth) / 2;
}

double vectors_of(int64_t elements, const ProductTile& tile) {
  return static_cast<double>(elements) / static_cast<double>(tile.lanes);
}

double gemm_cycles(const Layer& layer, bool prepared, const ProductTile& tile,
                   const Factors& factors) {
  const int64_t depth = layer.taps * layer.channels, pixels = layer.batch * layer.h * layer.w;
  double cycles = product_cycles(layer.rows, pixels, depth, tile) +
                  factors.packing * vectors_of(depth * pixels, tile);
  if (!prepared) {
    cycles += (layer.transposed ? factors.flipped : factors.weights) *
              vectors_of(depth * layer.rows, tile);
  }
  return cycles;
}

double winograd_cycles(const Layer& layer, bool prepared, const ProductTile& product,
                       const Factors& factors, const WinogradFactors& size) {
  constexpr int64_t kCached = 256 * 1024;  // elements, of transformed filters
  const int64_t side = size.tile + size.taps - 1, elements = side * side;
  const int64_t rows = layer.batch * ceil_div(layer.h, size.tile);
  const int64_t columns = ceil_div(layer.w, size.tile), filters = layer.rows * layer.channels;
  const auto vectors = static_cast<double>(rows * ceil_div(columns, product.lanes));
  double cycles =
      factors.start +
      (prepared ? size.prepared_products : size.products) *
          product_cycles(layer.rows, rows * columns, elements * layer.channels, product) +
      vectors * (size.input * static_cast<double>(layer.channels) +
                 size.output * static_cast<double>(layer.rows)) +
      factors.filter_memory *
          static_cast<double>(std::max<int64_t>(elements * filters - kCached, 0));
  if (!prepared) cycles += size.filter * vectors_of(filters, product);
  if (layer.transposed) cycles += factors.flipped_filter * static_cast<double>(filters);
  return cycles;
}

const Factors& factors_for(const ProductTile& tile) { return tile.lanes < 16 ? kNarrow : kWide; }

}  // namespace

int64_t fewest_products(const Conv2dProblem& problem, Pass pass) {
  const Layer layer(problem, pass);
  if (layer.taps != 9) return 2;
  const int64_t small = 16 * ceil_div(layer.h, 2) * ceil_div(layer.w, 2);
  const int64_t large = 36 * ceil_div(layer.h, 4) * ceil_div(layer.w, 4);
  return small <= large ? 2 : 4;
}

Algorithm cheapest(const Conv2dProblem& problem, Pass pass, bool prepared,
                   const ProductTile& product) {
  const Layer layer(problem, pass);
  const Factors& factors = factors_for(product);
  Algorithm best = Algorithm::kGemm;
  double least = gemm_cycles(layer, prepared, product, factors);
  for (const WinogradFactors& size : factors.winograd) {
    if (size.taps * size.taps != layer.taps) continue;
    const double cycles = winograd_cycles(layer, prepared, product, factors, size);
    if (cycles >= least) continue;
    least = cycles;
    best = size.algorithm;
  }
  return best;
}

Algorithm cheapest_gradient(const Conv2dProblem& p, const ProductTile& product) {
  constexpr double kPacking = 4.5, kProducts = 1.66;
  constexpr double kInput = 146, kGradient = 154, kFilter = 93, kStart = 4000;
  const int64_t rows = p.group_out_channels(), channels = p.group_in_channels();
  const int64_t depth = p.batch * p.out_h * p.out_w, taps = p.taps();
  const double gemm = product_cycles(rows, taps * channels, depth, product) +
                      kPacking * vectors_of(taps * channels * depth, product);

  const int64_t tile = taps == 9 ? 4 : 2;
  const int64_t tile_rows = p.batch * ceil_div(p.out_h, tile), tiles_w = ceil_div(p.out_w, tile);
  const auto vectors = static_cast<double>(tile_rows * ceil_div(tiles_w, product.lanes));
  const double winograd =
      kStart + kProducts * 36 * product_cycles(rows, channels, tile_rows * tiles_w, product) +
      vectors * (kInput * static_cast<double>(channels) + kGradient * static_cast<double>(rows)) +
      kFilter * static_cast<double>(taps) / 9 * vectors_of(rows * channels, product);
  if (gemm <= winograd) return Algorithm::kGemm;
  return taps == 9 ? Algorithm::kWinograd4x4 : Algorithm::kWinograd2x2;
}

}  // namespace convolt
