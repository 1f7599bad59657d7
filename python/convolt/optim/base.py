"""What all optimizers have in common: their state, and checks of what they are given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from convolt._engine import host_copy, placed_like

Arrays = Mapping[str, NDArray[Any]]


class Optimizer:
    """Changes parameters in place, given their gradients under the same names.

    A subclass says in `_settings` which attributes are numbers that make it up, and in `_kinds`
    which arrays it keeps for each parameter; both are its state.

    Attributes
    ----------
    lr : float
        Learning rate; it may be changed between updates.
    """

    lr: float
    _settings: ClassVar[tuple[str, ...]]
    _kinds: ClassVar[tuple[str, ...]]

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, NDArray[Any]]] = {kind: {} for kind in self._kinds}

    def update(self, params: Arrays, grads: Arrays) -> None:
        """Change each array of `params` in place.

        Raises
        ------
        ValueError
            If `grads` has other names than `params`.
        """
        raise NotImplementedError

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Return copies of all that the next update depends on.

        Returns
        -------
        dict
            The settings under their names, such as "lr", and the arrays that are kept for each
            parameter, such as "velocity.0.weight" for the parameter "0.weight".
        """
        state = {name: np.array(getattr(self, name)) for name in self._settings}
        for kind, arrays in self._kept.items():
            state.update({f"{kind}.{name}": host_copy(array) for name, array in arrays.items()})
        return state

    def load_state_dict(self, state: Arrays) -> None:
        """Go on where the optimizer stood that `state` is from, its settings included.

        Raises
        ------
        ValueError
            If `state` is not of an optimizer of this class; nothing is changed then.
        """
        kept: dict[str, dict[str, NDArray[Any]]] = {kind: {} for kind in self._kinds}
        unknown = []
        for name in state.keys() - set(self._settings):
            kind, dot, parameter = name.partition(".")
            if dot and kind in kept:
                kept[kind][parameter] = np.array(state[name])
            else:
                unknown.append(name)
        complete = all(arrays.keys() == kept[self._kinds[0]].keys() for arrays in kept.values())
        if unknown or not complete or not state.keys() >= set(self._settings):
            expected = [*self._settings, *(f"{kind}.*" for kind in self._kinds)]
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: state must have the names "
                f"{', '.join(expected)}, got {', '.join(sorted(state)) or 'none'}"
            )
        for name in self._settings:
            value = state[name].tolist()
            setattr(self, name, tuple(value) if isinstance(value, list) else value)
        self._kept = kept

    def _check_names(self, params: Arrays, grads: Arrays) -> None:
        if params.keys() != grads.keys():
            raise ValueError(
                f"{type(self).__name__}.update: grads must have the names of params, "
                f"{sorted(params)}, got {sorted(grads)}"
            )

    def _kept_for(self, name: str, parameter: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Return the arrays of one parameter, zero before its first update."""
        for arrays in self._kept.values():
            if name not in arrays:
                arrays[name] = np.zeros_like(parameter)
            else:
                arrays[name] = placed_like(arrays[name], parameter)
        return tuple(arrays[name] for arrays in self._kept.values())


def positive(value: float, name: str, function: str) -> float:
    """Return `value` if it is a positive number."""
    if not 0 < value < math.inf:
        raise ValueError(f"{function}: {name} must be a positive number, got {value!r}")
    return value


def not_negative(value: float, name: str, function: str) -> float:
    """Return `value` if it is a number that is at least 0."""
    if not 0 <= value < math.inf:
        raise ValueError(f"{function}: {name} must be a number that is at least 0, got {value!r}")
    return value


def decay(value: float, name: str, function: str) -> float:
    """Return `value` if it can be what remains of an average after each update."""
    if not 0 <= value < 1:
        raise ValueError(f"{function}: {name} must be at least 0 and less than 1, got {value!r}")
    return value
