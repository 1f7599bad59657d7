"""The fully connected layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from convolt._checks import check_flag
from convolt._engine import placed_like
from convolt._padding import integer
from convolt.layers.base import Array, Shape
from convolt.layers.weights import (
    Rng,
    WeightedLayer,
    check_weight_init,
    initial_weight,
    parameter_dtype,
)


class Linear(WeightedLayer):
    """Fully connected layer, ``x @ weight + bias``.

    The weight is (in_features, out_features), as in the formula and in the book "Deep Learning from
    Scratch"; PyTorch stores its transpose.

    Parameters
    ----------
    in_features, out_features : int
        Length of a row of the input and of the output. With None for `in_features` the first
        forward pass, or `build`, sees what it is and draws the weight.
    bias : bool
        Whether to add a trainable row, zero at the start.
    weight_init, dtype, rng
        As for `Conv2d`.

    Attributes
    ----------
    weight, dweight : (in_features, out_features) array
        The weight and the gradient of the latest `backward`.
    bias, dbias : (out_features,) array or None
        The bias and its gradient.

    Examples
    --------
    >>> import numpy as np
    >>> Linear(20, 5)(np.zeros((2, 20), dtype=np.float32)).shape
    (2, 5)
    >>> layer = Linear(None, 5)
    >>> layer.build((20,)), layer.weight.shape
    ((5,), (20, 5))
    """

    def __init__(
        self,
        in_features: int | None,
        out_features: int,
        bias: bool = True,
        *,
        weight_init: str | float = "he",
        dtype: DTypeLike = np.float32,
        rng: Rng = None,
    ) -> None:
        out_features = integer(out_features, "out_features", "Linear", minimum=1)
        check_weight_init(weight_init, "Linear")
        # Without rows until in_features is known.
        self.weight = np.empty((0, out_features), parameter_dtype(dtype, "Linear"))
        self.bias = (
            np.zeros(out_features, self.weight.dtype)
            if check_flag(bias, "bias", "Linear")
            else None
        )
        self._weight_init = weight_init
        self._rng = np.random.default_rng(rng)
        if in_features is not None:
            self.build((integer(in_features, "in_features", "Linear", minimum=1),))

    def build(self, input_shape: Shape) -> Shape:
        """Draw the weight unless there is one, and return (out_features,)."""
        output = self.output_shape(input_shape)
        if not len(self.weight):
            shape = (input_shape[0], output[0])
            weight = initial_weight(
                shape, shape, self._weight_init, self.weight.dtype, self._rng, "Linear"
            )
            self.weight = placed_like(weight, self.weight)
        return output

    def parameters(self) -> dict[str, Array]:
        """Return the weight and the bias."""
        if not len(self.weight):
            raise RuntimeError(
                "Linear.parameters: in_features must be known, got None and neither a forward pass "
                "nor a call of build"
            )
        return super().parameters()

    def forward(self, x: Array) -> Array:
        """Return ``x @ weight + bias`` for x of (N, in_features).

        Raises
        ------
        ValueError
            If x has another shape.
        TypeError
            If x has another dtype than the weight.
        """
        features = len(self.weight)
        if x.ndim != 2 or x.shape[1] != (features or x.shape[1]):
            raise ValueError(
                f"Linear: x must have shape (N, {features or 'in_features'}), got {x.shape}"
                + ("; a Flatten layer before it makes rows of images" if x.ndim > 2 else "")
            )
        if x.dtype != self.weight.dtype:
            raise TypeError(f"Linear: x must be {self.weight.dtype} as the weight, got {x.dtype}")
        if not features:
            self.build(x.shape[1:])
        self._saved = x
        y: Array = x @ self.weight
        if self.bias is not None:
            y += self.bias
        return y

    def backward(self, dy: Array) -> Array:
        """Keep `dweight` and `dbias`, and return dx."""
        x = self._from_forward()
        self.dweight = x.T @ dy
        self.dbias = None if self.bias is None else dy.sum(axis=0)
        dx: Array = dy @ self.weight.T
        return dx

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (out_features,) for an input of (in_features,)."""
        features, out_features = self.weight.shape
        if len(input_shape) != 1 or input_shape[0] != (features or input_shape[0]):
            raise ValueError(
                f"Linear: input must have shape ({features or 'in_features'},), got {input_shape}"
                + ("; a Flatten layer before it makes rows of images" * (len(input_shape) > 1))
            )
        return (out_features,)

    def flops(self, input_shape: Shape) -> int:
        """Return 2 * in_features * out_features."""
        (out_features,) = self.output_shape(input_shape)
        return 2 * input_shape[0] * out_features
