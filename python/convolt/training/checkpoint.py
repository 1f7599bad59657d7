"""A training in a file: written after each epoch, and gone on with to the same bits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from convolt.layers import Layer, load_arrays, save_arrays
from convolt.optim import Optimizer
from convolt.training.history import History

Array = NDArray[Any]

_METADATA = "training"


@dataclass
class Training:
    """All that the rest of a training depends on, its data apart.

    Attributes
    ----------
    settings : dict
        What has to be the same when the training is gone on with, by the names of the arguments of
        `fit`.
    best : dict or None
        The `state_dict` of the model after its best epoch so far, where early stopping wants it.
    """

    model: Layer
    optimizer: Optimizer
    settings: dict[str, Any]
    history: History = field(default_factory=History)
    best: dict[str, Array] | None = None


def save_checkpoint(path: Path, training: Training) -> None:
    """Write a training to a .npz file, whole or not at all.

    The arrays are named "model/0.weight", "optimizer/velocity.0.weight", "best/0.weight"; the rest
    is JSON: settings, history, and the states of the model's random generators.
    """
    groups = {
        "model": training.model.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "best": training.best or {},
    }
    arrays = {
        f"{group}/{name}": array for group, state in groups.items() for name, array in state.items()
    }
    text = {
        "settings": training.settings,
        "history": training.history.to_dict(),
        "random_state": training.model.random_state(),
    }
    save_arrays(arrays, path, {_METADATA: json.dumps(text)})


def load_checkpoint(path: Path, training: Training) -> None:
    """Put a training into the state that a file has.

    Raises
    ------
    ValueError
        If the file is no checkpoint, or of another model, optimizer or other settings.
    """
    try:
        arrays, metadata = load_arrays(path)
        text = json.loads(metadata[_METADATA])
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"fit: checkpoint must be a file that fit wrote, got {path} ({error})"
        ) from None
    for name, value in training.settings.items():
        if text["settings"].get(name) != value:
            raise ValueError(
                f"fit: {name} must be {text['settings'].get(name)!r} as in the checkpoint {path}, "
                f"got {value!r}"
            )
    training.optimizer.load_state_dict(_group(arrays, "optimizer"))
    training.model.load_state_dict(_group(arrays, "model"))
    training.model.load_random_state(text["random_state"])
    training.history = History(**text["history"])
    training.best = _group(arrays, "best") or None


def _group(arrays: Mapping[str, Array], group: str) -> dict[str, Array]:
    start = f"{group}/"
    return {
        name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)
    }
