"""Definitions of the normalizations."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convolt._checks import as_float, check_flag, check_image, check_shape
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
    """Batch normalization, as :func:`convolt.batch_norm2d`.

    ::

        y = weight * (x - mean) / sqrt(var + eps) + bias
    """
    function = "batch_norm2d"
    x = as_float(x, "x", function)
    weight, bias, mean, var = (
        None if values is None else as_float(values, name, function, like=x)
        for values, name in ((weight, "weight"), (bias, "bias"), (mean, "mean"), (var, "var"))
    )
    check_batch_norm2d(x, weight, bias, mean, var, eps)
    if mean is None or var is None:
        mean, centered, var = _statistics(x)
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
    """Gradients of :func:`batch_norm2d`.

    With z = (x - mean) / sqrt(var + eps), and sums and averages over N, H and W::

        dbias   = sum(dy)
        dweight = sum(dy * z)
        dx      = weight / sqrt(var + eps) * (dy - average(dy) - z * average(dy * z))

    and without the two averages where mean and variance are constants.
    """
    function = "batch_norm2d_backward"
    x = as_float(x, "x", function)
    dy, mean, var = (
        as_float(array, name, function, like=x)
        for array, name in ((dy, "dy"), (mean, "mean"), (var, "var"))
    )
    weight = None if weight is None else as_float(weight, "weight", function, like=x)
    check_batch_norm2d_backward(dy, x, weight, mean, var, eps, training)
    scale = 1 / np.sqrt(var + eps)
    centered = x - _per_channel(mean)
    dbias = dy.sum(axis=(0, 2, 3))
    dweight = _sum_of_products(dy, centered) * scale
    slope = scale if weight is None else weight * scale
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
    """Local response normalization, as :func:`convolt.local_response_norm`.

    With i from c - size//2 to c + (size - 1)//2, where there is such a channel::

        y[n, c, h, w] = x[n, c, h, w] / (k + alpha / size * sum over i of x[n, i, h, w]**2)**beta
    """
    function = "local_response_norm"
    x = as_float(x, "x", function)
    size = check_local_response_norm(x, size, function)
    before, after = _neighbours(size)
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
    """Gradient of :func:`local_response_norm`.

    With b what is raised to beta there, and i over the channels in whose sums c occurs, from
    c - (size - 1)//2 to c + size//2::

        dx[c] = dy[c] * b[c]**-beta - 2*alpha*beta/size * x[c] * sum(dy[i] * x[i] * b[i]**(-beta-1))
    """
    function = "local_response_norm_backward"
    x = as_float(x, "x", function)
    dy = as_float(dy, "dy", function, like=x)
    size = check_local_response_norm(x, size, function)
    check_shape(dy, x.shape, "dy", function, "(N, C, H, W)")
    before, after = _neighbours(size)
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


Optional = NDArray[Any] | None


def check_batch_norm2d(
    x: NDArray[Any], weight: Optional, bias: Optional, mean: Optional, var: Optional, eps: float
) -> None:
    """Say what is wrong with the arguments of `batch_norm2d`, dtypes apart."""
    function = "batch_norm2d"
    check_image(x, "x", function)
    _check_positive(eps, "eps", function)
    for values, name in ((weight, "weight"), (bias, "bias"), (mean, "mean"), (var, "var")):
        _check_channel_values(values, name, x, function)
    if (mean is None) != (var is None):
        given = "var" if mean is None else "mean"
        raise ValueError(f"{function}: mean and var must come together, got {given} alone")
    if mean is None and len(x) == 1 and x.shape[2:] == (1, 1):
        raise ValueError(
            f"{function}: x must have more than one value in each channel unless mean and var are "
            f"given, got shape {x.shape}"
        )


def check_batch_norm2d_backward(
    dy: NDArray[Any],
    x: NDArray[Any],
    weight: Optional,
    mean: NDArray[Any],
    var: NDArray[Any],
    eps: float,
    training: bool,
) -> None:
    """Say what is wrong with the arguments of `batch_norm2d_backward`, dtypes apart."""
    function = "batch_norm2d_backward"
    check_flag(training, "training", function)
    check_image(x, "x", function)
    _check_positive(eps, "eps", function)
    check_shape(dy, x.shape, "dy", function, "(N, C, H, W)")
    for values, name in ((weight, "weight"), (mean, "mean"), (var, "var")):
        _check_channel_values(values, name, x, function)


def check_local_response_norm(x: NDArray[Any], size: int, function: str) -> int:
    """Return `size` as an int, or say what is wrong with it or the shape of `x`."""
    check_image(x, "x", function)
    return integer(size, "size", function, minimum=1)


def _per_channel(values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(-1, 1, 1)


def _count(x: NDArray[Any]) -> int:
    """Return how many values a channel has; 1 for an empty batch, to divide its sums by."""
    count: int = x.shape[0] * x.shape[2] * x.shape[3]
    return max(count, 1)


def _statistics(x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return mean, x - mean, and variance of each channel."""
    count = _count(x)
    mean: NDArray[Any] = x.sum(axis=(0, 2, 3)) / count
    centered = x - _per_channel(mean)
    return mean, centered, _sum_of_products(centered, centered) / count


def _sum_of_products(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return the sum of a * b for each channel."""
    result: NDArray[Any] = np.einsum("nchw,nchw->c", a, b)
    return result


def _check_channel_values(values: Optional, name: str, x: NDArray[Any], function: str) -> None:
    if values is not None:
        check_shape(values, (x.shape[1],), name, function, "(C,)")


def _check_positive(value: float, name: str, function: str) -> None:
    if not (isinstance(value, Real) and 0 < value < math.inf):
        raise ValueError(f"{function}: {name} must be a positive number, got {value!r}")


def _neighbours(size: int) -> tuple[int, int]:
    """Return how many channels before and after its own the sum of a value takes in."""
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
