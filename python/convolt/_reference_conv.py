"""Definitions of the convolutions and of the rearrangements behind them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convolt._arguments import (
    Conv2dGradients,
    Padding,
    Pair,
    check_needs,
    pair,
    resolve_transpose,
)
from convolt._checks import (
    GRADIENTS,
    as_float,
    check_activation,
    check_algorithm,
    check_conv_operands,
    check_flag,
    check_saved_output,
    check_shape,
    check_transpose_operands,
)
from convolt._padding import integer
from convolt._reference_windows import Window, conv_window, quiet, scatter, windows


def _columns(x: NDArray[Any], window: Window, groups: int) -> NDArray[Any]:
    """Return the windows as matrices (groups, C/groups*KH*KW, N*OH*OW), ready for a product."""
    batch, channels = x.shape[:2]
    rows = channels // groups * math.prod(window.kernel_size)
    pixels = batch * math.prod(window.output_size)
    by_tap = windows(x, window).transpose(1, 4, 5, 0, 2, 3)
    matrices: NDArray[Any] = by_tap.reshape(groups, rows, pixels)
    return matrices


def _weight_matrix(weight: NDArray[Any], groups: int) -> NDArray[Any]:
    """Return the weight as matrices (groups, OC/groups, C/groups*KH*KW)."""
    rows = weight.shape[0] // groups
    matrices: NDArray[Any] = weight.reshape(groups, rows, math.prod(weight.shape[1:]))
    return matrices


def _pixel_matrix(y: NDArray[Any], groups: int) -> NDArray[Any]:
    """Return an output (N, OC, OH, OW) as matrices (groups, OC/groups, N*OH*OW)."""
    batch, channels, height, width = y.shape
    pixels = batch * height * width
    matrices: NDArray[Any] = y.transpose(1, 0, 2, 3).reshape(groups, channels // groups, pixels)
    return matrices


def _forward(x: NDArray[Any], weight: NDArray[Any], window: Window, groups: int) -> NDArray[Any]:
    product = _weight_matrix(weight, groups) @ _columns(x, window, groups)
    channels_first = product.reshape(weight.shape[0], x.shape[0], *window.output_size)
    return np.ascontiguousarray(channels_first.transpose(1, 0, 2, 3))


def _backward_data(
    dy: NDArray[Any], weight: NDArray[Any], size: tuple[int, int], window: Window, groups: int
) -> NDArray[Any]:
    """Return the gradient (N, C, *size) of the input: every product goes back to its pixel."""
    products = _weight_matrix(weight, groups).transpose(0, 2, 1) @ _pixel_matrix(dy, groups)
    batch, channels = dy.shape[0], weight.shape[1] * groups
    taps = products.reshape(channels, *window.kernel_size, batch, *window.output_size)
    return scatter(taps.transpose(3, 0, 4, 5, 1, 2), *size, window)


def _backward_weights(
    dy: NDArray[Any], x: NDArray[Any], shape: tuple[int, ...], window: Window, groups: int
) -> NDArray[Any]:
    columns = _columns(x, window, groups)
    dweight: NDArray[Any] = _pixel_matrix(dy, groups) @ columns.transpose(0, 2, 1)
    return dweight.reshape(shape)


@quiet
def convolve(
    function: str,
    x: NDArray[Any],
    weight: NDArray[Any],
    bias: NDArray[Any] | None,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    activation: str | None,
    strict: bool = False,
    algorithm: str | None = None,
) -> NDArray[Any]:
    """Return :func:`conv2d`; `function` is who checks the arguments."""
    x = as_float(x, "x", function)
    weight = as_float(weight, "weight", function, like=x)
    bias = None if bias is None else as_float(bias, "bias", function, like=x)
    groups = integer(groups, "groups", function, minimum=1)
    check_activation(activation, function)
    check_conv_operands(x, weight, bias, groups, function)
    window = conv_window(
        x.shape[2:], weight.shape[2:], stride, padding, dilation, function, strict=strict
    )
    check_algorithm(algorithm, window.kernel_size, window.stride, window.dilation, function)
    y = _forward(x, weight, window, groups)
    if bias is not None:
        y += bias.reshape(-1, 1, 1)
    return np.maximum(y, 0, out=y) if activation == "relu" else y


def conv2d(
    x: NDArray[Any],
    weight: NDArray[Any],
    bias: NDArray[Any] | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    activation: str | None = None,
    algorithm: str | None = None,
    strict: bool = False,
) -> NDArray[Any]:
    """2-D convolution (cross-correlation) of zero-padded images.

    With x zero outside the image and c running over the channels of the group of oc::

        y[n, oc, oh, ow] = bias[oc] + sum over c, kh, kw of weight[oc, c, kh, kw]
            * x[n, c, oh*stride - top + kh*dilation, ow*stride - left + kw*dilation]

    Parameters
    ----------
    x : ndarray, (N, C, H, W)
    weight : ndarray, (OC, C/groups, KH, KW)
    bias : ndarray, (OC,), or None
    stride, padding, dilation, groups, strict
        As in :func:`conv_output_size`; `groups` divides C and OC.
    activation : None or "relu"
        "relu" returns max(y, 0), a NaN remaining one.
    algorithm : str or None
        A name that the compiled namesake accepts for this problem; without effect here.

    Returns
    -------
    ndarray, (N, OC, OH, OW)

    References
    ----------
    I. Goodfellow, Y. Bengio and A. Courville, "Deep Learning", section 9.1, for the formula;
    K. Chellapilla, S. Puri and P. Simard, "High Performance Convolutional Neural Networks for
    Document Processing" (2006), for its form as a matrix product.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(1.0, 6.0).reshape(1, 1, 1, 5)
    >>> conv2d(x, np.array([[[[10.0, 1.0]]]]), padding="same").ravel()
    array([12., 23., 34., 45., 50.])
    """
    parameters = (stride, padding, dilation, groups, activation, strict, algorithm)
    return convolve("conv2d", x, weight, bias, *parameters)


@quiet
def conv2d_backward(
    dy: NDArray[Any],
    x: NDArray[Any],
    weight: NDArray[Any],
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    activation: str | None = None,
    y: NDArray[Any] | None = None,
    overwrite_dy: bool = False,
    needs: Iterable[str] = GRADIENTS,
    algorithm: str | None = None,
) -> Conv2dGradients:
    """Gradients of :func:`conv2d` for the gradient dy of its output.

    With the indices of :func:`conv2d`, ih = oh*stride - top + kh*dilation and iw likewise::

        dx[n, c, ih, iw]         = sum over oc, and oh, kh, ow, kw that meet there, of weight * dy
        dweight[oc, c, kh, kw]   = sum over n, oh, ow of dy[n, oc, oh, ow] * x[n, c, ih, iw]
        dbias[oc]                = sum over n, oh, ow of dy[n, oc, oh, ow]

    With ``activation="relu"`` dy counts as 0 where y <= 0, the gradient of max(z, 0) at z = 0 being
    0. A NaN of y is not <= 0, so it lets dy through.

    Parameters
    ----------
    dy : ndarray, (N, OC, OH, OW)
    x : ndarray, (N, C, H, W)
    weight : ndarray, (OC, C/groups, KH, KW)
    stride, padding, dilation, groups, activation, algorithm
        As in the forward pass.
    y : ndarray, (N, OC, OH, OW), or None
        The output of the forward pass; with an activation, and only then.
    overwrite_dy : bool
        A permission that is not made use of here.
    needs : iterable of str
        Which of "dx", "dweight", "dbias" to compute.

    Returns
    -------
    Conv2dGradients
        dx, dweight, dbias in the shapes of x, weight, bias; ``None`` for what was not asked.

    References
    ----------
    I. Goodfellow, Y. Bengio and A. Courville, "Deep Learning", section 9.5.
    """
    function = "conv2d_backward"
    x = as_float(x, "x", function)
    weight = as_float(weight, "weight", function, like=x)
    dy = as_float(dy, "dy", function, like=x)
    check_saved_output(y, activation, function)
    check_flag(overwrite_dy, "overwrite_dy", function)
    groups = integer(groups, "groups", function, minimum=1)
    names = check_needs(needs, function)
    check_conv_operands(x, weight, None, groups, function)
    window = conv_window(x.shape[2:], weight.shape[2:], stride, padding, dilation, function)
    check_algorithm(algorithm, window.kernel_size, window.stride, window.dilation, function)
    expected = (x.shape[0], weight.shape[0], *window.output_size)
    check_shape(dy, expected, "dy", function, "(N, OC, OH, OW)")
    if y is not None:
        y = as_float(y, "y", function, like=x)
        check_shape(y, expected, "y", function, "(N, OC, OH, OW)")
        dy = np.where(y <= 0, 0, dy)
    dx = _backward_data(dy, weight, x.shape[2:], window, groups) if "dx" in names else None
    dweight = None
    if "dweight" in names:
        dweight = _backward_weights(dy, x, weight.shape, window, groups)
    dbias = dy.sum(axis=(0, 2, 3)) if "dbias" in names else None
    return Conv2dGradients(dx, dweight, dbias)


def _transpose_window(
    x: NDArray[Any],
    weight: NDArray[Any],
    parameters: tuple[Pair, Padding, Pair, Pair],
    algorithm: str | None,
    function: str,
) -> tuple[Window, tuple[int, int]]:
    """Return the windows of the convolution to transpose, one per pixel of x, and (OH, OW)."""
    stride, padding, output_padding, dilation = parameters
    kernel = (weight.shape[2], weight.shape[3])
    steps = pair(stride, "stride", function)
    spacing = pair(dilation, "dilation", function)
    extra = pair(output_padding, "output_padding", function, minimum=0)
    check_algorithm(algorithm, kernel, steps, spacing, function)
    size = (x.shape[2], x.shape[3])
    pads, output_size = resolve_transpose(size, kernel, steps, padding, spacing, extra, function)
    return Window(kernel, steps, spacing, pads, size), output_size


@quiet
def conv_transpose2d(
    x: NDArray[Any],
    weight: NDArray[Any],
    bias: NDArray[Any] | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    output_padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    algorithm: str | None = None,
) -> NDArray[Any]:
    """Transpose of the convolution with the same weight and parameters, plus a bias.

    This is the dx of :func:`conv2d_backward` for dy = x, with an image of size::

        output = (input - 1)*stride - padding before and after
            + dilation*(kernel - 1) + 1 + output_padding

    Parameters
    ----------
    x : ndarray, (N, C, H, W)
    weight : ndarray, (C, OC/groups, KH, KW)
    bias : ndarray, (OC,), or None
    stride, padding, dilation, groups
        Those of the transposed convolution. With "same_upper" and "same_lower" the output is
        input*stride.
    output_padding : int or (int, int)
        Rows and columns added at the end; less than the larger of stride and dilation.
    algorithm : str or None
        As for :func:`conv2d`.

    Returns
    -------
    ndarray, (N, OC, OH, OW)

    References
    ----------
    V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning",
    arXiv:1603.07285, chapter 4.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([1.0, 2.0]).reshape(1, 1, 1, 2)
    >>> conv_transpose2d(x, np.array([[[[1.0, 10.0, 100.0]]]]), stride=(1, 2)).ravel()
    array([  1.,  10., 102.,  20., 200.])
    """
    function = "conv_transpose2d"
    x = as_float(x, "x", function)
    weight = as_float(weight, "weight", function, like=x)
    bias = None if bias is None else as_float(bias, "bias", function, like=x)
    groups = integer(groups, "groups", function, minimum=1)
    check_transpose_operands(x, weight, bias, groups, function)
    parameters = (stride, padding, output_padding, dilation)
    window, output_size = _transpose_window(x, weight, parameters, algorithm, function)
    y = _backward_data(x, weight, output_size, window, groups)
    if bias is not None:
        y += bias.reshape(-1, 1, 1)
    return y


@quiet
def conv_transpose2d_backward(
    dy: NDArray[Any],
    x: NDArray[Any],
    weight: NDArray[Any],
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    output_padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    needs: Iterable[str] = GRADIENTS,
    algorithm: str | None = None,
) -> Conv2dGradients:
    """Gradients of :func:`conv_transpose2d` for the gradient dy of its output.

    dx is the convolution of dy with the weight; dweight is that of the convolution, in which x
    and dy have changed places; dbias is the sum of dy over images and pixels.

    Parameters
    ----------
    dy : ndarray, (N, OC, OH, OW)
    x : ndarray, (N, C, H, W)
    weight : ndarray, (C, OC/groups, KH, KW)
    stride, padding, output_padding, dilation, groups, algorithm
        As in the forward pass.
    needs : iterable of str
        Which of "dx", "dweight", "dbias" to compute.

    Returns
    -------
    Conv2dGradients
        dx, dweight, dbias in the shapes of x, weight, bias; ``None`` for what was not asked.
    """
    function = "conv_transpose2d_backward"
    x = as_float(x, "x", function)
    weight = as_float(weight, "weight", function, like=x)
    dy = as_float(dy, "dy", function, like=x)
    groups = integer(groups, "groups", function, minimum=1)
    names = check_needs(needs, function)
    check_transpose_operands(x, weight, None, groups, function)
    parameters = (stride, padding, output_padding, dilation)
    window, output_size = _transpose_window(x, weight, parameters, algorithm, function)
    expected = (x.shape[0], weight.shape[1] * groups, *output_size)
    check_shape(dy, expected, "dy", function, "(N, OC, OH, OW)")
    dx = _forward(dy, weight, window, groups) if "dx" in names else None
    dweight = None
    if "dweight" in names:
        dweight = _backward_weights(x, dy, weight.shape, window, groups)
    dbias = dy.sum(axis=(0, 2, 3)) if "dbias" in names else None
    return Conv2dGradients(dx, dweight, dbias)
