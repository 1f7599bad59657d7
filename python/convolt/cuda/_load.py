"""Finds the compiled module for CUDA, or the reason why there is none that can be used."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from typing import Any

from convolt._engine import VARIABLE

STAND_IN = "cuda-host"
# Set for good by whoever asks for the stand-in by name.
_stand_in_wanted = os.environ.get(VARIABLE) == STAND_IN


def unavailable_reason() -> str | None:
    """Return why there is no CUDA device to compute on; ``None`` where there is one.

    Examples
    --------
    >>> import convolt
    >>> (convolt.cuda.unavailable_reason() is None) == convolt.cuda.is_available()
    True
    """
    reason = _load_failure()
    if reason is not None:
        return reason
    if _compiled().is_host_stand_in() and not _stand_in_wanted:
        return (
            "convolt was built for the stand-in of a CUDA device on the host, which is for tests: "
            f"{VARIABLE}={STAND_IN} selects it"
        )
    try:
        problems = [_problem(number) for number in range(_compiled().device_count())]
    except RuntimeError as error:
        return str(error)
    if not problems:
        return "there is no CUDA device"
    return None if None in problems else problems[0]


def _problem(number: int) -> str | None:
    """Return why a device that is there cannot be used; ``None`` for one that can."""
    return _compiled().device_problem(number) or None


def module() -> Any:
    """Return `_cuda`; a RuntimeError with the reason where nothing can be computed with it."""
    if not _is_ready():
        raise RuntimeError(f"convolt.cuda: a CUDA device must be available: {unavailable_reason()}")
    return _compiled()


def resolve(device: Any, function: str) -> str:
    """Return "cuda:0" for "cuda", and so on, of a device that can be used."""
    if not isinstance(device, str):
        raise TypeError(f"{function}: device must be a str, got {device!r}")
    kind, colon, number = device.partition(":")
    index = number if colon else "0"
    if kind not in ("cuda", STAND_IN) or not (index.isascii() and index.isdecimal()):
        raise ValueError(
            f"{function}: device must be 'cpu', 'cuda' or 'cuda:N' with a number N, got {device!r}"
        )
    if kind == STAND_IN:
        _want_stand_in(function)
    reason = unavailable_reason()
    if reason is not None:
        raise RuntimeError(f"{function}: device {device!r} must be available: {reason}")
    if int(index) >= module().device_count():
        raise RuntimeError(
            f"{function}: device must be one of {module().device_count()}, got {device!r}"
        )
    if (problem := _problem(int(index))) is not None:
        raise RuntimeError(f"{function}: device {device!r} must be available: {problem}")
    return f"cuda:{int(index)}"


def index_of(device: str) -> int:
    """Return the number of a device from its full name."""
    return int(device.partition(":")[2])


def _want_stand_in(function: str) -> None:
    global _stand_in_wanted
    reason = _load_failure()
    if reason is None and not _compiled().is_host_stand_in():
        reason = "convolt was built for CUDA devices"
    if reason is not None:
        raise RuntimeError(f"{function}: device {STAND_IN!r} must be available: {reason}")
    _stand_in_wanted = True


def _compiled() -> Any:
    return import_module("convolt._cuda")


@cache
def _load_failure() -> str | None:
    try:
        _compiled()
    except ModuleNotFoundError as error:
        if error.name != "convolt._cuda":
            raise
        return "convolt was built without CUDA: -C cmake.define.CONVOLT_CUDA=ON builds it with"
    except ImportError as error:
        hint = "; pip install nvidia-cublas" if "cublas" in str(error) else ""
        return f"convolt._cuda could not be loaded: {error}{hint}"
    return None


_available = False


def _is_ready() -> bool:
    """Tell whether there is a device; once there is, nobody is asked again."""
    global _available
    _available = _available or unavailable_reason() is None
    return _available
