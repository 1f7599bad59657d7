// What Winograd's convolution costs, and what it saves.
#pragma once

#include "algorithm.h"
#include "plan.h"

namespace convolt {

// The side of the tile with which an image, y or dx, takes fewer products, 2 or 4; 2 where they are as many,
// since its rounding errors are smaller. It depends on the size of the image alone.
int64_t fewest_products(const Conv2dProblem& problem, Pass pass);

// What decides over the cost of a product.
struct ProductTile {
  int64_t mr, lanes;
};

// kGemm or kWinograd4x4, for the gradient of the filters.
Algorithm cheapest_3x3_gradient(const Conv2dProblem& problem, const ProductTile& product);

// kGemm, kWinograd2x2 or kWinograd4x4: the one that a model of their costs expects to be fastest.
Algorithm cheapest_3x3(const Conv2dProblem& problem, Pass pass, bool prepared,
                       const ProductTile& product);

}  // namespace convolt
