"""``python -m convolt evaluate``."""

from __future__ import annotations

import argparse
from pathlib import Path

from convolt import training
from convolt._cli.model_file import dataset_for, load_model
from convolt._cli.options import Commands, add_dataset, add_device, add_threads, set_threads


def add_to(commands: Commands) -> None:
    """Add the command."""
    what = "measure the loss and the accuracy of a saved model on test images"
    parser = commands.add_parser("evaluate", help=what, description=f"{what.capitalize()}.")
    parser.set_defaults(run=run)
    parser.add_argument(
        "file", metavar="FILE", type=Path, help="the model, as train --save wrote it"
    )
    add_dataset(parser, default="the one that the model has learned")
    add_threads(parser)
    add_device(parser)


def run(options: argparse.Namespace) -> None:
    """Print loss and accuracy."""
    set_threads(options)
    model, description = load_model(options.file)
    name, dataset = dataset_for(model, description, options)
    model.to(options.device)
    loss, accuracy = training.evaluate(model, dataset.test_images, dataset.test_labels)
    print(f"{name}: {len(dataset.test_images)} test images")
    print(f"test loss: {loss:.4f}")
    print(f"test accuracy: {accuracy:.2%}")
