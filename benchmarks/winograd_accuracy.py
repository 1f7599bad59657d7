"""Measure the rounding error of Winograd convolution, and what it does to training.

The layers are 3x3 layers of ResNet-50 and VGG-19, one image each. An error is counted in u·Σ|x||w|,
u = 2**-24 for float32 and 2**-53 for float64. With ``--train`` a network of 3x3 layers
learns MNIST, where CONVOLT_DATA names a folder with it, or else the bundled digits. See
docs/accuracy.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from convolt import functional
from convolt.data import Dataset, load_digits, load_mnist
from convolt.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from convolt.optim import Adam
from convolt.training import fit
from shapes import RESNET50, VGG19, Conv2dShape

ALGORITHMS = ("gemm", "winograd_2x2", "winograd_4x4")
OUTPUT_CHANNELS = 16  # so many of a layer are enough, and the exact sums are slow
VGG_LAYERS = ("conv1_1", "conv1_2", "conv4_2")  # the others are much like ResNet's
LAYERS = [("ResNet-50", shape) for shape in RESNET50 if shape.kind == "3x3 stride 1"]
LAYERS += [("VGG-19", shape) for shape in VGG19 if shape.name in VGG_LAYERS]
SMALL_LAYERS = [(net, shape) for net, shape in LAYERS if shape.input_size[0] <= 14]

Draw = Callable[[np.random.Generator, tuple[int, ...]], Any]


def _badly_scaled(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Return normal numbers, every pixel of every channel scaled by a power of two of its own."""
    return np.ldexp(rng.standard_normal(shape), rng.integers(-10, 11, shape))


DATA: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "uniform": lambda rng, shape: rng.uniform(-1, 1, shape),
    "after a ReLU": lambda rng, shape: np.maximum(rng.standard_normal(shape), 0),
    "mean 10": lambda rng, shape: np.maximum(rng.standard_normal(shape), 0) + 10,
    "badly scaled": _badly_scaled,
}
"""Kinds of images; the weights are normal."""


# --- rounding -----------------------------------------------------------------------------------


def direct_sums(x: Any, weight: Any) -> Any:
    """Return the convolution with a pixel of padding, one tap and one image after another."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = x.shape[2:]
    y = np.zeros((len(x), len(weight), height, width), np.result_type(x, weight))
    for kh, kw in np.ndindex(3, 3):
        seen = padded[:, :, kh : kh + height, kw : kw + width]
        y += np.moveaxis(np.tensordot(weight[:, :, kh, kw], seen, (1, 1)), 0, 1)
    return y


def running_sums(x: Any, weight: Any) -> Any:
    """Return the same, one product after another added to one sum: textbook code."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = x.shape[2:]
    y = np.zeros((len(x), len(weight), height, width), x.dtype)
    for c, kh, kw in np.ndindex(weight.shape[1:]):
        y += (
            weight[:, c, kh, kw, np.newaxis, np.newaxis]
            * (padded[:, c : c + 1, kh : kh + height, kw : kw + width])
        )
    return y


def errors(shape: Conv2dShape, kind: str, dtype: Any) -> dict[str, tuple[float, float]]:
    """Return the root mean square and the largest error in u·Σ|x||w|, for each way to compute."""
    rng = np.random.default_rng(0)
    weight_shape = (min(shape.out_channels, OUTPUT_CHANNELS), *shape.weight_shape[1:])
    x = DATA[kind](rng, (1, shape.in_channels, *shape.input_size)).astype(dtype)
    weight = rng.standard_normal(weight_shape).astype(dtype)
    wide = np.float64 if dtype == np.float32 else np.longdouble
    expected = direct_sums(x.astype(wide), weight.astype(wide))
    size = direct_sums(abs(x), abs(weight)).astype(np.float64)
    computed = {"running sum": running_sums(x, weight)}
    for algorithm in ALGORITHMS:
        computed[algorithm] = functional.conv2d(x, weight, padding=1, algorithm=algorithm)
    result = {}
    for name, y in computed.items():
        units = (abs(y - expected) / (np.finfo(dtype).eps / 2) / size).astype(np.float64)
        result[name] = float(np.sqrt(np.mean(units**2))), float(units.max())
    return result


def print_row(cells: list[str], markdown: bool, widths: list[int]) -> None:
    if markdown:
        print(f"| {' | '.join(cells)} |", flush=True)
    else:
        print("  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)), flush=True)


def print_errors(dtype: Any, layers: list[tuple[str, Conv2dShape]], markdown: bool) -> None:
    """Print a table of a row for each kind of data and each layer."""
    head = ["data", "layer", "C", "size", "running sum", *ALGORITHMS, "4x4 / running sum"]
    widths = [12, 24, 3, 4, *(max(len(cell), 12) for cell in head[4:])]
    print(f"\n{np.dtype(dtype)}, in u·Σ|x||w|: root mean square error (largest error)\n")
    print_row(head, markdown, widths)
    if markdown:
        print("|" + "---|" * 2 + "---:|" * (len(head) - 2))
    for kind in DATA:
        for net, shape in layers:
            measured = errors(shape, kind, dtype)
            cells = [kind, f"{net} {shape.name}", str(shape.in_channels), str(shape.input_size[0])]
            cells += [f"{rms:.2f} ({largest:.1f})" for rms, largest in measured.values()]
            ratio = measured["winograd_4x4"][0] / measured["running sum"][0]
            print_row([*cells, f"{ratio:.2f}"], markdown, widths)


# --- training -----------------------------------------------------------------------------------


class Net3x3(Sequential):
    """SimpleConvNet with two 3x3 layers in the place of its convolution.

    Convolution - ReLU - convolution - ReLU - max pooling (2 by 2) - linear - ReLU - linear. The
    first layer has one input channel; the second is one that Winograd is made for.
    """

    def __init__(
        self,
        input_dim: tuple[int, int, int],
        filters: int,
        seed: int,
        algorithm: str | None,
        backend: ModuleType = functional,
    ) -> None:
        channels, height, width = input_dim
        shared: dict[str, Any] = {"weight_init": "he", "rng": np.random.default_rng(seed)}
        convolution = {"activation": "relu", "algorithm": algorithm, "backend": backend, **shared}
        features = filters * (height // 2) * (width // 2)
        super().__init__(
            Conv2d(channels, filters, 3, padding=1, needs_dx=False, **convolution),
            Conv2d(filters, filters, 3, padding=1, **convolution),
            *(MaxPool2d(2, backend=backend), Flatten()),
            *(Linear(features, 64, **shared), ReLU(), Linear(64, 10, **shared)),
        )


def training_data() -> tuple[str, Dataset]:
    """Return MNIST where it is, else the digits."""
    try:
        return "MNIST", load_mnist()
    except FileNotFoundError:
        return "the bundled digits", load_digits()


def compare_training(epochs: int, filters: int, seeds: int, markdown: bool) -> None:
    """Print the accuracy after each epoch, a row for each algorithm and seed."""
    name, data = training_data()
    input_dim = data.train_images.shape[1:]
    print(f"\ntest accuracy in % on {name}, {filters} filters, Adam, batches of 100\n")
    head = ["algorithm", "seed", *(f"epoch {epoch + 1}" for epoch in range(epochs))]
    widths = [max(len(cell), 12) for cell in head]
    print_row(head, markdown, widths)
    if markdown:
        print("|---|" + "---:|" * (epochs + 1))
    for seed in range(seeds):
        for algorithm in ALGORITHMS:
            model = Net3x3(input_dim, filters, seed, algorithm)
            history = fit(model, data, Adam(lr=0.001), epochs=epochs, batch_size=100, seed=seed)
            accuracies = [f"{100 * accuracy:.2f}" for accuracy in history.test_accuracy]
            print_row([algorithm, str(seed), *accuracies], markdown, widths)


def main(arguments: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--markdown", action="store_true", help="print tables for a document")
    parser.add_argument("--small", action="store_true", help="only layers of at most 14 x 14")
    parser.add_argument("--train", action="store_true", help="compare trainings instead")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--filters", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args(arguments)
    if options.train:
        compare_training(options.epochs, options.filters, options.seeds, options.markdown)
        return
    layers = SMALL_LAYERS if options.small else LAYERS
    print_errors(np.float32, layers, options.markdown)
    print_errors(np.float64, SMALL_LAYERS, options.markdown)


if __name__ == "__main__":
    main()
