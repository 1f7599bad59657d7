"""Definitions of im2col, col2im, unfold and fold: windows as matrices, and their adjoints."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convolt._arguments import Padding, Pair, pair
from convolt._checks import as_float, check_image, check_shape
from convolt._padding import image_shape
from convolt._reference_windows import conv_window, scatter, windows


def im2col(
    x: NDArray[Any], kernel_size: Pair, stride: Pair = 1, padding: Padding = 0, dilation: Pair = 1
) -> NDArray[Any]:
    """Lay every window of the zero-padded images out as one row of a matrix.

    Row (n, oh, ow), column (c, kh, kw)::

        col = x[n, c, oh*stride - top + kh*dilation, ow*stride - left + kw*dilation]

    Parameters
    ----------
    x : ndarray, (N, C, H, W)
    kernel_size, stride, padding, dilation
        As in :func:`conv_output_size`.

    Returns
    -------
    ndarray, (N*OH*OW, C*KH*KW)

    References
    ----------
    Koki Saitoh, "Deep Learning from Scratch", section 7.4.

    Examples
    --------
    >>> import numpy as np
    >>> im2col(np.zeros((1, 3, 7, 7)), 5).shape, im2col(np.zeros((10, 3, 7, 7)), 5).shape
    ((9, 75), (90, 75))
    """
    function = "im2col"
    x = as_float(x, "x", function)
    check_image(x, "x", function)
    window = conv_window(x.shape[2:], kernel_size, stride, padding, dilation, function)
    rows = x.shape[0] * math.prod(window.output_size)
    columns = x.shape[1] * math.prod(window.kernel_size)
    by_pixel = windows(x, window).transpose(0, 2, 3, 1, 4, 5)
    return np.ascontiguousarray(by_pixel).reshape(rows, columns)


def col2im(
    col: NDArray[Any],
    input_shape: tuple[int, int, int, int],
    kernel_size: Pair,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
) -> NDArray[Any]:
    """Add the rows of a matrix back into images: the adjoint of :func:`im2col`.

    Parameters
    ----------
    col : ndarray, (N*OH*OW, C*KH*KW)
    input_shape : (N, C, H, W)
        Shape of the images.
    kernel_size, stride, padding, dilation
        As in :func:`conv_output_size`.

    Returns
    -------
    ndarray, (N, C, H, W)

    References
    ----------
    Koki Saitoh, "Deep Learning from Scratch", section 7.4.

    Examples
    --------
    >>> import numpy as np
    >>> col2im(np.ones((4, 4)), (1, 1, 3, 3), 2)[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    function = "col2im"
    col = as_float(col, "col", function)
    batch, channels, height, width = image_shape(input_shape, "input_shape", function)
    window = conv_window((height, width), kernel_size, stride, padding, dilation, function)
    rows = batch * math.prod(window.output_size)
    columns = channels * math.prod(window.kernel_size)
    check_shape(col, (rows, columns), "col", function, "(N*OH*OW, C*KH*KW)")
    by_pixel = col.reshape(batch, *window.output_size, channels, *window.kernel_size)
    return scatter(by_pixel.transpose(0, 3, 1, 2, 4, 5), height, width, window)


def unfold(
    x: NDArray[Any],
    kernel_size: Pair,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
) -> NDArray[Any]:
    """Lay every window of the zero-padded images out as a column, one matrix per image.

    The values of :func:`im2col` in the layout of ``torch.nn.functional.unfold``: element
    (n, (c, kh, kw), (oh, ow)).

    Parameters
    ----------
    x : ndarray, (N, C, H, W)
    kernel_size, stride, padding, dilation
        As in :func:`conv_output_size`.

    Returns
    -------
    ndarray, (N, C*KH*KW, OH*OW)

    Examples
    --------
    >>> import numpy as np
    >>> unfold(np.arange(6.0).reshape(1, 1, 2, 3), 2)[0]
    array([[0., 1.],
           [1., 2.],
           [3., 4.],
           [4., 5.]])
    """
    function = "unfold"
    x = as_float(x, "x", function)
    check_image(x, "x", function)
    window = conv_window(x.shape[2:], kernel_size, stride, padding, dilation, function)
    rows = x.shape[1] * math.prod(window.kernel_size)
    by_tap = windows(x, window).transpose(0, 1, 4, 5, 2, 3)
    return np.ascontiguousarray(by_tap).reshape(x.shape[0], rows, math.prod(window.output_size))


def fold(
    col: NDArray[Any],
    output_size: Pair,
    kernel_size: Pair,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
) -> NDArray[Any]:
    """Add columns back into images: the adjoint of :func:`unfold`.

    Parameters
    ----------
    col : ndarray, (N, C*KH*KW, OH*OW)
    output_size : int or (int, int)
        Height and width of the images.
    kernel_size, stride, padding, dilation
        As in :func:`conv_output_size`.

    Returns
    -------
    ndarray, (N, C, H, W)

    Examples
    --------
    >>> import numpy as np
    >>> fold(np.ones((1, 4, 2)), (2, 3), 2)[0, 0]
    array([[1., 2., 1.],
           [1., 2., 1.]])
    """
    function = "fold"
    col = as_float(col, "col", function)
    height, width = pair(output_size, "output_size", function)
    window = conv_window((height, width), kernel_size, stride, padding, dilation, function)
    taps = math.prod(window.kernel_size)
    if col.ndim != 3 or col.shape[1] % taps:
        raise ValueError(
            f"{function}: col must be (N, C*KH*KW, L) with KH*KW = {taps}, got shape {col.shape}"
        )
    batch, channels = col.shape[0], col.shape[1] // taps
    expected = (batch, channels * taps, math.prod(window.output_size))
    check_shape(col, expected, "col", function, "(N, C*KH*KW, OH*OW)")
    by_tap = col.reshape(batch, channels, *window.kernel_size, *window.output_size)
    return scatter(by_tap.transpose(0, 1, 4, 5, 2, 3), height, width, window)
