"""Train every network with convolt and with PyTorch, and compare the losses of each step.

Both begin with the same parameters and see the same batches, noisy pictures of the bundled digits.
PyTorch's modules are made from convolt's layers one by one, see ``network_contestants``; dropout is
off, since its random numbers differ. The interpreter has to have convolt and PyTorch both. See
benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np

from contest import positive
from network_problem import NETWORKS, build

# How far the losses may be apart. Training amplifies rounding: where an entry is nearly zero, or
# nearly the largest of its window, it decides by its rounding alone whether a gradient passes, and
# normalised layers and Adam make much of small gradients. So steps are small, and the table has
# how far PyTorch's own losses in float32 are from those that it computes in float64.
TOLERANCES = {"float32": 1e-4, "float64": 1e-9}
OPTIMIZERS = {"sgd": 0.01, "adam": 0.0005}
MOMENTUM = 0.9
# Factors of the learning rate.
SLOWER = {"alexnet": 0.0002, "fashion-net": 0.02, "mnist-inception": 0.004}
BATCHES = {"alexnet": 2}
BATCH = 64
NOISE = 0.1

Batches = list[tuple[np.ndarray, np.ndarray]]


class Comparison(NamedTuple):
    """The losses of all steps, on both sides."""

    net: str
    optimizer: str
    dtype: str
    convolt: list[float]
    torch: list[float]
    torch_float64: list[float]

    @property
    def rounding(self) -> float:
        """The largest difference of a step between PyTorch and itself in float64."""
        return _largest_difference(self.torch, self.torch_float64)

    @property
    def difference(self) -> float:
        """The largest difference of a step; NaN if a loss is."""
        return _largest_difference(self.convolt, self.torch)

    @property
    def agrees(self) -> bool:
        """Whether the losses are as near as they have to be."""
        return self.difference <= TOLERANCES[self.dtype]

    def row(self) -> str:
        """Return a line of the table in Markdown."""
        cells = (
            *(self.net, self.optimizer, self.dtype),
            *(f"{loss:.4f}" for loss in (self.convolt[0], self.convolt[-1])),
            f"{self.difference:.1e}" + ("" if self.agrees else " **too far**"),
            f"{self.rounding:.1e}" if self.dtype == "float32" else "",
        )
        return f"| {' | '.join(cells)} |"


HEADER = (
    "| network | optimizer | dtype | first loss | last loss | largest difference "
    "| PyTorch's rounding |\n"
    "| --- | --- | --- | ---: | ---: | ---: | ---: |"
)


def _largest_difference(losses: list[float], others: list[float]) -> float:
    return float(np.max(np.abs(np.subtract(losses, others))))


def batches(input_shape: tuple[int, ...], dtype: str, steps: int, size: int) -> Batches:
    """Return pictures of digits, enlarged by whole pixels, with noise so that no two are equal."""
    from convolt.data import load_digits

    digits, rng = load_digits(), np.random.default_rng(0)
    channels, *sides = input_shape
    scales = [side // pixels for side, pixels in zip(sides, (8, 8), strict=True)]
    margins = [side - 8 * scale for side, scale in zip(sides, scales, strict=True)]
    edges = [(0, 0), (0, 0), *((margin // 2, margin - margin // 2) for margin in margins)]

    def batch() -> tuple[np.ndarray, np.ndarray]:
        chosen = rng.integers(len(digits.train_images), size=size)
        large = np.kron(digits.train_images[chosen], np.ones((1, 1, *scales)))
        images = np.pad(large, edges).repeat(channels, axis=1)
        noisy = images + NOISE * rng.standard_normal(images.shape)
        return noisy.astype(dtype), digits.train_labels[chosen]

    return [batch() for _ in range(steps)]


def convolt_losses(model, optimizer: str, lr: float, data: Batches) -> list[float]:
    """Train with convolt; return the loss of each step before its update."""
    from convolt.layers import SoftmaxCrossEntropy
    from convolt.optim import SGD, Adam

    loss, parameters = SoftmaxCrossEntropy(), model.parameters()
    updates = SGD(lr, MOMENTUM) if optimizer == "sgd" else Adam(lr)

    def steps() -> Iterator[float]:
        for x, labels in data:
            yield loss(model(x), labels)
            model.backward(loss.backward())
            updates.update(parameters, model.gradients())

    return list(steps())


def torch_losses(model, optimizer: str, lr: float, data: Batches) -> list[float]:
    """Train PyTorch's translation of a model of convolt, which stays as it is."""
    import torch

    from network_contestants.torch_modules import loss_of, module_of
    from network_facts import describe

    facts = describe(model)
    module = module_of(facts, iter(model.parameters().values()))
    loss_function, parameters = loss_of(facts), list(module.parameters())
    if optimizer == "sgd":
        updates = torch.optim.SGD(parameters, lr, MOMENTUM)
    else:
        updates = torch.optim.Adam(parameters, lr)

    def steps() -> Iterator[float]:
        for x, labels in data:
            updates.zero_grad()
            loss = loss_function(module(torch.from_numpy(x)), torch.from_numpy(labels))
            loss.backward()
            updates.step()
            yield loss.item()

    return list(steps())


def compare(net: str, optimizer: str, dtype: str, steps: int = 50) -> Comparison:
    """Train one network on both sides."""
    model = build(net, seed=0, dtype=dtype)
    data = batches(model.input_shape, dtype, steps, BATCHES.get(net, BATCH))
    lr = OPTIMIZERS[optimizer] * SLOWER.get(net, 1)
    theirs = exact = torch_losses(model, optimizer, lr, data)
    if dtype == "float32":
        wide = build(net, seed=0, dtype="float64")
        for array, given in zip(
            wide.parameters().values(), model.parameters().values(), strict=True
        ):
            array[...] = given
        wide_data = [(x.astype(np.float64), labels) for x, labels in data]
        exact = torch_losses(wide, optimizer, lr, wide_data)
    ours = convolt_losses(model, optimizer, lr, data)
    return Comparison(net, optimizer, dtype, ours, theirs, exact)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; return 1 if losses are too far apart."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, choices in (("net", NETWORKS), ("optimizer", OPTIMIZERS), ("dtype", TOLERANCES)):
        parser.add_argument(f"--{name}", choices=choices, nargs="+", default=list(choices))
    parser.add_argument("--steps", type=positive, default=50)
    options = parser.parse_args(arguments)
    print(HEADER)
    agrees = True
    for net, dtype, optimizer in product(options.net, options.dtype, options.optimizer):
        comparison = compare(net, optimizer, dtype, options.steps)
        print(comparison.row(), flush=True)
        agrees &= comparison.agrees
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
