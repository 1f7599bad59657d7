"""DLPack at the level of its structures: capsules that are made by hand, and taken by hand."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

CUDA, CUDA_MANAGED, CPU = 2, 13, 1
INTEGER, UNSIGNED, FLOATING, BFLOAT = 0, 1, 2, 4
READ_ONLY = 1


class Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


# Called without the GIL.
Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Managed(ctypes.Structure):
    _fields_ = (("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", Deleter))


class ManagedVersioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", Deleter),
        ("flags", ctypes.c_uint64),
        ("tensor", Tensor),
    )


STRUCTURES: dict[bytes, Any] = {b"dltensor": Managed, b"dltensor_versioned": ManagedVersioned}

_api = ctypes.pythonapi
_new: Callable[..., Any] = _api.PyCapsule_New
_new.restype, _new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_name: Callable[..., Any] = _api.PyCapsule_GetName
_name.restype, _name.argtypes = ctypes.c_char_p, (ctypes.py_object,)
_pointer: Callable[..., Any] = _api.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
_rename: Callable[..., Any] = _api.PyCapsule_SetName
_rename.restype, _rename.argtypes = ctypes.c_int, (ctypes.py_object, ctypes.c_char_p)


class Producer:
    """Offers memory on a device as DLPack, and counts how often it gets it back."""

    def __init__(
        self,
        pointer: int,
        shape: tuple[int, ...],
        *,
        strides: tuple[int, ...] | None = None,
        element: tuple[int, int] = (FLOATING, 32),
        lanes: int = 1,
        device: tuple[int, int] = (CUDA, 0),
        version: int | None = 1,
        flags: int = 0,
        byte_offset: int = 0,
    ) -> None:
        self.deleted = 0
        self.requests: list[dict[str, Any]] = []
        self.device = device
        self.name = b"dltensor" if version is None else b"dltensor_versioned"
        self._numbers = [
            (ctypes.c_int64 * len(shape))(*numbers) for numbers in (shape, strides or shape)
        ]
        self.managed = STRUCTURES[self.name]()
        if version is not None:
            self.managed.major, self.managed.flags = version, flags
        self._deleter = Deleter(self._delete)
        self.managed.deleter = self._deleter
        tensor = self.managed.tensor
        tensor.data, tensor.byte_offset, tensor.ndim = pointer, byte_offset, len(shape)
        tensor.device_type, tensor.device_id = device
        tensor.code, tensor.bits, tensor.lanes = *element, lanes
        tensor.shape = ctypes.cast(self._numbers[0], ctypes.POINTER(ctypes.c_int64))
        if strides is not None:
            tensor.strides = ctypes.cast(self._numbers[1], ctypes.POINTER(ctypes.c_int64))

    def _delete(self, _: int) -> None:
        self.deleted += 1

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, **request: Any) -> Any:
        self.requests.append(request)
        if self.name == b"dltensor" and "max_version" in request:
            raise TypeError("an unexpected argument, max_version")
        return _new(ctypes.addressof(self.managed), self.name, None)


def take(capsule: Any) -> Any:
    """Return the structure in a capsule, as a consumer takes it."""
    name = _name(capsule)
    managed = STRUCTURES[name].from_address(_pointer(capsule, name))
    assert _rename(capsule, b"used_dltensor" + name[len("dltensor") :]) == 0
    return managed


def give_back(managed: Any) -> None:
    """Call the deleter of a structure that was taken, without the GIL."""
    managed.deleter(ctypes.addressof(managed))
