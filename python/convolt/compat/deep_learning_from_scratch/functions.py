"""Drop-in for ``common/functions.py`` of the book, which ``common/layers.py`` passes on.

Each function takes an array of any shape unless it says otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from convolt.compat.deep_learning_from_scratch._dtypes import Array

__all__ = [
    "cross_entropy_error",
    "identity_function",
    "mean_squared_error",
    "relu",
    "relu_grad",
    "sigmoid",
    "sigmoid_grad",
    "softmax",
    "softmax_loss",
    "step_function",
    "sum_squared_error",
]


def identity_function(x: Any) -> Any:
    """Return `x` itself."""
    return x


def step_function(x: Array) -> Array:
    """Return 1 where `x` is positive, else 0, as integers."""
    return (np.asarray(x) > 0).astype(int)


def sigmoid(x: Any) -> Any:
    """Return ``1 / (1 + exp(-x))``, without a warning where the exponential overflows."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def sigmoid_grad(x: Any) -> Any:
    """Return the derivative of :func:`sigmoid` at `x`."""
    y = sigmoid(x)
    return (1 - y) * y


def relu(x: Any) -> Any:
    """Return the positive part of `x`."""
    return np.maximum(0, x)


def relu_grad(x: Array) -> Array:
    """Return 1 where `x` is 0 or more, else 0, in the dtype of `x`."""
    x = np.asarray(x)
    return (x >= 0).astype(x.dtype)


def softmax(x: Array) -> Array:
    """Return the softmax along the last axis.

    Examples
    --------
    >>> softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    x = np.asarray(x)
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    y: Array = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return y


def sum_squared_error(y: Array, t: Array) -> Any:
    """Return half of the sum of the squared differences."""
    return 0.5 * np.sum((y - t) ** 2)


mean_squared_error = sum_squared_error  # its name in the Korean edition, and in the book's text


def cross_entropy_error(y: Array, t: Array) -> Any:
    """Return the mean cross entropy of probabilities and labels.

    Parameters
    ----------
    y : ndarray
        Probabilities (N, classes), or (classes,) for a single sample.
    t : ndarray
        Labels (N,), or one-hot in the shape of `y`.

    Notes
    -----
    ``-mean(log(y[label] + 1e-7))``: the book's small number keeps a probability of 0 finite.

    Examples
    --------
    >>> round(float(cross_entropy_error(np.array([0.1, 0.6, 0.3]), np.array(1))), 4)
    0.5108
    """
    y, t = np.asarray(y), np.asarray(t)
    rows = y if y.ndim == 2 else y.reshape(1, -1)
    labels = t.reshape(rows.shape).argmax(axis=1) if t.size == y.size else t
    return -np.log(rows[np.arange(len(rows)), labels] + 1e-7).sum() / len(rows)


def softmax_loss(X: Array, t: Array) -> Any:
    """Return the mean cross entropy of the softmax of scores `X` and labels `t`."""
    return cross_entropy_error(softmax(X), t)
