"""Layers of every kind, and an input for all of them."""

from __future__ import annotations

import numpy as np
import pytest

from convolt import functional, reference
from convolt.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    LeakyReLU,
    Linear,
    LocalResponseNorm,
    LogSoftmax,
    MaxPool2d,
    MinPool2d,
    Parallel,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
)

BACKENDS = pytest.mark.parametrize("backend", [functional, reference], ids=["convolt", "reference"])
DOUBLE = {"dtype": np.float64, "rng": 3}


class SameDropout(Dropout):
    """A dropout that makes the same choice each time, as a gradient by differences needs it."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        first = self.random_state()
        y = super().forward(x)
        self.load_random_state(first)
        return y


def _with_statistics(layer: BatchNorm2d) -> BatchNorm2d:
    layer.running_mean[:] = [0.5, -1, 0, 2]
    layer.running_var[:] = [0.25, 1, 3, 0.1]
    layer.weight[:] = [1, -2, 0.5, 3]
    return layer.eval()


# With its operators taken from a backend; each for an input of (2, 4, 6, 5).
LAYERS = {
    "conv": lambda b: Conv2d(4, 3, 3, backend=b, **DOUBLE),
    "conv geometry": lambda b: Conv2d(
        4, 6, (3, 2), (2, 1), ((1, 0), (2, 1)), (1, 2), 2, backend=b, **DOUBLE
    ),
    "conv valid": lambda b: Conv2d(4, 2, (2, 3), padding="valid", backend=b, **DOUBLE),
    "conv full": lambda b: Conv2d(4, 2, 3, 2, "full", backend=b, **DOUBLE),
    "conv same upper": lambda b: Conv2d(4, 2, 2, 2, "same_upper", backend=b, **DOUBLE),
    "conv same lower": lambda b: Conv2d(4, 2, 2, 2, "same_lower", backend=b, **DOUBLE),
    "conv xavier": lambda b: Conv2d(4, 2, 1, weight_init="xavier", backend=b, **DOUBLE),
    "conv depthwise": lambda b: Conv2d(4, 4, 3, padding="same", groups=4, backend=b, **DOUBLE),
    "conv without bias": lambda b: Conv2d(4, 2, 2, bias=False, backend=b, **DOUBLE),
    "conv relu": lambda b: Conv2d(4, 5, 3, 2, 1, activation="relu", backend=b, **DOUBLE),
    "conv relu in place": lambda b: Sequential(
        Conv2d(4, 5, 3, activation="relu", inplace=True, backend=b, **DOUBLE), MaxPool2d(2, 1)
    ),
    "max pool": lambda b: MaxPool2d(2, backend=b),
    "max pool overlapping": lambda b: MaxPool2d(3, 2, 1, ceil_mode=True, backend=b),
    "max pool dilated": lambda b: MaxPool2d(2, 1, 0, (2, 3), backend=b),
    "max pool same upper": lambda b: MaxPool2d(3, 2, "same_upper", backend=b),
    "min pool": lambda b: MinPool2d(3, 1, 1, backend=b),
    "average pool": lambda b: AvgPool2d(2, backend=b),
    "average pool overhang": lambda b: AvgPool2d(3, 2, 1, True, False, backend=b),
    "average pool divisor": lambda b: AvgPool2d((2, 3), 1, divisor_override=5, backend=b),
    "global average": lambda b: GlobalAvgPool2d(backend=b),
    "conv transpose": lambda b: ConvTranspose2d(4, 3, 3, backend=b, **DOUBLE),
    "conv transpose geometry": lambda b: ConvTranspose2d(
        4, 6, (3, 2), (2, 3), (1, 0), (1, 2), 2, True, (2, 1), backend=b, **DOUBLE
    ),
    "conv transpose without bias": lambda b: ConvTranspose2d(
        4, 2, 2, padding="same", bias=False, backend=b, **DOUBLE
    ),
    "batch norm": lambda b: BatchNorm2d(4, dtype=np.float64, backend=b),
    "batch norm not affine": lambda b: BatchNorm2d(4, affine=False, dtype=np.float64, backend=b),
    "batch norm in use": lambda b: _with_statistics(BatchNorm2d(4, dtype=np.float64, backend=b)),
    "local response norm": lambda b: LocalResponseNorm(3, 0.5, 0.6, 2.0, backend=b),
    "local response norm of even size": lambda b: LocalResponseNorm(2, alpha=3.0, backend=b),
    "local response norm of all": lambda b: LocalResponseNorm(9, alpha=3.0, backend=b),
    "flatten": lambda b: Flatten(),
    "relu": lambda b: ReLU(),
    "leaky relu": lambda b: LeakyReLU(0.1),
    "leaky relu steep": lambda b: LeakyReLU(-1.5),
    "sigmoid": lambda b: Sigmoid(),
    "softmax": lambda b: Softmax(),
    "log softmax": lambda b: LogSoftmax(),
    "dropout": lambda b: SameDropout(0.4, rng=5),
    "dropout of all": lambda b: Dropout(1.0),
    "dropout of nothing": lambda b: Dropout(0.0),
    "dropout in use": lambda b: Dropout(0.5).eval(),
    "linear": lambda b: Sequential(Flatten(), Linear(120, 3, **DOUBLE)),
    "linear of any width": lambda b: Sequential(Flatten(), Linear(None, 3, **DOUBLE)),
    "linear without bias": lambda b: Sequential(Flatten(), Linear(120, 2, bias=False, **DOUBLE)),
    "sequential": lambda b: Sequential(
        Conv2d(4, 2, 3, backend=b, **DOUBLE), ReLU(), MaxPool2d(2, 1, backend=b), Flatten()
    ),
    "sequential in place": lambda b: Sequential(
        Conv2d(4, 2, 3, backend=b, **DOUBLE), ReLU(inplace=True), MaxPool2d(2, 1, backend=b)
    ),
    "parallel": lambda b: Parallel(
        Conv2d(4, 3, 3, padding=1, backend=b, **DOUBLE),
        Sequential(MaxPool2d(3, 1, 1, backend=b), Conv2d(4, 2, 1, backend=b, **DOUBLE)),
        Sequential(
            Conv2d(4, 2, 1, backend=b, **DOUBLE),
            ReLU(inplace=True),
            AvgPool2d(3, 1, 1, backend=b),
        ),
    ),
    "parallel of the input itself": lambda b: Parallel(Sequential(), Sequential()),
    "parallel of rows": lambda b: Sequential(
        Flatten(), Parallel(Linear(120, 2, **DOUBLE), Linear(None, 3, **DOUBLE))
    ),
    "nested": lambda b: Sequential(
        Parallel(
            Parallel(BatchNorm2d(4, dtype=np.float64, backend=b), Sigmoid()),
            Sequential(Conv2d(4, 1, 1, activation="relu", inplace=True, backend=b, **DOUBLE)),
        ),
        *(SameDropout(0.2, rng=1), Flatten(), Linear(270, 2, **DOUBLE), LogSoftmax()),
    ),
}
EVERY_LAYER = pytest.mark.parametrize("make_layer", LAYERS.values(), ids=LAYERS)


def image(dtype: type = np.float64) -> np.ndarray:
    """Return an image whose values are all far from each other and from zero.

    No step of a central difference then crosses a kink of ReLU or of a maximum.
    """
    values = np.random.default_rng(0).permutation(np.arange(-120, 120, dtype=dtype))
    return (values + 0.5).reshape(2, 4, 6, 5) / 64
