"""The state of layers: arrays and random generators by name, checked before they are changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def assign_arrays(arrays: Mapping[str, Array], state: Mapping[str, Array]) -> None:
    """Copy each array of `state` into its namesake, all of them or, after an error, none."""
    function = "load_state_dict"
    _check_names(arrays.keys(), state.keys(), function)
    for name, array in arrays.items():
        value = state[name]
        if value.shape != array.shape:
            raise ValueError(f"{function}: {name} must have shape {array.shape}, got {value.shape}")
        if value.dtype != array.dtype:
            raise TypeError(f"{function}: {name} must be {array.dtype}, got {value.dtype}")
    for name, array in arrays.items():
        array[...] = state[name]


def generator_state(generator: np.random.Generator) -> dict[str, Any]:
    """Return the state of a generator as values that JSON can hold."""
    state: dict[str, Any] = _without_arrays(generator.bit_generator.state)
    return state


def assign_generators(
    generators: Mapping[str, np.random.Generator], state: Mapping[str, Mapping[str, Any]]
) -> None:
    """Set each generator to the state under its name, all of them or, after an error, none."""
    function = "load_random_state"
    _check_names(generators.keys(), state.keys(), function)
    for name, generator in generators.items():
        expected = generator.bit_generator.state["bit_generator"]
        got = state[name].get("bit_generator")
        if got != expected:
            raise ValueError(f"{function}: {name} must be of kind {expected}, got {got}")
    for name, generator in generators.items():
        generator.bit_generator.state = state[name]


def _check_names(expected: Collection[str], got: Collection[str], function: str) -> None:
    missing, unknown = sorted(set(expected) - set(got)), sorted(set(got) - set(expected))
    if missing or unknown:
        faults = [f"without {', '.join(missing)}"] * bool(missing)
        faults += [f"with {', '.join(unknown)}"] * bool(unknown)
        raise ValueError(
            f"{function}: state must have the names of the model, got one {' and '.join(faults)}"
        )


def _without_arrays(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_arrays(item) for name, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
