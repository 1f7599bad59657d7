"""How far rounding may take a convolution from its exact value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

WINOGRAD_UNITS = {"winograd_4x4": 16.0, "winograd_2x2": 8.0}


def bound(
    magnitude: NDArray[Any], terms: int, dtype: Any, algorithm: str = "direct"
) -> NDArray[Any]:
    """Bound |y - exact| for each element of a sum of products.

    Parameters
    ----------
    magnitude : ndarray
        The sum of |x|·|w| of each element, |bias| included: the same operator on absolute values.
    terms : int
        n, the number of products in one sum (forward: C/groups·KH·KW).
    dtype : float32 or float64
        In which y was computed. The exact value comes from a wider type.
    algorithm : "direct", "winograd_4x4" or "winograd_2x2"

    Returns
    -------
    ndarray of float64
        (4 + sqrt(n)/8)·u·magnitude; Winograd: 16 u or 8 u times the magnitude.

    Notes
    -----
    u is half the distance from 1 to the next number, 2**-24 or 2**-53. A fused multiply-add rounds
    once: a partial sum s becomes s·(1 + δ) with |δ| <= u. The sum's error is, to first order, the
    sum of δ_i·s_i over its n partial sums.

    1. At worst, |s_i| <= magnitude: the error is at most n·u·magnitude. For n <= 4 the bound is
       therefore certain (with a bias, for n <= 3), whatever the data.
    2. The significand being logarithmically distributed, δ has a root mean square of 0.42 u, and
       the δ_i are nearly independent (N. Higham and T. Mary, "A new approach to probabilistic
       rounding error analysis", SIAM J. Sci. Comput. 41, 2019). For products of random sign and
       root mean square r, s_i grows like r·sqrt(i), and the error has a root mean square of
       0.42 u·r·sqrt(n²/2) = 0.30 u·n·r. Normal data have magnitude = 0.64 n·r, uniform data
       0.75 n·r: the error is 0.4 to 0.5 u·magnitude, for every n. The constant 4 is eight times
       that, room for millions of elements.
    3. If the products lean to one sign, so that the sum reaches a share p of the magnitude, s_i
       gains a drift p·magnitude·i/n, which adds 0.42 u·p·magnitude·sqrt(n/3) = 0.24 p·sqrt(n)·u·
       magnitude. At p = 1/8 sqrt(n)/8 is four times that; independent signs alone give p near
       1.6/sqrt(n), which point 2 contains.

    So the bound is meant for operands of random sign. Sums of one sign (p = 1) may pass it; test
    those in exact integers. Blocks summed apart have shorter chains of partial sums, hence smaller
    errors than these.

    Winograd's transforms mix the pixels of a tile, so that an error in one is felt in all. For
    random data its root mean square is 0.7 to 2.5 times that of one running sum with the tiles of
    4 x 4 outputs at the points 0, ±sqrt(2), ±sqrt(1/2), ∞, thus at most 1.3 u·magnitude: 16 u is
    twelve times that, the room for magnitudes that vary within a tile. Tiles of 2 x 2 outputs,
    with the points 0, ±1, ∞ whose constants are exact, have half of it. Where a window lies partly
    in the padding, its magnitude may be 4/9 of its neighbours' or less, its error is theirs: it is
    the largest magnitude of the tile that counts. Sums of fewer than 16 channels vary more than
    there is room for; `winograd_bound` is for these, and for all other data.

    Examples
    --------
    >>> float(bound(np.array(1.0), 64, np.float32)) == 5 * 2.0**-24
    True
    """
    unit = float(np.finfo(dtype).eps) / 2
    units = 4 + math.sqrt(terms) / 8 if algorithm == "direct" else WINOGRAD_UNITS[algorithm]
    result: NDArray[Any] = units * unit * magnitude.astype(np.float64)
    return result


# The most roundings between a pixel, a tap or a product and what a transform makes of it. A row of
# L constants has at most L + 1: the constant's own, the product's, and those of L - 1 additions,
# whatever their order. L is at most 4 for a pixel, 5 for a product and for a tap the number of
# taps, and each is transformed along the rows and along the columns.
def transform_roundings(taps: int) -> int:
    return 2 * (5 + (taps + 1) + 6)


CONFIDENCE = 8.0


def winograd_bound(
    magnitude: NDArray[Any], channels: int, dtype: Any, *, taps: int = 3, certain: bool = False
) -> NDArray[Any]:
    """Bound |y - exact| for each output of a Winograd convolution, for data of any kind.

    Parameters
    ----------
    magnitude : ndarray
        |Aᵀ|[Σ (|G||w||Gᵀ|)∘(|Bᵀ||d||B|)]|A| of each output, the sum over the channels of its group,
        |bias| included: the algorithm with absolute values of data and of constants.
    channels : int
        C / groups, the number of products in each sum.
    dtype : float32 or float64
        In which y was computed.
    taps : int
        The side of the filter. For the gradient of filters, which has pixels of dy in the place of
        the taps: the side of a tile of dy; `channels` is then the number of tiles.
    certain : bool
        Whether to bound what may happen, instead of what does with all but certainty.

    Returns
    -------
    ndarray of float64
        γ(k)·magnitude with k = channels + 31, for 3x3 filters, and γ(k) = k·u/(1 - k·u), or, if
        that is smaller and `certain` is false, 8·sqrt(k)·u·magnitude.

    Notes
    -----
    An output is a sum of terms a·g·b·w·d·(a' g' b'), a pixel times a tap times constants of all
    six matrices. On its way through transforms, products and sums each is multiplied by factors
    1 + δ with |δ| <= u: at most 30 in the transforms of 3x3 filters, `channels` in the sum of
    products (of a first product all its additions, of the last its own rounding and one addition),
    and one where the bias is added. k such factors differ from 1 by at most γ(k) (N. Higham,
    "Accuracy and Stability of Numerical Algorithms", 2nd ed., SIAM, 2002, lemma 3.1). The sum of
    the absolute terms is the magnitude: the bound is certain, whatever the data and the order of
    the sums.

    With δ of mean zero and independent of one another's past, the factors differ from 1 by more
    than λ·sqrt(k)·u with a probability of at most 2·exp(-λ²/2) (N. Higham and T. Mary, "A new
    approach to probabilistic rounding error analysis", SIAM J. Sci. Comput. 41, 2019, theorem
    2.4): for λ = 8 and a thousand terms 3e-11, little enough for the outputs of all tests.
    """
    unit = float(np.finfo(dtype).eps) / 2
    roundings = channels + transform_roundings(taps) + 1
    units = roundings / (1 - roundings * unit)
    if not certain:
        units = min(units, CONFIDENCE * math.sqrt(roundings))
    result: NDArray[Any] = units * unit * magnitude.astype(np.float64)
    return result
