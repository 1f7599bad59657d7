"""Poolings of whole planes over the compiled engine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convolt._arrays import check_output, index_operand, operand
from convolt._checks import check_flag, check_image
from convolt._engine import engine
from convolt._functional_pool import Shape
from convolt._padding import image_shape


def global_avg_pool2d(x: NDArray[Any], *, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Take the average of every plane: (N, C, H, W) to (N, C, 1, 1).

    Examples
    --------
    >>> import numpy as np, convolt
    >>> convolt.global_avg_pool2d(np.arange(4.0).reshape(1, 1, 2, 2))
    array([[[[1.5]]]])
    """
    function = "global_avg_pool2d"
    check_output(out, function, x=x)
    x = operand(x, "x", function)
    check_image(x, "x", function)
    y: NDArray[Any] = engine(x).global_avg_pool2d_forward(x, out)
    return y


def global_avg_pool2d_backward(dy: NDArray[Any], input_shape: Shape) -> NDArray[Any]:
    """Compute the gradient of :func:`global_avg_pool2d`, (N, C, H, W), from `dy` (N, C, 1, 1)."""
    function = "global_avg_pool2d_backward"
    dy = operand(dy, "dy", function)
    shape = image_shape(input_shape, "input_shape", function)
    dx: NDArray[Any] = engine(dy).global_avg_pool2d_backward(dy, shape)
    return dx


def global_max_pool2d(
    x: NDArray[Any], return_indices: bool = False, *, out: NDArray[Any] | None = None
) -> Any:
    """Take the maximum of every plane: (N, C, H, W) to (N, C, 1, 1), and its index if asked for.

    Examples
    --------
    >>> import numpy as np, convolt
    >>> convolt.global_max_pool2d(np.arange(4.0).reshape(1, 1, 2, 2), return_indices=True)
    (array([[[[3.]]]]), array([[[[3]]]]))
    """
    function = "global_max_pool2d"
    check_output(out, function, x=x)
    check_flag(return_indices, "return_indices", function)
    x = operand(x, "x", function)
    check_image(x, "x", function)
    return engine(x).global_max_pool2d_forward(x, return_indices, out)


def global_max_pool2d_backward(
    dy: NDArray[Any], indices: NDArray[np.int64], input_shape: Shape
) -> NDArray[Any]:
    """Compute the gradient of :func:`global_max_pool2d`, (N, C, H, W), from `dy` (N, C, 1, 1)."""
    function = "global_max_pool2d_backward"
    dy = operand(dy, "dy", function)
    indices = index_operand(indices, function, like=dy)
    shape = image_shape(input_shape, "input_shape", function)
    dx: NDArray[Any] = engine(dy).global_max_pool2d_backward(dy, indices, shape)
    return dx
