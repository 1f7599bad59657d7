"""Poolings over the compiled engine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convolt import _core
from convolt._arguments import Padding, Pads, Pair, pair, resolve_padding, resolve_pool
from convolt._arrays import check_output, index_operand, operand
from convolt._checks import check_divisor, check_flag, check_image
from convolt._engine import engine
from convolt._padding import image_shape

Shape = tuple[int, int, int, int]
Window = tuple[tuple[int, int], tuple[int, int], Pads, tuple[int, int]]


def pool_window(
    function: str,
    size: tuple[int, int],
    kernel_size: Pair,
    stride: Pair | None,
    padding: Padding,
    dilation: Pair,
    ceil_mode: bool,
    strict: bool = False,
) -> Window:
    """Return kernel, stride, padding and dilation as the engine takes them."""
    check_flag(ceil_mode, "ceil_mode", function)
    kernel = pair(kernel_size, "kernel_size", function)
    steps = kernel if stride is None else pair(stride, "stride", function)
    dilations = pair(dilation, "dilation", function)
    pads = resolve_padding(padding, size, kernel, steps, dilations, function)
    if check_flag(strict, "strict", function):
        resolve_pool(size, kernel, steps, padding, dilations, ceil_mode, function, strict=True)
    return kernel, steps, pads, dilations


def extremum_pool2d(
    function: str,
    x: NDArray[Any],
    kernel_size: Pair,
    stride: Pair | None,
    padding: Padding,
    dilation: Pair,
    ceil_mode: bool,
    wanted: str,
    strict: bool = False,
    out: NDArray[Any] | None = None,
) -> Any:
    if strict is False:
        y = _core.pool2d_max_at_once(
            function, x, kernel_size, stride, padding, dilation, ceil_mode, wanted, out
        )
        if y is not None:
            return y
    check_output(out, function, x=x)
    x = operand(x, "x", function)
    check_image(x, "x", function)
    window = pool_window(
        function, x.shape[2:], kernel_size, stride, padding, dilation, ceil_mode, strict
    )
    return engine(x).pool2d_max_forward(function, x, *window, ceil_mode, wanted, out)


def _extremum_pool2d_backward(
    function: str,
    dy: NDArray[Any],
    indices: NDArray[np.int64],
    input_shape: Shape,
    kernel_size: Pair,
    stride: Pair | None,
    padding: Padding,
    dilation: Pair,
    ceil_mode: bool,
) -> NDArray[Any]:
    dy = operand(dy, "dy", function)
    indices = index_operand(indices, function, like=dy)
    shape = image_shape(input_shape, "input_shape", function)
    window = pool_window(function, shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    dx: NDArray[Any] = engine(dy).pool2d_max_backward(
        function, dy, indices, shape, *window, ceil_mode
    )
    return dx


def max_pool2d(
    x: NDArray[Any],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    strict: bool = False,
    out: NDArray[Any] | None = None,
) -> Any:
    """Take the maximum of every window.

    Padding never wins. A NaN does: the first one of the window is the result. Of equal elements the
    first counts, in row-major order.

    Parameters
    ----------
    x : ndarray
        Images (N, C, H, W), float32 or float64.
    kernel_size : int or (int, int)
        The window.
    stride : int or (int, int), optional
        The kernel size by default.
    padding, dilation : optional
        See :mod:`convolt.functional`; padding must be smaller than the kernel.
    ceil_mode : bool, optional
        Let the last window reach beyond the padding, provided that it starts before it.
    return_indices : bool, optional
        Return the indices of the maxima as well.
    strict : bool, optional
        Raise a ``ValueError`` where the stride does not divide, without `ceil_mode`.
    out : ndarray, optional
        Where to write the maxima.

    Returns
    -------
    y : ndarray
        (N, C, OH, OW), see :func:`convolt.pool_output_size`.
    indices : ndarray
        Only with `return_indices`: int64, (N, C, OH, OW), each the flat index h·W + w of the
        maximum in its plane, as in PyTorch.

    Examples
    --------
    >>> import numpy as np, convolt
    >>> x = np.array([[[[1.0, 2.0], [4.0, 3.0]]]])
    >>> convolt.max_pool2d(x, 2, return_indices=True)
    (array([[[[4.]]]]), array([[[[2]]]]))
    """
    if type(return_indices) is not bool:  # quicker than to ask check_flag each time
        return_indices = check_flag(return_indices, "return_indices", "max_pool2d")
    return extremum_pool2d(
        *("max_pool2d", x, kernel_size, stride, padding, dilation),
        *(ceil_mode, "indices" if return_indices else "values", strict, out),
    )


def max_pool2d_backward(
    dy: NDArray[Any],
    indices: NDArray[np.int64],
    input_shape: Shape,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> NDArray[Any]:
    """Compute the gradient of :func:`max_pool2d`: each maximum gets the gradient of its window.

    Parameters
    ----------
    dy : ndarray
        Gradient of the output, (N, C, OH, OW), float32 or float64.
    indices : ndarray
        What the forward pass returned; any integer dtype.
    input_shape : (N, C, H, W)
        Shape of the input of the forward pass.
    kernel_size, stride, padding, dilation, ceil_mode : optional
        As in the forward pass.

    Returns
    -------
    ndarray
        (N, C, H, W), in the dtype of `dy`. A maximum of several windows gets the sum.

    Examples
    --------
    >>> import numpy as np, convolt
    >>> y, indices = convolt.max_pool2d(np.eye(2)[None, None], 2, return_indices=True)
    >>> convolt.max_pool2d_backward(np.full((1, 1, 1, 1), 5.0), indices, (1, 1, 2, 2), 2)
    array([[[[5., 0.],
             [0., 0.]]]])
    """
    function = "max_pool2d_backward"
    return _extremum_pool2d_backward(
        function, dy, indices, input_shape, kernel_size, stride, padding, dilation, ceil_mode
    )


def min_pool2d(
    x: NDArray[Any],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    strict: bool = False,
    out: NDArray[Any] | None = None,
) -> Any:
    """Take the minimum of every window: ``-max_pool2d(-x)``, with the same rules.

    Parameters and results are those of :func:`max_pool2d`.

    Examples
    --------
    >>> import numpy as np, convolt
    >>> convolt.min_pool2d(np.array([[[[1.0, 2.0], [4.0, 3.0]]]]), 2)
    array([[[[1.]]]])
    """
    if type(return_indices) is not bool:  # quicker than to ask check_flag each time
        return_indices = check_flag(return_indices, "return_indices", "min_pool2d")
    return extremum_pool2d(
        *("min_pool2d", x, kernel_size, stride, padding, dilation),
        *(ceil_mode, "indices" if return_indices else "values", strict, out),
    )


def min_pool2d_backward(
    dy: NDArray[Any],
    indices: NDArray[np.int64],
    input_shape: Shape,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> NDArray[Any]:
    """Compute the gradient of :func:`min_pool2d`, as :func:`max_pool2d_backward` does."""
    function = "min_pool2d_backward"
    return _extremum_pool2d_backward(
        function, dy, indices, input_shape, kernel_size, stride, padding, dilation, ceil_mode
    )


def avg_pool2d(
    x: NDArray[Any],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    strict: bool = False,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Take the average of every window.

    Parameters
    ----------
    x : ndarray
        Images (N, C, H, W), float32 or float64.
    kernel_size, stride, padding, ceil_mode : optional
        As in :func:`max_pool2d`.
    count_include_pad : bool, optional
        Count the padding in the divisor. What `ceil_mode` adds beyond the padding never counts.
    divisor_override : int, optional
        Divide by this instead; not 0.
    strict : bool, optional
        Raise a ``ValueError`` where the stride does not divide, without `ceil_mode`.
    out : ndarray, optional
        Where to write the result.

    Returns
    -------
    ndarray
        (N, C, OH, OW).

    Examples
    --------
    >>> import numpy as np, convolt
    >>> x = np.arange(1.0, 7.0).reshape(1, 1, 1, 6)
    >>> convolt.avg_pool2d(x, (1, 3), 2, ceil_mode=True)
    array([[[[2. , 4. , 5.5]]]])
    """
    if divisor_override is None and strict is False:
        y = _core.avg_pool2d_at_once(
            x, kernel_size, stride, padding, ceil_mode, count_include_pad, out
        )
        if y is not None:
            return y
    function = "avg_pool2d"
    check_output(out, function, x=x)
    x = operand(x, "x", function)
    check_image(x, "x", function)
    kernel, steps, pads, _ = pool_window(
        function, x.shape[2:], kernel_size, stride, padding, 1, ceil_mode, strict
    )
    check_flag(count_include_pad, "count_include_pad", function)
    divisor = check_divisor(divisor_override, function)
    result: NDArray[Any] = engine(x).avg_pool2d_forward(
        x, kernel, steps, pads, ceil_mode, count_include_pad, divisor, out
    )
    return result


def avg_pool2d_backward(
    dy: NDArray[Any],
    input_shape: Shape,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> NDArray[Any]:
    """Compute the gradient of :func:`avg_pool2d`: each window's, divided among its elements.

    Parameters
    ----------
    dy : ndarray
        Gradient of the output, (N, C, OH, OW), float32 or float64.
    input_shape : (N, C, H, W)
        Shape of the input of the forward pass.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override : optional
        As in the forward pass.

    Returns
    -------
    ndarray
        (N, C, H, W).

    Examples
    --------
    >>> import numpy as np, convolt
    >>> convolt.avg_pool2d_backward(np.ones((1, 1, 1, 1)), (1, 1, 2, 2), 2)
    array([[[[0.25, 0.25],
             [0.25, 0.25]]]])
    """
    function = "avg_pool2d_backward"
    dy = operand(dy, "dy", function)
    shape = image_shape(input_shape, "input_shape", function)
    kernel, steps, pads, _ = pool_window(
        function, shape[2:], kernel_size, stride, padding, 1, ceil_mode
    )
    check_flag(count_include_pad, "count_include_pad", function)
    divisor = check_divisor(divisor_override, function)
    dx: NDArray[Any] = engine(dy).avg_pool2d_backward(
        dy, shape, kernel, steps, pads, ceil_mode, count_include_pad, divisor
    )
    return dx
