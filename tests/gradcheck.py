"""Gradients by central differences, to hold against those of a backward pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

STEP = 1e-5


def numerical_gradient(
    function: Callable[[], float], array: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the gradient of `function` with respect to `array`, which it reads."""
    gradient = np.empty_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + STEP
        above = function()
        array[index] = value - STEP
        below = function()
        array[index] = value
        gradient[index] = (above - below) / (2 * STEP)
    return gradient
