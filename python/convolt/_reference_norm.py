"""Definitions of the normalizations."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convolt._checks import as_float, check_image, check_shape
from convolt._padding import integer

_quiet = np.errstate(over="ignore", invalid="ignore", divide="ignore")


class BatchNorm2dOutput(NamedTuple):
    """Result of a batch normalization.

    Attributes
    ----------
    y : ndarray
        The output, (N, C, H, W).
    mean, var : ndarray
        What the channels were normalized by, (C,). The variance is that of the batch itself, a sum
        of squares divided by N*H*W.
    """

    y: NDArray[Any]
    mean: NDArray[Any]
    var: NDArray[Any]


class BatchNorm2dGradients(NamedTuple):
    """Gradients of a batch normalization.

    Attributes
    ----------
    dx : ndarray
        Gradient of the input, (N, C, H, W).
    dweight, dbias : ndarray
        Gradients of the weight and of the bias, (C,).
    """

    dx: NDArray[Any]
    dweight: NDArray[Any]
    dbias: NDArray[Any]


@_quiet
def batch_norm2d(
    x: NDArray[Any],
    weight: NDArray[Any] | None = None,
    bias: NDArray[Any] | None = None,
    mean: NDArray[Any] | None = None,
    var: NDArray[Any] | None = None,
    *,
    eps: float = 1e-5,
) -> BatchNorm2dOutput:
    """Batch normalization: every channel to mean 0 and variance 1, then scaled and shifted.

    ::

        y = weight * (x - mean) / sqrt(var + eps) + bias

    Parameters
    ----------
    x : ndarray, (N, C, H, W)
    weight, bias : ndarray, (C,), or None
        1 and 0 by default.
    mean, var : ndarray, (C,), or None
        Both or neither; by default those of `x` over N, H and W, the variance as
        sum((x - mean)**2) / (N*H*W).
    eps : float
        Positive.

    Returns
    -------
    BatchNorm2dOutput
        ``(y, mean, var)``. Of an empty batch they are empty, 0 and 0.

    Raises
    ------
    ValueError
        Also if there is a single value in each channel, and no `mean` and `var`.

    References
    ----------
    S. Ioffe, C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing
    Internal Covariate Shift", ICML 2015, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> y, mean, var = batch_norm2d(np.array([1.0, 3.0, 5.0, 7.0]).reshape(1, 1, 2, 2), eps=1e-9)
    >>> mean, var
    (array([4.]), array([5.]))
    >>> y.ravel().round(4)
    array([-1.3416, -0.4472,  0.4472,  1.3416])
    """
    function = "batch_norm2d"
    x = as_float(x, "x", function)
    check_image(x, "x", function)
    _check_positive(eps, "eps", function)
    weight, bias, mean, var = (
        None if value is None else _channel_values(value, name, x, function)
        for name, value in (("weight", weight), ("bias", bias), ("mean", mean), ("var", var))
    )
    if (mean is None) != (var is None):
        given = "var" if mean is None else "mean"
        raise ValueError(f"{function}: mean and var must come together, got {given} alone")
    if mean is None or var is None:
        mean, centered, var = _statistics(x, function)
    else:
        centered = x - _per_channel(mean)
    scale = 1 / np.sqrt(var + eps)
    centered *= _per_channel(scale if weight is None else weight * scale)
    if bias is not None:
        centered += _per_channel(bias)
    return BatchNorm2dOutput(centered, mean, var)


@_quiet
def batch_norm2d_backward(
    dy: NDArray[Any],
    x: NDArray[Any],
    weight: NDArray[Any] | None,
    mean: NDArray[Any],
    var: NDArray[Any],
    *,
    eps: float = 1e-5,
    training: bool = True,
) -> BatchNorm2dGradients:
    """Gradients of :func:`batch_norm2d` for the gradient dy of its output.

    With z = (x - mean) / sqrt(var + eps), and sums and averages over N, H and W::

        dbias   = sum(dy)
        dweight = sum(dy * z)
        dx      = weight / sqrt(var + eps) * (dy - average(dy) - z * average(dy * z))

    and without the two averages where mean and variance are constants.

    Parameters
    ----------
    dy : ndarray, (N, C, H, W)
    x, weight
        What the forward pass was given.
    mean, var : ndarray, (C,)
        What the forward pass returned.
    eps : float
        As in the forward pass.
    training : bool
        Whether they were the statistics of `x`, or constants.

    Returns
    -------
    BatchNorm2dGradients
        ``(dx, dweight, dbias)``.
    """
    function = "batch_norm2d_backward"
    x = as_float(x, "x", function)
    check_image(x, "x", function)
    _check_positive(eps, "eps", function)
    dy = as_float(dy, "dy", function, like=x)
    check_shape(dy, x.shape, "dy", function, "(N, C, H, W)")
    mean = _channel_values(mean, "mean", x, function)
    scale = 1 / np.sqrt(_channel_values(var, "var", x, function) + eps)
    centered = x - _per_channel(mean)
    dbias = dy.sum(axis=(0, 2, 3))
    dweight = _sum_of_products(dy, centered) * scale
    slope = scale if weight is None else _channel_values(weight, "weight", x, function) * scale
    if not training:
        return BatchNorm2dGradients(dy * _per_channel(slope), dweight, dbias)
    count = _count(x)
    dx = dy - _per_channel(dbias / count)
    centered *= _per_channel(scale * dweight / count)
    dx -= centered
    dx *= _per_channel(slope)
    return BatchNorm2dGradients(dx, dweight, dbias)


@_quiet
def local_response_norm(
    x: NDArray[Any], size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> NDArray[Any]:
    """Local response normalization: divide each value by what its neighbours in channel amount to.

    With i from c - size//2 to c + (size - 1)//2, where there is such a channel::

        y[n, c, h, w] = x[n, c, h, w] / (k + alpha / size * sum over i of x[n, i, h, w]**2)**beta

    Parameters
    ----------
    x : ndarray, (N, C, H, W)
    size : int
        Number of channels in the sum.
    alpha, beta, k : float
        As in PyTorch; the `alpha` of the paper is alpha / size here, its n and k are `size` and
        `k`.

    Returns
    -------
    ndarray, (N, C, H, W)

    References
    ----------
    A. Krizhevsky, I. Sutskever, G. E. Hinton, "ImageNet Classification with Deep Convolutional
    Neural Networks", NIPS 2012, section 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([1.0, 2.0, 2.0]).reshape(1, 3, 1, 1)
    >>> local_response_norm(x, 3, alpha=3.0, beta=1.0, k=1.0).ravel()
    array([0.16666667, 0.2       , 0.22222222])
    """
    function = "local_response_norm"
    x = as_float(x, "x", function)
    check_image(x, "x", function)
    before, after = _neighbours(size, function)
    y = _inverse_power(_norm_base(x, before, after, alpha / size, k), beta)
    y *= x
    return y


@_quiet
def local_response_norm_backward(
    dy: NDArray[Any],
    x: NDArray[Any],
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
) -> NDArray[Any]:
    """Gradient of :func:`local_response_norm` for the gradient dy of its output.

    With b what is raised to beta there, and i over the channels in whose sums c occurs, from
    c - (size - 1)//2 to c + size//2::

        dx[c] = dy[c] * b[c]**-beta - 2*alpha*beta/size * x[c] * sum(dy[i] * x[i] * b[i]**(-beta-1))

    Parameters
    ----------
    dy : ndarray, (N, C, H, W)
    x, size, alpha, beta, k
        As in the forward pass.

    Returns
    -------
    ndarray, (N, C, H, W)
    """
    function = "local_response_norm_backward"
    x = as_float(x, "x", function)
    check_image(x, "x", function)
    dy = as_float(dy, "dy", function, like=x)
    check_shape(dy, x.shape, "dy", function, "(N, C, H, W)")
    before, after = _neighbours(size, function)
    base = _norm_base(x, before, after, alpha / size, k)
    dx = _inverse_power(base, beta)
    dx *= dy
    shares = np.divide(dx, base, out=base)
    shares *= x
    sums = _channel_sums(shares, after, before)
    sums *= x
    sums *= 2 * alpha * beta / size
    dx -= sums
    return dx


def _per_channel(values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(-1, 1, 1)


def _count(x: NDArray[Any]) -> int:
    """Return how many values a channel has; 1 for an empty batch, to divide its sums by."""
    count: int = x.shape[0] * x.shape[2] * x.shape[3]
    return max(count, 1)


def _statistics(x: NDArray[Any], function: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return mean, x - mean, and variance of each channel."""
    count = _count(x)
    if count == 1 and len(x):
        raise ValueError(
            f"{function}: x must have more than one value in each channel unless mean and var are "
            f"given, got shape {x.shape}"
        )
    mean: NDArray[Any] = x.sum(axis=(0, 2, 3)) / count
    centered = x - _per_channel(mean)
    return mean, centered, _sum_of_products(centered, centered) / count


def _sum_of_products(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return the sum of a * b for each channel."""
    result: NDArray[Any] = np.einsum("nchw,nchw->c", a, b)
    return result


def _channel_values(value: Any, name: str, x: NDArray[Any], function: str) -> NDArray[Any]:
    array: NDArray[Any] = as_float(value, name, function, like=x)
    check_shape(array, (x.shape[1],), name, function, "(C,)")
    return array


def _check_positive(value: float, name: str, function: str) -> None:
    if not (isinstance(value, Real) and 0 < value < math.inf):
        raise ValueError(f"{function}: {name} must be a positive number, got {value!r}")


def _neighbours(size: int, function: str) -> tuple[int, int]:
    """Return how many channels before and after its own the sum of a value takes in."""
    size = integer(size, "size", function, minimum=1)
    return size // 2, (size - 1) // 2


def _channel_sums(values: NDArray[Any], before: int, after: int) -> NDArray[Any]:
    """Return the sums over each channel and so many before and after it."""
    sums: NDArray[Any] = values.copy()
    last = values.shape[1] - 1
    for distance in range(1, min(before, last) + 1):
        sums[:, distance:] += values[:, :-distance]
    for distance in range(1, min(after, last) + 1):
        sums[:, :-distance] += values[:, distance:]
    return sums


def _norm_base(x: NDArray[Any], before: int, after: int, factor: float, k: float) -> NDArray[Any]:
    sums = _channel_sums(np.square(x), before, after)
    sums *= factor
    sums += k
    return sums


def _inverse_power(base: NDArray[Any], beta: float) -> NDArray[Any]:
    """Return base**-beta."""
    if beta != 0.75:
        power: NDArray[Any] = np.power(base, -beta)
        return power
    # The exponent of the paper: two roots take 1 ns, np.power without AVX-512 takes 24.
    root = np.sqrt(base)
    result: NDArray[Any] = np.sqrt(root)
    result *= root
    np.reciprocal(result, out=result)
    return result
