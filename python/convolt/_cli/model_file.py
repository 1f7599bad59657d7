"""Models in files that say which model it is, and how it was trained."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convolt._cli.recipes import load_dataset, make_model
from convolt.data import Dataset
from convolt.layers import Sequential, load_arrays, save
from convolt.training import History


@dataclass(frozen=True)
class Description:
    """What a file says of its model: how to make it anew, and what it has been through."""

    model: str
    input_shape: tuple[int, ...]
    classes: int
    seed: int
    dataset: str
    history: History

    def untrained(self) -> Sequential:
        """Return the model as it was before the training."""
        return make_model(self.model, self.input_shape, self.classes, self.seed)


def save_model(model: Sequential, path: Path, description: Description) -> None:
    """Write a model and its description to a file."""
    metadata = {name: json.dumps(value) for name, value in asdict(description).items()}
    save(model, path, metadata)


def load_model(path: Path) -> tuple[Sequential, Description]:
    """Return the model of a file, in its evaluation mode, and the description.

    Raises
    ------
    ValueError
        If the file is damaged, or was not written by `save_model`.
    TypeError
        If an array has not the dtype of the model.
    """
    arrays, metadata = load_arrays(path)
    try:
        values: dict[str, Any] = {name: json.loads(text) for name, text in metadata.items()}
        description = Description(
            **values
            | {
                "input_shape": tuple(values["input_shape"]),
                "history": History(**values["history"]),
            }
        )
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"{path} must be a model that train --save wrote, got one without its description"
        ) from None
    model = description.untrained()
    model.load_state_dict(arrays)
    model.eval()
    return model, description


def dataset_for(
    model: Sequential, description: Description, options: argparse.Namespace
) -> tuple[str, Dataset]:
    """Return the name and the images of the data set that the options ask for.

    Raises
    ------
    ValueError
        If the model does not take its images.
    """
    name = options.dataset or description.dataset
    dataset = load_dataset(name, options.data_dir, options.download)
    input_shape = dataset.test_images.shape[1:]
    try:
        model.output_shape(input_shape)
    except ValueError as error:
        raise ValueError(
            f"{options.file} does not take the images of {name}, {input_shape}: {error}"
        ) from None
    return name, dataset
