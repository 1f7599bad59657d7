"""``python -m convolt summary``."""

from __future__ import annotations

import argparse
from pathlib import Path

import convolt
from convolt._cli.model_file import load_model
from convolt._cli.options import Commands, image_shape
from convolt._cli.recipes import MODELS, make_model


def add_to(commands: Commands) -> None:
    """Add the command."""
    what = "show the layers of a model: output shapes, parameters, arithmetic"
    parser = commands.add_parser("summary", help=what, description=f"{what.capitalize()}.")
    parser.set_defaults(run=run)
    parser.add_argument(
        "model",
        metavar="MODEL",
        help=f"one of {', '.join(MODELS)}, or a file that train --save wrote",
    )
    parser.add_argument(
        "--input-shape",
        type=image_shape,
        metavar="C,H,W",
        help="shape of an image (the one that the model was made for)",
    )


def run(options: argparse.Namespace) -> None:
    """Print the table of a model."""
    if options.model in MODELS:
        input_shape = options.input_shape or MODELS[options.model].input_shape
        model = make_model(options.model, input_shape, classes=_classes(options.model), seed=0)
    elif Path(options.model).exists():
        model, description = load_model(Path(options.model))
        input_shape = options.input_shape or description.input_shape
    else:
        raise ValueError(
            f"summary: MODEL must be one of {', '.join(MODELS)} or a file, got {options.model}"
        )
    print(convolt.summary(model, input_shape))


def _classes(model: str) -> int:
    return 1000 if model == "alexnet" else 10
