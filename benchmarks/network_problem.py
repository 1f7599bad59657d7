"""Small networks as facts, and what a pass through them on given data must result in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

IMAGE = (1, 28, 28)
CLASSES = 10

# Convolution: filters, kernel size, padding. Pooling: size, which is the stride too. Linear:
# outputs. The weights of a linear layer are (inputs, outputs).
NETWORKS = {
    # Chapter 7 of K. Saitoh, "Deep Learning from Scratch" (O'Reilly Japan, 2016).
    "simple-convnet": (
        ("conv", 30, 5, 0),
        ("relu",),
        ("pool", 2),
        ("flatten",),
        ("linear", 100),
        ("relu",),
        ("linear", CLASSES),
    ),
    # LeCun et al., "Gradient-based learning applied to document recognition" (1998), with ReLU and
    # max pooling, as it is taught today.
    "lenet5": (
        ("conv", 6, 5, 2),
        ("relu",),
        ("pool", 2),
        ("conv", 16, 5, 0),
        ("relu",),
        ("pool", 2),
        ("flatten",),
        ("linear", 120),
        ("relu",),
        ("linear", 84),
        ("relu",),
        ("linear", CLASSES),
    ),
}
TASKS = ("inference", "training")

# So small that the parameters hardly move: the thousandth step computes what the first one does,
# and no gradient fades away into denormal numbers.
LEARNING_RATE = 1e-6


@dataclass(frozen=True)
class NetworkProblem:
    """The scores of a network, or the loss and the gradients of a training step with Adam."""

    net: str
    task: str
    batch: int
    dtype: str = "float32"

    @property
    def name(self) -> str:
        """The network and what it does."""
        return f"{self.net} {self.task}"

    def images(self) -> np.ndarray:
        """Return x (N, 1, 28, 28)."""
        rng = np.random.default_rng(0)
        return rng.standard_normal((self.batch, *IMAGE), dtype=np.float32).astype(self.dtype)

    def labels(self) -> np.ndarray:
        """Return the class of each image (N,)."""
        return np.random.default_rng(1).integers(CLASSES, size=self.batch)

    def layers(self) -> Iterator[tuple[str, tuple, tuple[np.ndarray, ...]]]:
        """Return kind, sizes, and (weight, bias) or nothing, of each layer."""
        rng = np.random.default_rng(2)
        shape = IMAGE
        for kind, *sizes in NETWORKS[self.net]:
            weight_shape: tuple[int, ...] = ()
            if kind == "conv":
                filters, kernel, padding = sizes
                weight_shape = (filters, shape[0], kernel, kernel)
                shape = (filters, *(size + 2 * padding - kernel + 1 for size in shape[1:]))
            elif kind == "pool":
                shape = (shape[0], *(size // sizes[0] for size in shape[1:]))
            elif kind == "flatten":
                shape = (math.prod(shape),)
            elif kind == "linear":
                weight_shape = (*shape, *sizes)
                shape = tuple(sizes)
            yield kind, tuple(sizes), _parameters(rng, weight_shape, shape[0])


def _parameters(rng, weight_shape: tuple[int, ...], outputs: int) -> tuple[np.ndarray, ...]:
    if not weight_shape:
        return ()
    deviation = math.sqrt(2 * outputs / math.prod(weight_shape))  # He et al. 2015
    return deviation * rng.standard_normal(weight_shape), 0.1 * rng.standard_normal(outputs)


@dataclass(frozen=True)
class NetworkExpectation:
    """The right scores, or loss and gradients, one after the other in a vector."""

    samples: tuple[slice, ...]  # where in the vector each array lies
    values: tuple[np.ndarray, ...]
    tolerances: tuple[float, ...]  # relative to the norm of the array

    def check(self, results: list[np.ndarray], who: str) -> None:
        """Raise ``ArithmeticError`` where an array differs by more than its tolerance."""
        for result, value, tolerance in zip(results, self.values, self.tolerances, strict=True):
            if result.shape != value.shape:
                raise ArithmeticError(f"{who}: shape {result.shape}, expected {value.shape}")
            error = np.linalg.norm(result - value) / np.linalg.norm(value)
            if not error <= tolerance:  # so written that NaN fails
                raise ArithmeticError(
                    f"{who}: wrong result, off by {error:.3g}, allowed {tolerance:.3g}"
                )


def expectation(problem: NetworkProblem) -> NetworkExpectation:
    """Compute the result in float64 with the operators of ``convolt.reference``."""
    from convolt import reference
    from network_contestants.ours import ConvoltNetwork

    compute = ConvoltNetwork(1).prepare(replace(problem, dtype="float64"), backend=reference)
    values = tuple(np.ravel(array) for array in compute())
    ends = np.cumsum([len(value) for value in values])
    samples = tuple(slice(end - len(value), end) for end, value in zip(ends, values, strict=True))
    # Scores and loss tell float32 from bfloat16. A gradient may be further off: a near tie in a max
    # pooling that rounds the other way sends a whole entry elsewhere.
    return NetworkExpectation(samples, values, (1e-4,) + (1e-2,) * (len(values) - 1))
