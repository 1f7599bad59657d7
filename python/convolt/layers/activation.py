"""Layers that apply a function to each entry."""

from __future__ import annotations

import numpy as np

from convolt.layers.base import Array, Layer


class ReLU(Layer):
    """Rectified linear unit, max(x, 0); its gradient at 0 is 0.

    Parameters
    ----------
    inplace : bool
        Overwrite the input with the output, and dy with dx, which saves memory and time. Only
        behind a layer whose backward pass does not need its output, such as `Conv2d` and `Linear`,
        and before one that returns a new array from its own.

    Examples
    --------
    >>> import numpy as np
    >>> ReLU()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def forward(self, x: Array) -> Array:
        """Return the positive part of `x`."""
        y: Array = np.maximum(x, 0, out=x if self.inplace else None)
        self._saved = y
        return y

    def backward(self, dy: Array) -> Array:
        """Return `dy` where the input was positive, else 0."""
        # The product with a mask is several times faster than np.where, which branches.
        mask = self._from_forward() > 0
        dx: Array = np.multiply(dy, mask, out=dy if self.inplace else None)
        return dx
