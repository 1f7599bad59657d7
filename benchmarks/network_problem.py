"""The networks of the library, and what a pass through them on given data must result in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from network_facts import LayerFacts, describe

# The class in ``convolt.models``, and what it is told. Nothing random: dropout is off.
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "simple-convnet": ("SimpleConvNet", {}),
    "mnist-cnn": ("MnistCNN", {}),
    "lenet5": ("LeNet5", {}),
    "lenet5-1998": ("LeNet5", {"variant": "1998"}),
    "mnist-inception": ("MnistInception", {}),
    "fashion-net": ("FashionNet", {}),
    "alexnet": ("AlexNet", {"dropout": 0.0}),
}
TASKS = ("inference", "training")
TRAINING_BATCHES = {"alexnet": 8}  # of all others 100

# So small that the parameters hardly move: the thousandth step computes what the first one does,
# and no gradient fades away into denormal numbers.
LEARNING_RATE = 1e-6


def build(net: str, **options: Any) -> Any:
    """Return a network of ``convolt.models``."""
    from convolt import models

    name, own = NETWORKS[net]
    return getattr(models, name)(**own, **options)


@cache
def _facts(net: str) -> tuple[tuple[int, ...], LayerFacts]:
    network = build(net, seed=0)
    return network.input_shape, describe(network)


@dataclass(frozen=True)
class NetworkProblem:
    """The scores of a network, or the loss and the gradients of a training step with Adam."""

    net: str
    task: str
    batch: int
    dtype: str = "float32"
    input_shape: tuple[int, ...] = field(init=False, repr=False)
    facts: LayerFacts = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Look the network up, while convolt is here."""
        input_shape, facts = _facts(self.net)
        object.__setattr__(self, "input_shape", input_shape)
        object.__setattr__(self, "facts", facts)

    @property
    def name(self) -> str:
        """The network and what it does."""
        return f"{self.net} {self.task}"

    def images(self) -> np.ndarray:
        """Return x (N, C, H, W)."""
        rng = np.random.default_rng(0)
        shape = (self.batch, *self.input_shape)
        return rng.standard_normal(shape, dtype=np.float32).astype(self.dtype)

    def labels(self) -> np.ndarray:
        """Return the class of each image (N,)."""
        classes = [facts for facts in self.facts.leaves() if facts.parameters][-1]
        return np.random.default_rng(1).integers(*classes.parameters["bias"], size=self.batch)

    def parameters(self) -> Iterator[np.ndarray]:
        """Yield the parameters of all layers, layer by layer; linear weights (inputs, outputs)."""
        rng = np.random.default_rng(2)
        for layer in self.facts.leaves():
            for name, shape in layer.parameters.items():
                yield _parameter(rng, name, shape)


def _parameter(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if len(shape) == 1:
        return (name == "weight") + 0.1 * rng.standard_normal(shape)
    outputs = shape[0] if len(shape) == 4 else shape[1]
    deviation = math.sqrt(2 * outputs / math.prod(shape))  # He et al. 2015
    return deviation * rng.standard_normal(shape)


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
    from network_contestants.ours import ReferenceNetwork

    compute = ReferenceNetwork(1).prepare(replace(problem, dtype="float64"))
    values = tuple(np.ravel(array) for array in compute())
    ends = np.cumsum([len(value) for value in values])
    samples = tuple(slice(end - len(value), end) for end, value in zip(ends, values, strict=True))
    # Scores and loss tell float32 from bfloat16. A gradient may be further off: a near tie in a max
    # pooling that rounds the other way sends a whole entry elsewhere.
    return NetworkExpectation(samples, values, (1e-4,) + (1e-2,) * (len(values) - 1))
