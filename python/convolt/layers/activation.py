"""Layers that apply a function to each entry, or to the channels of each pixel.

NaN and infinities follow the formulas and IEEE 754, in silence.
"""

from __future__ import annotations

import math

import numpy as np

from convolt._checks import check_flag
from convolt._engine import engine
from convolt.layers.base import Array, ShapeKeepingLayer, quiet


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
        self.inplace = check_flag(inplace, "inplace", "ReLU")

    def forward(self, x: Array) -> Array:
        """Return the positive part of `x`."""
        if self.inplace and not x.flags.writeable:
            raise ValueError(
                "ReLU: x must be writable with inplace=True, got a read-only array, as the input "
                "that the branches of a Parallel share is"
            )
        y: Array = np.maximum(x, 0, out=x if self.inplace else None)
        self._saved = y
        return y

    def backward(self, dy: Array) -> Array:
        """Return `dy` where the input was positive or a NaN, else 0."""
        y = self._from_forward()
        gradient: Array | None = engine(y).relu_backward(dy, y, self.inplace)
        if gradient is not None:
            return gradient
        # All bits of an entry or none: np.where branches, which is ten times slower, and the
        # product with a mask is a NaN where dy is infinite.
        passed = np.subtract(y <= 0, 1, dtype=np.int8)
        bits = dy.view(f"i{dy.itemsize}")
        dx = np.bitwise_and(bits, passed, out=bits if self.inplace else None)
        return dy if self.inplace else dx.view(dy.dtype)


class LeakyReLU(ShapeKeepingLayer):
    """x where it is positive, else negative_slope * x.

    Parameters
    ----------
    negative_slope : float
        The gradient where x is not positive.

    References
    ----------
    A. L. Maas, A. Y. Hannun, A. Y. Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic
    Models", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> LeakyReLU(0.1)(np.array([-1.0, 2.0]))
    array([-0.1,  2. ])
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        if not math.isfinite(negative_slope):
            raise ValueError(
                f"LeakyReLU: negative_slope must be a finite number, got {negative_slope!r}"
            )
        self.negative_slope = negative_slope

    @quiet
    def forward(self, x: Array) -> Array:
        """Return `x` times its slope: 1 or `negative_slope`."""
        # Without np.where, which takes five times as long. 1 - 1 + 1 and slope * 1 + 0 are exact.
        positive = x > 0
        slopes: Array = np.subtract(1, positive, dtype=x.dtype)
        slopes *= self.negative_slope
        slopes += positive
        self._saved = slopes
        y: Array = x * slopes
        return y

    @quiet
    def backward(self, dy: Array) -> Array:
        """Return `dy` times the slope."""
        dx: Array = dy * self._from_forward()
        return dx


class Sigmoid(ShapeKeepingLayer):
    """1 / (1 + exp(-x)).

    Examples
    --------
    >>> import numpy as np
    >>> Sigmoid()(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """

    @quiet
    def forward(self, x: Array) -> Array:
        """Return the sigmoid of `x`; far below 0 the exponential is infinite and the result 0."""
        y: Array = np.exp(-x)
        y += 1
        np.reciprocal(y, out=y)
        self._saved = y
        return y

    @quiet
    def backward(self, dy: Array) -> Array:
        """Return dy * y * (1 - y)."""
        y = self._from_forward()
        dx: Array = 1 - y
        dx *= y
        dx *= dy
        return dx


class Softmax(ShapeKeepingLayer):
    """exp(x) / sum(exp(x)), the sum over axis 1: the classes of a row, the channels of a pixel.

    To train a classifier, leave it out: `SoftmaxCrossEntropy` takes the scores before it.

    Examples
    --------
    >>> import numpy as np
    >>> Softmax()(np.array([[1000.0, 1000.0, 0.0]]))
    array([[0.5, 0.5, 0. ]])
    """

    @quiet
    def forward(self, x: Array) -> Array:
        """Return the softmax of `x`."""
        y: Array = x - x.max(axis=1, keepdims=True)
        np.exp(y, out=y)
        y /= y.sum(axis=1, keepdims=True)
        self._saved = y
        return y

    @quiet
    def backward(self, dy: Array) -> Array:
        """Return y * (dy - sum(y * dy))."""
        y = self._from_forward()
        dx: Array = dy - (y * dy).sum(axis=1, keepdims=True)
        dx *= y
        return dx


class LogSoftmax(ShapeKeepingLayer):
    """x - log(sum(exp(x))), the logarithm of `Softmax`, without its underflow.

    Examples
    --------
    >>> import numpy as np
    >>> LogSoftmax()(np.array([[1000.0, 0.0]]))
    array([[    0., -1000.]])
    """

    @quiet
    def forward(self, x: Array) -> Array:
        """Return the logarithm of the softmax of `x`."""
        y: Array = x - x.max(axis=1, keepdims=True)
        y -= np.log(np.exp(y).sum(axis=1, keepdims=True))
        self._saved = y
        return y

    @quiet
    def backward(self, dy: Array) -> Array:
        """Return dy - softmax * sum(dy)."""
        dx: Array = np.exp(self._from_forward())
        dx *= dy.sum(axis=1, keepdims=True)
        np.subtract(dy, dx, out=dx)
        return dx
