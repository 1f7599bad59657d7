"""``python -m convolt train``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

from convolt import functional, viz
from convolt._cli.model_file import Description, save_model
from convolt._cli.options import (
    Commands,
    add_dataset,
    add_device,
    add_threads,
    checkpoint_path,
    count,
    model_path,
    number,
    picture_path,
    rate,
    set_threads,
)
from convolt._cli.recipes import DATASETS, MODELS, load_dataset, make_model
from convolt.data import Augmentation, Compose, Dataset, Flip, Shift
from convolt.layers import Sequential
from convolt.optim import SGD, AdaGrad, Adam, Optimizer, Schedule, constant, cosine, step
from convolt.training import History, benchmark_step, fit

_OPTIMIZERS: dict[str, Callable[[float], Optimizer]] = {
    "adam": Adam,
    "sgd": partial(SGD, momentum=0.9),
    "adagrad": AdaGrad,
}
_RATES = {"adam": 0.002, "sgd": 0.05, "adagrad": 0.02}
# Each takes the learning rate and the number of epochs.
_SCHEDULES: dict[str, Callable[[float, int], Schedule]] = {
    "cosine": cosine,
    "step": lambda lr, epochs: step(lr, epochs / 3),
    "constant": lambda lr, epochs: constant(lr),
}


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "train",
        help="train a model, then time a step of it against pure NumPy",
        description="Train a model on images, then time a step of it against pure NumPy. "
        "In brackets is what holds without the option.",
    )
    parser.set_defaults(run=run)
    add_threads(parser)
    add_device(parser)
    add_dataset(parser, default="digits")
    _add_learning(parser.add_argument_group("learning"))
    _add_files(parser.add_argument_group("results"))


def _add_learning(group: argparse._ArgumentGroup) -> None:
    option = group.add_argument
    models = [name for name in MODELS if name != "alexnet"]
    option(
        "--model",
        choices=models,
        default="simple-convnet",
        metavar="NAME",
        help=f"{', '.join(models)} (simple-convnet, the one for the small digits)",
    )
    defaults = ", ".join(f"{name} {recipe.epochs}" for name, recipe in DATASETS.items())
    option("--epochs", type=count, metavar="N", help=f"passes over the images ({defaults})")
    option("--batch-size", type=count, metavar="N", default=100, help="images for a step (100)")
    option("--optimizer", choices=_OPTIMIZERS, default="adam", help="how to learn (adam)")
    rates = ", ".join(f"{name} {lr}" for name, lr in _RATES.items())
    option("--lr", type=rate, help=f"learning rate at the start ({rates})")
    option(
        "--schedule",
        choices=_SCHEDULES,
        default="cosine",
        help="how the learning rate falls: to 0 in half a wave of a cosine, to a tenth after each "
        "third of the epochs, or not at all (cosine)",
    )
    option("--shift", type=number, metavar="N", default=0, help="shift images by up to N pixels")
    option("--flip", action="store_true", help="mirror half of the images")
    option("--seed", type=number, metavar="N", default=0, help="of weights and orders (0)")


def _add_files(group: argparse._ArgumentGroup) -> None:
    option = group.add_argument
    option("--save", type=model_path, metavar="FILE", help="the model: a .npz or .safetensors")
    option("--plot", type=picture_path, metavar="FILE", help="a picture of loss and accuracy")
    option(
        "--checkpoint",
        type=checkpoint_path,
        metavar="FILE",
        help="the training, after each epoch: a .npz",
    )
    option("--resume", action="store_true", help="go on with the training in the checkpoint")


def run(options: argparse.Namespace) -> None:
    """Train, report, save."""
    _check_checkpoint(options.checkpoint, options.resume)
    name = options.dataset or "digits"
    recipe, dataset = DATASETS[name], load_dataset(name, options.data_dir, options.download)
    set_threads(options)
    input_shape, classes = dataset.train_images.shape[1:], len(recipe.classes)

    def make(backend: ModuleType) -> Sequential:
        model = make_model(options.model, input_shape, classes, options.seed, backend)
        return model.to(options.device if backend is functional else "cpu")

    model = make(functional)
    images = len(dataset.train_images)
    print(f"{name}: {images} training and {len(dataset.test_images)} test images", flush=True)
    history = _fit(model, dataset, options, options.epochs or recipe.epochs)
    if history.epochs:
        print(f"test accuracy: {history.test_accuracy[-1]:.2%}")
    if options.save is not None:
        description = Description(options.model, input_shape, classes, options.seed, name, history)
        save_model(model, options.save, description)
    if options.plot is not None and history.epochs:
        viz.plot_history(history).savefig(options.plot)
    if history.interrupted:
        raise KeyboardInterrupt
    _time_step(make, dataset, options)


def _check_checkpoint(checkpoint: Path | None, resume: bool) -> None:
    if checkpoint is None:
        if resume:
            raise ValueError("train: --resume must come with --checkpoint, got it alone")
    elif resume and not checkpoint.exists():
        raise FileNotFoundError(f"train: --resume must find {checkpoint}, there is no such file")
    elif checkpoint.exists() and not resume:
        raise FileExistsError(
            f"train: --checkpoint must name a new file, got {checkpoint}; "
            "--resume goes on with the training in it"
        )


def _make_optimizer(options: argparse.Namespace) -> Optimizer:
    return _OPTIMIZERS[options.optimizer](options.lr or _RATES[options.optimizer])


def _fit(model: Sequential, dataset: Dataset, options: argparse.Namespace, epochs: int) -> History:
    optimizer = _make_optimizer(options)
    augmentations: list[Augmentation] = [Shift(options.shift)] * (options.shift > 0)
    augmentations += [Flip()] * options.flip
    return fit(
        model,
        dataset,
        optimizer,
        epochs=epochs,
        batch_size=options.batch_size,
        schedule=_SCHEDULES[options.schedule](optimizer.lr, epochs),
        augment=Compose(augmentations) if augmentations else None,
        seed=options.seed,
        checkpoint=options.checkpoint,
        progress=sys.stderr,
    )


def _time_step(
    make: Callable[[ModuleType], Sequential], dataset: Dataset, options: argparse.Namespace
) -> None:
    x, t = (part[: options.batch_size] for part in (dataset.train_images, dataset.train_labels))
    times = benchmark_step(make, partial(_make_optimizer, options), x, t)
    print(
        f"one training step, N = {len(x)}: convolt {times.convolt * 1e3:.2f} ms, "
        f"pure NumPy {times.reference * 1e3:.2f} ms, ratio {times.ratio:.1f}"
    )
