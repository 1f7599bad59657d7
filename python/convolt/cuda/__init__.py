"""NVIDIA GPUs: arrays on a device, streams, and whether there is a device at all.

All operators of :mod:`convolt.functional` take, in place of NumPy arrays, arrays on a CUDA device:
:class:`Array`, and those of any library that speaks ``__cuda_array_interface__`` or DLPack, such as
CuPy and PyTorch. They are computed where they are, without a copy, on the stream of their library,
and the same kind comes back. A model is moved by ``model.to("cuda")``, and then takes and gives
:class:`Array`; :func:`convolt.set_device` has NumPy arrays computed on a device, call by call.

It needs a build with CUDA: ``pip install . -C cmake.define.CONVOLT_CUDA=ON``.

Examples
--------
>>> import numpy as np, convolt
>>> x = np.ones((1, 1, 4, 4), np.float32)
>>> if convolt.cuda.is_available():
...     y = convolt.max_pool2d(convolt.cuda.asarray(x), 2).numpy()
... else:
...     y = convolt.max_pool2d(x, 2)
>>> y.shape
(1, 1, 2, 2)
"""

from __future__ import annotations

from typing import Any

from convolt._checks import check_flag
from convolt.cuda._array import Array, asarray, asnumpy, empty, zeros, zeros_like
from convolt.cuda._load import index_of, module, resolve, unavailable_reason
from convolt.cuda._streams import synchronize, use_stream


def is_available() -> bool:
    """Tell whether this build can compute on a CUDA device here; if not, see the reason."""
    return unavailable_reason() is None


def device_count() -> int:
    """Return the number of CUDA devices; 0 where :func:`is_available` is False."""
    return int(module().device_count()) if is_available() else 0


def device_properties(device: str = "cuda") -> dict[str, Any]:
    """Describe a device.

    Returns
    -------
    dict
        Name, compute capability, multiprocessors, clocks, memory.
    """
    name = resolve(device, "device_properties")
    return dict(module().device_properties(index_of(name)))


def memory_info(device: str = "cuda") -> dict[str, int]:
    """Return the bytes of the memory of a device: "free" and "total"."""
    number = index_of(resolve(device, "memory_info"))
    free, total = module().memory_use(number)
    return {"free": free, "total": total}


def release_memory(device: str = "cuda") -> None:
    """Give memory of a device that is allocated and not in use back to the system."""
    module().release_memory(index_of(resolve(device, "release_memory")))


def allow_tf32(allowed: bool) -> None:
    """Choose whether matrix products of float32 may round their factors to 10 bits (TF32).

    It is quicker where the device has tensor cores, and not allowed at first.
    """
    module().allow_tf32(check_flag(allowed, "allowed", "allow_tf32"))


__all__ = [
    "Array",
    "allow_tf32",
    "asarray",
    "asnumpy",
    "device_count",
    "device_properties",
    "empty",
    "is_available",
    "memory_info",
    "release_memory",
    "synchronize",
    "unavailable_reason",
    "use_stream",
    "zeros",
    "zeros_like",
]
