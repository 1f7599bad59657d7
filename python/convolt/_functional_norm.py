"""Normalizations: of batches by the engine, across channels by NumPy."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from convolt import _reference_norm
from convolt._arrays import operand, optional_operand
from convolt._checks import check_shape
from convolt._engine import engine
from convolt._reference_norm import (
    BatchNorm2dGradients,
    BatchNorm2dOutput,
    check_batch_norm2d,
    check_batch_norm2d_backward,
    check_local_response_norm,
)


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
    x = operand(x, "x", function)
    weight, bias, mean, var = (
        optional_operand(values, name, function, like=x)
        for values, name in ((weight, "weight"), (bias, "bias"), (mean, "mean"), (var, "var"))
    )
    check_batch_norm2d(x, weight, bias, mean, var, eps)
    return BatchNorm2dOutput(*engine(x).batch_norm2d(x, weight, bias, mean, var, eps))


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
    x = operand(x, "x", function)
    dy, mean, var = (
        operand(array, name, function, like=x)
        for array, name in ((dy, "dy"), (mean, "mean"), (var, "var"))
    )
    weight = optional_operand(weight, "weight", function, like=x)
    check_batch_norm2d_backward(dy, x, weight, mean, var, eps, training)
    gradients = engine(x).batch_norm2d_backward(dy, x, weight, mean, var, eps, training)
    return BatchNorm2dGradients(*gradients)


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
    x = operand(x, "x", function)
    size = check_local_response_norm(x, size, function)
    y: NDArray[Any] = engine(x, _reference_norm).local_response_norm(x, size, alpha, beta, k)
    return y


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
    x = operand(x, "x", function)
    dy = operand(dy, "dy", function, like=x)
    size = check_local_response_norm(x, size, function)
    check_shape(dy, x.shape, "dy", function, "(N, C, H, W)")
    dx: NDArray[Any] = engine(x, _reference_norm).local_response_norm_backward(
        dy, x, size, alpha, beta, k
    )
    return dx
