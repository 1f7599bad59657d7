"""Convolutions over the compiled engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray

from convolt import _core
from convolt._arguments import (
    Conv2dGradients,
    Padding,
    Pads,
    Pair,
    check_needs,
    pair,
    resolve_conv,
    resolve_padding,
    resolve_transpose,
)
from convolt._arrays import check_output, operand, optional_operand
from convolt._checks import (
    GRADIENTS,
    check_activation,
    check_algorithm,
    check_flag,
    check_image,
    check_kernel,
    check_saved_output,
)
from convolt._engine import engine
from convolt._padding import integer


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
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Convolve a batch of images (cross-correlation, as in every CNN library).

    ``y[n, o, i, j] = bias[o] + sum(weight[o, c, k, l] * x[n, c, i*stride + k*dilation - top,
    j*stride + l*dilation - left])`` over c, k, l, where `x` is zero in the padding.

    Parameters
    ----------
    x : ndarray
        Images (N, C, H, W), float32 or float64.
    weight : ndarray
        Filters (OC, C/groups, KH, KW), of the same dtype.
    bias : ndarray, optional
        (OC,), of the same dtype.
    stride, padding, dilation : optional
        See :mod:`convolt.functional`. Where the stride does not divide, the rest of the image is
        ignored.
    groups : int, optional
        Output channels of group g see the input channels of group g only; ``groups=C`` is a
        depthwise convolution.
    activation : {None, "relu"}, optional
        Applied to the result on its way to memory.
    algorithm : {"auto", "gemm", "winograd", "winograd_2x2", "winograd_4x4"}, optional
        See the notes; by default :func:`convolt.get_algorithm`, at the time of the call.
    strict : bool, optional
        Raise a ``ValueError`` where the stride does not divide.
    out : ndarray, optional
        Where to write the result.

    Returns
    -------
    ndarray
        (N, OC, OH, OW), see :func:`convolt.conv_output_size`.

    Raises
    ------
    ValueError
        As said in :mod:`convolt.functional`, and for Winograd by name with any other kernel than
        3x3 or 5x5, or with a stride or a dilation.

    Notes
    -----
    "gemm" is the implicit matrix product: the columns of im2col [1]_ are packed block by block out
    of the image and multiplied by a register-blocked kernel [2]_; no column matrix is stored.

    "winograd" computes tiles of outputs with fewer multiplications [3]_, for 3x3 and 5x5 kernels
    with stride 1 and dilation 1: tiles of 2x2, or for 3x3 kernels of 4x4. The size of an image
    decides which it is, or the name: "winograd_2x2", "winograd_4x4". The result differs from that
    of "gemm" in rounding, and an inf or NaN of `x` may spread to the other outputs of its tiles,
    where "gemm" confines it to the windows that hold it.

    "auto" is the fastest of these, and of the row kernels for few channels in a group, for the
    shape at hand; in float64 it is never Winograd. A default of Winograd is "auto" wherever
    Winograd does not apply.

    The result has the same bits for any number of threads and, with any algorithm but "auto", for
    an image alone or in a batch.

    References
    ----------
    .. [1] K. Chellapilla, S. Puri, P. Simard, "High Performance Convolutional Neural Networks for
       Document Processing", IWFHR 2006.
    .. [2] F. Van Zee, R. van de Geijn, "BLIS: A Framework for Rapidly Instantiating BLAS
       Functionality", ACM TOMS 41(3), 2015.
    .. [3] A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.

    Examples
    --------
    >>> import numpy as np, convolt
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    >>> convolt.conv2d(x, np.ones((1, 1, 3, 3), np.float32))
    array([[[[45., 54.],
             [81., 90.]]]], dtype=float32)
    """
    if strict is False:
        y = _core.conv2d_at_once(
            x, weight, bias, stride, padding, dilation, groups, activation, algorithm, out
        )
        if y is not None:
            return y
    function = "conv2d"
    check_output(out, function, x=x, weight=weight, bias=bias)
    x = operand(x, "x", function)
    weight = operand(weight, "weight", function, like=x)
    bias = optional_operand(bias, "bias", function, like=x)
    check_image(x, "x", function)
    check_kernel(weight, "OC, C/groups", function)
    steps = pair(stride, "stride", function)
    dilations = pair(dilation, "dilation", function)
    size = (x.shape[2], x.shape[3])
    kernel = (weight.shape[2], weight.shape[3])
    if check_flag(strict, "strict", function):
        resolve_conv(size, kernel, steps, padding, dilations, function, strict=True)
    pads = resolve_padding(padding, size, kernel, steps, dilations, function)
    groups = integer(groups, "groups", function, minimum=1)
    check_activation(activation, function)
    check_algorithm(algorithm, kernel, steps, dilations, function)
    relu = activation == "relu"
    result: NDArray[Any] = engine(x).conv2d_forward(
        x, weight, bias, steps, pads, dilations, groups, relu, algorithm, out
    )
    return result


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
    """Compute the gradients of :func:`conv2d`.

    Parameters
    ----------
    dy : ndarray
        Gradient of the output, (N, OC, OH, OW).
    x, weight : ndarray
        What the forward pass was given.
    stride, padding, dilation, groups, activation : optional
        As in the forward pass.
    y : ndarray, optional
        With an activation, and only then: the output of the forward pass. Where ReLU made it 0, the
        gradient is 0.
    overwrite_dy : bool, optional
        Whether `dy` may be overwritten: an activation then needs no array of that size.
    needs : iterable of {"dx", "dweight", "dbias"}, optional
        Which gradients to compute.
    algorithm : optional
        As for :func:`conv2d`. Winograd's dweight comes from tiles of 4x4 pixels of `dy`, or 2x2
        for 5x5 kernels; for 3x3 kernels "winograd_2x2" computes it as "gemm" does.

    Returns
    -------
    Conv2dGradients
        ``(dx, dweight, dbias)`` in the shapes of `x`, `weight` and the bias; ``None`` for what was
        not asked.

    Notes
    -----
    dx is a convolution of `dy` with the flipped filters, one for each of the phases of the stride;
    dweight is a matrix product over all pixels of the batch. The same bits for any number of
    threads.

    Examples
    --------
    >>> import numpy as np, convolt
    >>> x = np.ones((1, 1, 3, 3)); weight = np.ones((1, 1, 2, 2))
    >>> gradients = convolt.conv2d_backward(np.ones((1, 1, 2, 2)), x, weight, needs=["dx"])
    >>> gradients.dx[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    gradients = _core.conv2d_backward_at_once(
        *(dy, x, weight, y, overwrite_dy),
        *(stride, padding, dilation, groups, activation, needs, algorithm),
    )
    if gradients is not None:
        return Conv2dGradients(*gradients)
    function = "conv2d_backward"
    x = operand(x, "x", function)
    dy = operand(dy, "dy", function, like=x)
    weight = operand(weight, "weight", function, like=x)
    check_saved_output(y, activation, function)
    check_flag(overwrite_dy, "overwrite_dy", function)
    y = optional_operand(y, "y", function, like=x)
    check_image(x, "x", function)
    check_kernel(weight, "OC, C/groups", function)
    steps = pair(stride, "stride", function)
    dilations = pair(dilation, "dilation", function)
    size = (x.shape[2], x.shape[3])
    kernel = (weight.shape[2], weight.shape[3])
    pads = resolve_padding(padding, size, kernel, steps, dilations, function)
    groups = integer(groups, "groups", function, minimum=1)
    wanted = check_needs(needs, function)
    check_algorithm(algorithm, kernel, steps, dilations, function)
    flags = tuple(name in wanted for name in GRADIENTS)
    gradients = engine(x).conv2d_backward(
        dy, x, weight, y, overwrite_dy, steps, pads, dilations, groups, flags, algorithm
    )
    return Conv2dGradients(*gradients)


def _resolve_transpose(
    x: NDArray[Any],
    weight: NDArray[Any],
    stride: Pair,
    padding: Padding,
    output_padding: Pair,
    dilation: Pair,
    groups: int,
    algorithm: str | None,
    function: str,
) -> tuple[tuple[int, int], Pads, tuple[int, int], int, tuple[int, int], str | None]:
    """Return stride, padding, dilation, groups, output size, algorithm as the engine takes them."""
    check_image(x, "x", function)
    check_kernel(weight, "C, OC/groups", function)
    steps = pair(stride, "stride", function)
    dilations = pair(dilation, "dilation", function)
    extra = pair(output_padding, "output_padding", function, minimum=0)
    size = (x.shape[2], x.shape[3])
    kernel = (weight.shape[2], weight.shape[3])
    pads, output = resolve_transpose(size, kernel, steps, padding, dilations, extra, function)
    groups = integer(groups, "groups", function, minimum=1)
    check_algorithm(algorithm, kernel, steps, dilations, function)
    return steps, pads, dilations, groups, output, algorithm


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
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Apply the transpose of a convolution, also called a fractionally strided convolution.

    Every pixel of `x` adds its multiple of the filter to the output, `stride` apart.

    Parameters
    ----------
    x : ndarray
        Images (N, C, H, W), float32 or float64.
    weight : ndarray
        Filters (C, OC/groups, KH, KW), of the same dtype: the weight of the convolution from OC to
        C channels whose transpose this is.
    bias : ndarray, optional
        (OC,), of the same dtype.
    stride, padding, dilation, groups : optional
        Those of that convolution: padding makes the output smaller. With "same", "same_upper" and
        "same_lower" the output is H·stride x W·stride.
    output_padding : int or (int, int), optional
        Rows and columns more at the end, fewer than the stride or the dilation.
    algorithm : optional
        As for :func:`conv2d`.
    out : ndarray, optional
        Where to write the result.

    Returns
    -------
    ndarray
        (N, OC, OH, OW), where OH is
        (H - 1)·stride - top - bottom + dilation·(KH - 1) + 1 + output_padding, and OW likewise.

    References
    ----------
    V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285.

    Examples
    --------
    >>> import numpy as np, convolt
    >>> x = np.array([[[[1.0, 2.0]]]])
    >>> convolt.conv_transpose2d(x, np.ones((1, 1, 1, 3)), stride=2)
    array([[[[1., 1., 3., 2., 2.]]]])
    """
    function = "conv_transpose2d"
    check_output(out, function, x=x, weight=weight, bias=bias)
    x = operand(x, "x", function)
    weight = operand(weight, "weight", function, like=x)
    bias = optional_operand(bias, "bias", function, like=x)
    arguments = _resolve_transpose(
        x, weight, stride, padding, output_padding, dilation, groups, algorithm, function
    )
    y: NDArray[Any] = engine(x).conv_transpose2d_forward(x, weight, bias, *arguments, out)
    return y


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
    """Compute the gradients of :func:`conv_transpose2d`.

    Parameters
    ----------
    dy : ndarray
        Gradient of the output, (N, OC, OH, OW).
    x, weight : ndarray
        What the forward pass was given.
    stride, padding, output_padding, dilation, groups : optional
        As in the forward pass.
    needs : iterable of {"dx", "dweight", "dbias"}, optional
        Which gradients to compute.
    algorithm : optional
        As for :func:`conv2d_backward`.

    Returns
    -------
    Conv2dGradients
        ``(dx, dweight, dbias)``; ``None`` for what was not asked.

    Examples
    --------
    >>> import numpy as np, convolt
    >>> x = np.ones((1, 1, 1, 2)); weight = np.ones((1, 1, 1, 3))
    >>> dy = np.arange(5.0).reshape(1, 1, 1, 5)
    >>> convolt.conv_transpose2d_backward(dy, x, weight, stride=2).dx
    array([[[[3., 9.]]]])
    """
    function = "conv_transpose2d_backward"
    x = operand(x, "x", function)
    dy = operand(dy, "dy", function, like=x)
    weight = operand(weight, "weight", function, like=x)
    arguments = _resolve_transpose(
        x, weight, stride, padding, output_padding, dilation, groups, algorithm, function
    )
    wanted = check_needs(needs, function)
    flags = tuple(name in wanted for name in GRADIENTS)
    gradients = engine(x).conv_transpose2d_backward(dy, x, weight, *arguments, flags)
    return Conv2dGradients(*gradients)
