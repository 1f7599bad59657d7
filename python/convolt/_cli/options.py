"""Options that several commands have, and what they accept."""

from __future__ import annotations

import argparse
import math
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import convolt
from convolt._cli.recipes import DATASETS
from convolt._engine import resolve_device

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Commands = object


def integer(text: str, minimum: int) -> int:
    """Read an integer of at least `minimum`."""
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be an integer, got {text}") from None
    if value < minimum:
        raise argparse.ArgumentTypeError(f"must be at least {minimum}, got {text}")
    return value


count = partial(integer, minimum=1)
number = partial(integer, minimum=0)


def rate(text: str) -> float:
    """Read a positive number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text}")
    return value


def image_shape(text: str) -> tuple[int, ...]:
    """Read a shape such as 3,227,227."""
    try:
        sizes = tuple(count(size) for size in text.split(","))
    except argparse.ArgumentTypeError:
        sizes = ()
    if len(sizes) != 3:
        raise argparse.ArgumentTypeError(f"must be such as 3,227,227, got {text}")
    return sizes


def model_path(text: str) -> Path:
    """Read the path of a file of a model that is to be written."""
    path = writable_path(text)
    if path.suffix not in (".npz", ".safetensors"):
        raise argparse.ArgumentTypeError(f"must end in .npz or .safetensors, got {text}")
    if path.suffix == ".safetensors" and find_spec("safetensors") is None:
        raise argparse.ArgumentTypeError(
            'needs safetensors for this name: pip install "convolt[safetensors]"'
        )
    return path


def checkpoint_path(text: str) -> Path:
    """Read the path of a checkpoint that is to be written."""
    path = writable_path(text)
    if path.suffix != ".npz":
        raise argparse.ArgumentTypeError(f"must end in .npz, got {text}")
    return path


def picture_path(text: str) -> Path:
    """Read the path of a picture that is to be written."""
    if find_spec("matplotlib") is None:
        raise argparse.ArgumentTypeError('needs matplotlib: pip install "convolt[plot]"')
    path = writable_path(text)
    if path.suffix not in (".png", ".pdf", ".svg"):
        raise argparse.ArgumentTypeError(f"must end in .png, .pdf or .svg, got {text}")
    return path


def writable_path(text: str) -> Path:
    """Read the path of a file that is to be written, in a folder that exists."""
    path = Path(text)
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"must be in a folder that exists, got {text}")
    return path


def add_dataset(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the options that choose a data set and say where it is."""
    group = parser.add_argument_group("images")
    group.add_argument(
        "--dataset", choices=DATASETS, metavar="NAME", help=f"{', '.join(DATASETS)} ({default})"
    )
    group.add_argument(
        "--data-dir",
        metavar="DIR",
        help="folder of the data set's files (NAME in the folder that CONVOLT_DATA names, or in "
        "the cache)",
    )
    group.add_argument(
        "--download", action="store_true", help="download the data set if it is not there"
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add the option that limits the threads."""
    parser.add_argument("--threads", type=count, metavar="N", help="threads of convolt (all cores)")


def device(text: str) -> str:
    """Read the name of a device that can be used."""
    try:
        return resolve_device(text, "convolt")
    except (RuntimeError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("convolt: ")) from None


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where a model computes."""
    parser.add_argument(
        "--device",
        type=device,
        default="cpu",
        metavar="NAME",
        help="where the model computes: cpu, cuda, cuda:1, ... (cpu)",
    )


def set_threads(options: argparse.Namespace) -> None:
    """Do what the option says."""
    if options.threads is not None:
        convolt.set_num_threads(options.threads)
