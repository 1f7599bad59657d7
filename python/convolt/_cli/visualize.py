"""``python -m convolt visualize``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from convolt import viz
from convolt._cli.model_file import dataset_for, load_model
from convolt._cli.options import Commands, add_dataset, number, picture_path
from convolt._cli.recipes import DATASETS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PICTURES = """\
what to draw:
  filters        those of the first layer, before and after the training
  features       what each layer makes of a test image
  misclassified  test images that the model takes for something else
  history        loss and accuracy over the epochs of the training
"""


def add_to(commands: Commands) -> None:
    """Add the command."""
    what = "draw a saved model: filters, feature maps, errors, training curves"
    parser = commands.add_parser(
        "visualize",
        help=what,
        description=f"{what.capitalize()}.",
        epilog=_PICTURES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "file", metavar="FILE", type=Path, help="the model, as train --save wrote it"
    )
    parser.add_argument(
        "--what",
        required=True,
        choices=("filters", "features", "misclassified", "history"),
        help="what to draw, see below",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=picture_path,
        metavar="PICTURE",
        help="where to save it, such as picture.png",
    )
    parser.add_argument(
        "--image", type=number, default=0, metavar="N", help="test image for features (0)"
    )
    add_dataset(parser, default="the one that the model has learned")


def run(options: argparse.Namespace) -> None:
    """Draw and save a picture."""
    figure = _draw(options)
    figure.savefig(options.output)
    print(f"{options.what}: {options.output}")


def _draw(options: argparse.Namespace) -> Figure:
    model, description = load_model(options.file)
    if options.what == "filters":
        return viz.plot_filters(model, before=description.untrained())
    if options.what == "history":
        return viz.plot_history(description.history)
    name, dataset = dataset_for(model, description, options)
    if options.what == "misclassified":
        return viz.plot_misclassified(
            model, dataset.test_images, dataset.test_labels, classes=DATASETS[name].classes
        )
    if options.image >= len(dataset.test_images):
        raise ValueError(
            f"visualize: --image must be less than {len(dataset.test_images)}, got {options.image}"
        )
    return viz.plot_feature_maps(model, dataset.test_images[options.image])
