// Winograd's convolution (S. Winograd, "Arithmetic Complexity of Computations", 1980; for images
// A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016), for 3 x 3
// and 5 x 5 windows without stride or dilation.
//
// Multiplying two polynomials is multiplying their values at as many points as the product has
// coefficients. A convolution is such a product; its transpose is the correlation of CNNs:
//
//     y = A^T [(G g) * (B^T d)],     in two dimensions     Y = A^T [(G g G^T) * (B^T d B)] A,
//
// where * is the product element by element. m outputs and r taps take m + r - 1 points: a tile of
// 4 x 4 outputs of 3 x 3 taps needs 36 products instead of 144, one of 2 x 2 needs 16 instead of
// 36, and with 5 x 5 taps 36 instead of 100. The sum over the channels can be taken before A, so
// that each element is a matrix product: of the transformed filters (OC x C) and the transformed
// tiles (C x tiles).
#pragma once

#include "geometry.h"
#include "prepared_weight.h"

namespace convolt {

// `tile`: 2 or, for 3 x 3 taps, 4 outputs a side.
template <typename T>
void winograd_forward(const Conv2dProblem& problem, int64_t tile, const T* x, const T* weight,
                      const PreparedWeight<T>* prepared, const T* bias, bool relu, T* y);

// A forward pass over dy with the filters flipped, and input and output channels exchanged.
template <typename T>
void winograd_backward_data(const Conv2dProblem& problem, int64_t tile, const T* dy,
                            const T* weight, const T* bias, T* dx);

// The gradient of the filters correlates x with dy. 3 x 3 results with 4 x 4 pixels of dy at a time
// take the points, and the products, of 4 x 4 results with 3 x 3 taps, and 5 x 5 with 2 x 2 those
// of 2 x 2 with 5 x 5:
//
//     dweight = A^T [sum over the tiles of (G dy G^T) * (B^T x B)] A
template <typename T>
void winograd_backward_weights(const Conv2dProblem& problem, const T* dy, const T* x, T* dweight);

}  // namespace convolt
