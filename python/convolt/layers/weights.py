"""The weight and bias that layers are trained in, and how they start."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from convolt.layers.base import Array, Layer

Rng = np.random.Generator | int | None


class WeightedLayer(Layer):
    """A layer with a weight and, unless it is None, a bias."""

    weight: Array
    bias: Array | None
    dweight: Array | None = None
    dbias: Array | None = None

    def parameters(self) -> dict[str, Array]:
        """Return the weight and the bias."""
        return _weight_and_bias(self.weight, self.bias)

    def gradients(self) -> dict[str, Array]:
        """Return the gradients of the weight and the bias."""
        if self.dweight is None:
            raise RuntimeError(f"{type(self).__name__}.gradients: backward must be called before")
        return _weight_and_bias(self.dweight, self.dbias)


def _weight_and_bias(weight: Array, bias: Array | None) -> dict[str, Array]:
    return {"weight": weight} if bias is None else {"weight": weight, "bias": bias}


def parameter_dtype(dtype: DTypeLike, layer: str) -> np.dtype[Any]:
    """Return `dtype` if parameters can have it."""
    result = np.dtype(dtype)
    if result not in (np.float32, np.float64):
        raise TypeError(f"{layer}: dtype must be float32 or float64, got {result}")
    return result


def check_weight_init(weight_init: str | float, layer: str) -> None:
    """Refuse what is no name of a deviation and no deviation."""
    if weight_init in ("he", "xavier"):
        return
    if not (isinstance(weight_init, Real) and 0 <= weight_init < math.inf):
        raise ValueError(
            f'{layer}: weight_init must be "he", "xavier" or a standard deviation, '
            f"got {weight_init!r}"
        )


def initial_weight(
    shape: tuple[int, ...],
    fans: tuple[float, float],
    weight_init: str | float,
    dtype: DTypeLike,
    rng: Rng,
    layer: str,
) -> Array:
    """Return a weight drawn from a normal distribution.

    `fans` are how many inputs an output has and how many outputs an input has; what "he" and
    "xavier" make of them stands in `convolt.layers.Conv2d`.
    """
    dtype = parameter_dtype(dtype, layer)
    check_weight_init(weight_init, layer)
    fan_in, fan_out = fans
    if weight_init == "he":
        deviation = math.sqrt(2 / fan_in)
    elif weight_init == "xavier":
        deviation = math.sqrt(2 / (fan_in + fan_out))
    else:
        deviation = float(weight_init)
    # Drawn in float64 so that one seed gives both dtypes the same weights.
    normal = np.random.default_rng(rng).standard_normal(shape)
    return (deviation * normal).astype(dtype)
