"""Arrays of other libraries on a CUDA device: two that speak one protocol each.

Their memory is that of a `convolt.cuda.Array`, which nobody else is shown.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import convolt
from convolt.cuda import Array


class _Described:
    def __init__(
        self, memory: Array, strides: tuple[int, ...] | None = None, *, stream: int | None = None
    ) -> None:
        self.memory = memory
        self.strides = strides
        self.stream = stream
        self.read_only = False
        self.shape = memory.shape

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        inner = self.memory.__cuda_array_interface__
        return {
            "shape": self.shape,
            "typestr": inner["typestr"],
            "data": (inner["data"][0], self.read_only),
            "version": 3,
            "strides": self.strides,
            "stream": self.stream,
        }


class InterfaceArray(_Described):
    """Speaks ``__cuda_array_interface__`` alone, with its stream, as CuPy's arrays do."""


class BareArray(_Described):
    """Speaks it too, and is of a library that takes nothing by DLPack."""


class CapsuleArray:
    """Speaks DLPack alone; its library computes on a current stream, as PyTorch does."""

    device = 0

    def __init__(self, memory: Array) -> None:
        self.memory = memory
        self.shape = memory.shape

    def __dlpack__(self, **options: Any) -> Any:
        return self.memory.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.memory.__dlpack_device__()


def _taken(array: Any, stream: int = 0) -> Array:
    """An array taken by DLPack, in both of its steps, for use on a stream."""
    assert array.__dlpack_device__()[0] == 2
    from convolt import _cuda

    before = _cuda.set_stream(stream)
    try:
        return Array(_cuda.from_dlpack(array))
    finally:
        _cuda.set_stream(*before)


def install(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Install the libraries of the arrays; return what a test may set: their current stream."""
    state = SimpleNamespace(stream=0)
    interface, capsule, bare = (
        ModuleType(f"{name}_library") for name in ("interface", "capsule", "bare")
    )
    interface.from_dlpack = lambda array: InterfaceArray(_taken(array))
    capsule.from_dlpack = lambda array: CapsuleArray(_taken(array, state.stream))
    capsule.cuda = SimpleNamespace(
        current_stream=lambda device: SimpleNamespace(cuda_stream=state.stream)
    )
    for library, kind in ((interface, InterfaceArray), (capsule, CapsuleArray), (bare, BareArray)):
        monkeypatch.setitem(sys.modules, library.__name__, library)
        monkeypatch.setattr(kind, "__module__", f"{library.__name__}.arrays")
    return state


def on_host(array: Any) -> np.ndarray:
    """The elements of an array of any kind."""
    return array.memory.numpy() if hasattr(array, "memory") else convolt.cuda.asnumpy(array)
