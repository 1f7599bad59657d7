"""The command line: ``python -m convolt train`` and ``python -m convolt info``."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import NamedTuple

import convolt
from convolt import functional
from convolt.data import Dataset, load_digits, load_mnist
from convolt.models import CONV_PARAM, SimpleConvNet
from convolt.optim import SGD, Adam, Optimizer, cosine
from convolt.training import benchmark_step, fit


class _Recipe(NamedTuple):
    """How a data set is trained; the options may say otherwise of epochs and learning rate."""

    epochs: int
    learning_rates: Mapping[str, float]
    conv_param: Mapping[str, int]


_MNIST = _Recipe(3, {"adam": 0.002, "sgd": 0.05}, CONV_PARAM)
_RECIPES = {
    "digits": _Recipe(20, {"adam": 0.003, "sgd": 0.05}, {"filter_size": 3, "pad": 1}),
    "mnist": _MNIST,
    "fashion-mnist": _MNIST,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except KeyboardInterrupt:
        print("\nconvolt: interrupted", file=sys.stderr)
        return 130
    except (OSError, ValueError, RuntimeError) as error:
        print(f"convolt: error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m convolt", description="Fast 2-D convolution and pooling for NumPy arrays."
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    info = commands.add_parser("info", help="how convolt was built and what it runs on")
    info.set_defaults(run=_info)

    train = commands.add_parser(
        "train", help="train a small network, then time a step of it against pure NumPy"
    )
    train.set_defaults(run=_train)
    option = train.add_argument
    count, seed = partial(_integer, minimum=1), partial(_integer, minimum=0)
    option("--dataset", choices=_RECIPES, default="digits", help="what to learn (digits)")
    option(
        "--data-dir",
        metavar="DIR",
        help="folder of the IDX files (DATASET in the folder that CONVOLT_DATA names)",
    )
    option("--epochs", type=count, metavar="N", help="passes over the images (digits 20, else 3)")
    option("--batch-size", type=count, metavar="N", default=100, help="images for a step (100)")
    option("--optimizer", choices=("adam", "sgd"), default="adam", help="how to learn (adam)")
    option(
        "--lr",
        type=_rate,
        help="learning rate at the start, from where it falls to 0 (one that suits)",
    )
    option("--seed", type=seed, metavar="N", default=0, help="of weights and orders (0)")
    option("--threads", type=count, metavar="N", help="threads of convolt (all cores)")
    return parser


def _info(_: argparse.Namespace) -> None:
    lines = convolt.build_info()
    width = max(map(len, lines))
    for name, value in lines.items():
        shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        print(f"{name:{width}}  {shown}")


def _train(options: argparse.Namespace) -> None:
    dataset = _load(options.dataset, options.data_dir)
    recipe = _RECIPES[options.dataset]
    lr = options.lr or recipe.learning_rates[options.optimizer]
    epochs = options.epochs or recipe.epochs
    make_optimizer = _optimizer_maker(options.optimizer, lr)
    if options.threads is not None:
        convolt.set_num_threads(options.threads)

    def make_model(backend: ModuleType) -> SimpleConvNet:
        return SimpleConvNet(
            input_dim=dataset.train_images.shape[1:],
            conv_param=recipe.conv_param,
            weight_init_std="he",
            seed=options.seed,
            backend=backend,
        )

    images = len(dataset.train_images)
    print(
        f"{options.dataset}: {images} training and {len(dataset.test_images)} test images",
        flush=True,
    )
    history = fit(
        make_model(functional),
        dataset,
        make_optimizer(),
        epochs=epochs,
        batch_size=options.batch_size,
        schedule=cosine(lr, epochs),
        seed=options.seed,
        progress=sys.stderr,
    )
    print(f"test accuracy: {history.test_accuracy[-1]:.2%}")

    x, t = (part[: options.batch_size] for part in (dataset.train_images, dataset.train_labels))
    times = benchmark_step(make_model, make_optimizer, x, t)
    print(
        f"one training step, N = {len(x)}: convolt {times.convolt * 1e3:.2f} ms, "
        f"pure NumPy {times.reference * 1e3:.2f} ms, ratio {times.ratio:.1f}"
    )


def _load(name: str, data_dir: str | None) -> Dataset:
    if name != "digits":
        return load_mnist(data_dir, name=name)
    if data_dir is not None:
        raise ValueError("train: --data-dir is for mnist and fashion-mnist, got it with digits")
    return load_digits()


def _optimizer_maker(name: str, lr: float) -> Callable[[], Optimizer]:
    return partial(Adam, lr=lr) if name == "adam" else partial(SGD, lr=lr, momentum=0.9)


def _integer(text: str, minimum: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be an integer, got {text}") from None
    if value < minimum:
        raise argparse.ArgumentTypeError(f"must be at least {minimum}, got {text}")
    return value


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text}")
    return value


if __name__ == "__main__":
    sys.exit(main())
