"""Layers that apply a function to each entry."""

from __future__ import annotations

import numpy as np

from convolt._openmp import _core
from convolt.layers.base import Array, ShapeKeepingLayer


class ReLU(ShapeKeepingLayer):
    """Rectified linear unit, max(x, 0); its gradient at 0 is 0.

    Parameters
    ----------
    inplace : bool
        Overwrite the input with the output, and dy with dx, which saves memory and time. Only
        behind a layer whose backward pass does not need its output, such as `Linear`, and before
        one that returns a new array from its own. `Conv2d` has a ReLU of its own, which is faster.

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
        """Return `dy` where the input was positive or a NaN, else 0."""
        y = self._from_forward()
        gradient: Array | None = _core.relu_backward(dy, y, self.inplace)
        if gradient is not None:
            return gradient
        # All bits of an entry or none: np.where branches, which is ten times slower, and the
        # product with a mask is a NaN where dy is infinite.
        passed = np.subtract(y <= 0, 1, dtype=np.int8)
        bits = dy.view(f"i{dy.itemsize}")
        dx = np.bitwise_and(bits, passed, out=bits if self.inplace else None)
        return dy if self.inplace else dx.view(dy.dtype)
