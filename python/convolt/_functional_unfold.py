"""Column matrices over the compiled engine."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from convolt import _core
from convolt._arguments import Padding, Pair, pair, resolve_padding
from convolt._arrays import check_output, operand
from convolt._checks import check_image
from convolt._engine import engine
from convolt._padding import image_shape


def _to_columns(
    function: str,
    x: NDArray[Any],
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    out: NDArray[Any] | None,
) -> NDArray[Any]:
    col = _core.image_to_columns_at_once(function, x, kernel_size, stride, padding, dilation, out)
    if col is not None:
        return col
    check_output(out, function, x=x)
    x = operand(x, "x", function)
    check_image(x, "x", function)
    kernel = pair(kernel_size, "kernel_size", function)
    steps = pair(stride, "stride", function)
    dilations = pair(dilation, "dilation", function)
    size = (x.shape[2], x.shape[3])
    pads = resolve_padding(padding, size, kernel, steps, dilations, function)
    result: NDArray[Any] = engine(x).image_to_columns(
        function, x, kernel, steps, pads, dilations, out
    )
    return result


def _to_image(
    function: str,
    col: NDArray[Any],
    shape: tuple[int, int, int, int],
    kernel: tuple[int, int],
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    out: NDArray[Any] | None,
) -> NDArray[Any]:
    steps = pair(stride, "stride", function)
    dilations = pair(dilation, "dilation", function)
    pads = resolve_padding(padding, shape[2:], kernel, steps, dilations, function)
    x: NDArray[Any] = engine(col).columns_to_image(
        function, col, shape, kernel, steps, pads, dilations, out
    )
    return x


def im2col(
    x: NDArray[Any],
    kernel_size: Pair,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    *,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Lay the windows of a batch of images out as the rows of a matrix.

    The layout of the book "Deep Learning from Scratch" (K. Saitoh, O'Reilly Japan 2016, section
    7.4): with it a convolution is ``im2col(x, ...) @ weight.reshape(OC, -1).T``. The convolutions
    of this library do not need it. The arguments are not the book's, which names height and width
    of the filter one after the other: that function is in `convolt.compat`.

    Parameters
    ----------
    x : ndarray
        Images (N, C, H, W), float32 or float64.
    kernel_size, stride, padding, dilation : optional
        See :mod:`convolt.functional`.
    out : ndarray, optional
        Where to write the result.

    Returns
    -------
    ndarray
        (N·OH·OW, C·KH·KW): a row for each window, its elements in the order channel, row, column.

    Examples
    --------
    >>> import numpy as np, convolt
    >>> convolt.im2col(np.zeros((1, 3, 7, 7)), 5).shape
    (9, 75)
    >>> convolt.im2col(np.zeros((10, 3, 7, 7)), 5).shape
    (90, 75)
    """
    return _to_columns("im2col", x, kernel_size, stride, padding, dilation, out)


def col2im(
    col: NDArray[Any],
    input_shape: tuple[int, int, int, int],
    kernel_size: Pair,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    *,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Add the rows of a column matrix up into a batch of images: the adjoint of :func:`im2col`.

    Parameters
    ----------
    col : ndarray
        (N·OH·OW, C·KH·KW), float32 or float64.
    input_shape : (N, C, H, W)
        Shape of the images.
    kernel_size, stride, padding, dilation : optional
        Those of :func:`im2col`.
    out : ndarray, optional
        Where to write the result.

    Returns
    -------
    ndarray
        (N, C, H, W): each pixel the sum of all elements that im2col copies from it.

    Examples
    --------
    >>> import numpy as np, convolt
    >>> convolt.col2im(np.ones((4, 4)), (1, 1, 3, 3), 2)[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    function = "col2im"
    x = _core.columns_to_image_at_once(
        function, col, input_shape, kernel_size, stride, padding, dilation, out
    )
    if x is not None:
        return x
    check_output(out, function, col=col)
    col = operand(col, "col", function)
    shape = image_shape(input_shape, "input_shape", function)
    kernel = pair(kernel_size, "kernel_size", function)
    return _to_image(function, col, shape, kernel, stride, padding, dilation, out)


def unfold(
    x: NDArray[Any],
    kernel_size: Pair,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Lay the windows of a batch of images out as columns, in the layout of PyTorch's ``unfold``.

    Parameters
    ----------
    x : ndarray
        Images (N, C, H, W), float32 or float64.
    kernel_size, stride, padding, dilation : optional
        See :mod:`convolt.functional`.
    out : ndarray, optional
        Where to write the result.

    Returns
    -------
    ndarray
        (N, C·KH·KW, OH·OW): for each image a column for each window.

    Examples
    --------
    >>> import numpy as np, convolt
    >>> convolt.unfold(np.arange(6.0).reshape(1, 1, 2, 3), (1, 2))[0]
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.]])
    """
    return _to_columns("unfold", x, kernel_size, stride, padding, dilation, out)


def fold(
    col: NDArray[Any],
    output_size: Pair,
    kernel_size: Pair,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Add the columns of :func:`unfold` up into images: its adjoint.

    Parameters
    ----------
    col : ndarray
        (N, C·KH·KW, L), float32 or float64.
    output_size : int or (int, int)
        H and W of the images.
    kernel_size, stride, padding, dilation : optional
        Those of :func:`unfold`.
    out : ndarray, optional
        Where to write the result.

    Returns
    -------
    ndarray
        (N, C, H, W).

    Examples
    --------
    >>> import numpy as np, convolt
    >>> convolt.fold(np.ones((1, 2, 4)), (2, 3), (1, 2))[0, 0]
    array([[1., 2., 1.],
           [1., 2., 1.]])
    """
    function = "fold"
    x = _core.columns_to_image_at_once(
        function, col, output_size, kernel_size, stride, padding, dilation, out
    )
    if x is not None:
        return x
    check_output(out, function, col=col)
    col = operand(col, "col", function)
    height, width = pair(output_size, "output_size", function)
    kernel = pair(kernel_size, "kernel_size", function)
    taps = kernel[0] * kernel[1]
    if col.ndim != 3 or col.shape[1] % taps:
        raise ValueError(
            f"{function}: col must be (N, C*KH*KW, L) with KH*KW = {taps}, got shape {col.shape}"
        )
    shape = (col.shape[0], col.shape[1] // taps, height, width)
    return _to_image(function, col, shape, kernel, stride, padding, dilation, out)
