"""Dropout."""

from __future__ import annotations

import numpy as np

from convolt._engine import placed_like
from convolt.layers.base import Array, ShapeKeepingLayer, quiet
from convolt.layers.weights import Rng


class Dropout(ShapeKeepingLayer):
    """In training, zero each entry with probability `p` and scale the others by 1 / (1 - p).

    The scale keeps the expected value, so that in use (`eval`) the layer does nothing and returns
    its input itself.

    Parameters
    ----------
    p : float
        Share of the entries to zero, from 0 to 1.
    rng : numpy.random.Generator, int or None
        Where the choice is drawn from: a generator, or the seed of a new one. `random_state` gives
        its state.

    References
    ----------
    N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
    Journal of Machine Learning Research 15, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Dropout(0.5, rng=0)
    >>> layer(np.ones(6))
    array([2., 2., 2., 0., 0., 0.])
    >>> layer.eval()(np.ones(6))
    array([1., 1., 1., 1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, *, rng: Rng = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p must be from 0 to 1, got {p!r}")
        self.p = p
        self._rng = np.random.default_rng(rng)

    @quiet
    def forward(self, x: Array) -> Array:
        """Return `x` with some entries zeroed in training, and `x` itself in use."""
        if not self.training:
            self._saved = (None,)
            return x
        # Drawn in float32 so that one seed makes the same choice for both dtypes.
        kept = self._rng.random(x.shape, np.float32) >= self.p
        scale = 1 / (1 - self.p) if self.p < 1 else 0.0
        factors: Array = placed_like(np.multiply(kept, scale, dtype=x.dtype), x)
        self._saved = (factors,)
        y: Array = x * factors
        return y

    @quiet
    def backward(self, dy: Array) -> Array:
        """Return `dy` with what the forward pass did to its input."""
        (factors,) = self._from_forward()
        return dy if factors is None else dy * factors

    def _generators(self) -> dict[str, np.random.Generator]:
        return {"rng": self._rng}
