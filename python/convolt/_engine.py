"""Where an operator is computed: by the engine of the CPU, or on a CUDA device.

An engine is anything with the functions of `_core`. Arrays on a device bring theirs with them;
NumPy arrays have that of the CPU unless :func:`convolt.set_device` says otherwise.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from convolt._openmp import _core

VARIABLE = "CONVOLT_DEVICE"


class _AtFirstUse:
    """Stands for the device that the environment names, which nobody may ever need."""

    def __getattr__(self, name: str) -> Any:
        set_device(None)
        return getattr(engine(_ANY_HOST_ARRAY), name)


_ANY_HOST_ARRAY = np.empty(0)

# What computes NumPy arrays; None for the CPU.
_elsewhere: Any = None


def engine(x: Any, host: Any = _core) -> Any:
    """Return what computes with `x`, an array as `_arrays.operand` returns it.

    `host` is the module that does so on the CPU, of those functions that `_core` lacks.
    """
    if isinstance(x, np.ndarray):
        return host if _elsewhere is None else _elsewhere
    return x.engine


def is_array(value: Any) -> bool:
    """Tell whether `value` is an array of NumPy or a `convolt.cuda.Array`."""
    return isinstance(value, np.ndarray) or (
        "convolt.cuda" in sys.modules and isinstance(value, sys.modules["convolt.cuda"].Array)
    )


def on_host(array: Any) -> Any:
    """Return a NumPy array as it is, and a copy on the CPU of one that is on a device."""
    return array if isinstance(array, np.ndarray) else array.numpy()


def host_copy(array: Any) -> Any:
    """Return a copy, which is a NumPy array wherever the array is."""
    return array.copy() if isinstance(array, np.ndarray) else array.numpy()


def device_of(array: Any) -> str:
    """Return the full name of the device that an array is on: "cpu", "cuda:0", ..."""
    return "cpu" if isinstance(array, np.ndarray) else str(array.device)


def placed_like(array: Any, other: Any) -> Any:
    """Return `array` where `other` is: itself if it is there, else a copy."""
    return placed(array, device_of(other))


def placed(array: Any, device: str) -> Any:
    """Return `array` on a device, "cpu" or as `resolve_device` names it: itself or a copy."""
    if device == "cpu":
        return on_host(array)
    from convolt.cuda import asarray

    return asarray(array, device=device)


def wait_for(device: str) -> None:
    """Return when a device has done what it was given."""
    if device != "cpu":
        from convolt.cuda import synchronize

        synchronize(device)


def resolve_device(device: str, function: str) -> str:
    """Return the full name of a device: "cpu", or "cuda:N" for one that is there."""
    if device == "cpu":
        return device
    from convolt.cuda._load import resolve

    return resolve(device, function)


def set_device(device: str | None) -> None:
    """Choose where NumPy arrays are computed, for the whole process.

    On a CUDA device each call copies its arrays there and the result back, which pays for large
    convolutions; a network is better moved there as a whole, by ``model.to("cuda")``.

    Parameters
    ----------
    device : {"cpu", "cuda", "cuda:0", "cuda:1", ..., "cuda-host"} or None
        "cuda" is "cuda:0". "cuda-host" is the stand-in for a device that the tests are built
        with. ``None`` goes back to the default: what the environment variable ``CONVOLT_DEVICE``
        names, else "cpu".

    Raises
    ------
    TypeError, ValueError
        For what names no device.
    RuntimeError
        With the reason, where the device cannot be used.

    Examples
    --------
    >>> import convolt
    >>> convolt.set_device("cpu")
    >>> convolt.get_device()
    'cpu'
    """
    global _elsewhere
    name = os.environ.get(VARIABLE) or "cpu" if device is None else device
    if name == "cpu":
        _elsewhere = None
    else:
        from convolt.cuda._engine import HostEngine
        from convolt.cuda._load import resolve

        _elsewhere = HostEngine(resolve(name, "set_device"))
    _core.set_at_once(_elsewhere is None)


def get_device() -> str:
    """Return where NumPy arrays are computed: "cpu", "cuda:0", ...

    Raises
    ------
    ValueError, RuntimeError
        Where the environment variable ``CONVOLT_DEVICE`` names no device, or one that cannot be
        used.
    """
    return "cpu" if _elsewhere is None else str(_elsewhere.device)


if os.environ.get(VARIABLE, "cpu") not in ("", "cpu"):
    _elsewhere = _AtFirstUse()
    _core.set_at_once(False)
