"""A call of every operator, with its arrays wherever a test puts them, and kinds of arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import convolt
from convolt import _functional_winners as winners
from convolt.cuda import Array, asarray
from foreign_arrays import CapsuleArray, InterfaceArray
from strategies import exact_integers

RNG = np.random.default_rng(11)
X, WEIGHT, BIAS, DY, TRANSPOSED = (
    exact_integers(RNG, shape, np.float32)
    for shape in [(2, 3, 6, 5), (4, 3, 3, 3), (4,), (2, 4, 4, 3), (3, 4, 3, 3)]
)
VALUES = exact_integers(RNG, (3,), np.float32)
POOLED = exact_integers(RNG, (2, 3, 3, 2), np.float32)
Y = np.maximum(DY, 0)
FOLDED = np.ones((2, 4, 4), np.float32)

KINDS: dict[str, Callable[[Array], Any]] = {
    "own": lambda array: array,
    "interface": InterfaceArray,
    "capsule": CapsuleArray,
}

# Each takes a function that puts its arrays somewhere, and returns one result or several.
OPERATORS: dict[str, Callable[[Callable[[Any], Any]], Any]] = {
    "conv2d": lambda put: convolt.conv2d(put(X), put(WEIGHT), put(BIAS), activation="relu"),
    "conv2d_backward": lambda put: convolt.conv2d_backward(put(DY), put(X), put(WEIGHT)),
    "conv2d_backward of relu": lambda put: convolt.conv2d_backward(
        put(DY), put(X), put(WEIGHT), activation="relu", y=put(Y), needs=["dx", "dbias"]
    ),
    "conv_transpose2d": lambda put: convolt.conv_transpose2d(put(X), put(TRANSPOSED), put(BIAS)),
    "conv_transpose2d_backward": lambda put: convolt.conv_transpose2d_backward(
        put(np.ones((2, 4, 8, 7), np.float32)), put(X), put(TRANSPOSED)
    ),
    "prepared": lambda put: convolt.PreparedConv2d(put(WEIGHT), put(BIAS))(put(X)),
    "im2col": lambda put: convolt.im2col(put(X), 2),
    "unfold": lambda put: convolt.unfold(put(X), 2),
    "col2im": lambda put: convolt.col2im(put(np.ones((4, 4), np.float32)), (1, 1, 3, 3), 2),
    "fold": lambda put: convolt.fold(put(np.ones((1, 2, 4), np.float32)), (2, 3), (1, 2)),
    "max_pool2d": lambda put: convolt.max_pool2d(put(X), 2),
    "max_pool2d with indices": lambda put: convolt.max_pool2d(put(X), 2, return_indices=True),
    "min_pool2d": lambda put: convolt.min_pool2d(put(X), 2, 1, return_indices=True),
    "max_pool2d_backward": lambda put: convolt.max_pool2d_backward(
        put(POOLED), put(np.full((2, 3, 3, 2), 7)), X.shape, 2
    ),
    "winners": lambda put: winners.max_pool2d_winners_backward(
        put(POOLED), winners.max_pool2d_winners(put(X), 2)[1], X.shape, 2
    ),
    "avg_pool2d": lambda put: convolt.avg_pool2d(put(X), 2),
    "avg_pool2d_backward": lambda put: convolt.avg_pool2d_backward(put(POOLED), X.shape, 2),
    "global_avg_pool2d": lambda put: convolt.global_avg_pool2d(put(X[:, :, :4, :4].copy())),
    "global_avg_pool2d_backward": lambda put: convolt.global_avg_pool2d_backward(
        put(np.ones((2, 3, 1, 1), np.float32)), (2, 3, 4, 4)
    ),
    "global_max_pool2d": lambda put: convolt.global_max_pool2d(put(X), return_indices=True),
    "global_max_pool2d_backward": lambda put: convolt.global_max_pool2d_backward(
        put(np.ones((2, 3, 1, 1), np.float32)), put(np.full((2, 3, 1, 1), 5)), X.shape
    ),
    "batch_norm2d": lambda put: convolt.batch_norm2d(put(X), put(VALUES), put(VALUES)),
    "batch_norm2d_backward": lambda put: convolt.batch_norm2d_backward(
        put(X), put(X), None, put(VALUES), put(VALUES**2), training=False
    ),
    "local_response_norm": lambda put: convolt.local_response_norm(put(X), 3, 1.0),
    "local_response_norm_backward": lambda put: convolt.local_response_norm_backward(
        put(X), put(X), 3, 1.0
    ),
}


def put_as(kind: str) -> Callable[[Any], Any]:
    """Put arrays of NumPy on the device, as arrays of a kind."""
    return lambda x: KINDS[kind](asarray(x))


def arrays_of(result: Any) -> list[Any]:
    """The arrays of a result that may be one, or several, or None in places."""
    return [
        part for part in (result if isinstance(result, tuple) else (result,)) if part is not None
    ]
