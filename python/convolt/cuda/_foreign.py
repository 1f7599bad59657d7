"""Arrays of other libraries on CUDA devices: taken without a copy, and given back in kind."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from convolt.cuda._load import module
from convolt.cuda._streams import Stream, callers_stream, stream_handle


class Kind(NamedTuple):
    """What is remembered of an operand of another library, to give back results like it."""

    from_dlpack: Callable[[Any], Any] | None
    stream: Stream | None


DTYPES = tuple(map(np.dtype, (np.float32, np.float64, np.int64, np.uint8)))


def take(value: Any, subject: str = "convolt.cuda: an array") -> tuple[Any, Kind]:
    """Return a `_cuda.DeviceArray` over the memory of `value`, and what is to be remembered.

    An error begins with `subject`.

    ``__cuda_array_interface__`` comes first because it tells the stream of CuPy's arrays; that of
    PyTorch's is known from its module. With DLPack the producer makes the current stream wait.
    """
    module()
    library = _library(value)
    stream = _current_stream(library, value)
    interface = getattr(value, "__cuda_array_interface__", None)
    if interface is not None:
        stream = _named_stream(interface, stream)
    with callers_stream(stream):
        if interface is None:
            array = module().from_dlpack(value)
        else:
            array = _view(value, interface, stream, subject)
    return array, Kind(getattr(library, "from_dlpack", None), stream)


def _view(value: Any, interface: dict[str, Any], stream: Stream | None, subject: str) -> Any:
    dtype = np.dtype(interface["typestr"])
    if not dtype.isnative:
        raise TypeError(f"{subject} must be in native byte order, got {dtype}")
    if dtype not in DTYPES:
        raise TypeError(f"{subject} must be float32, float64, int64 or uint8, got {dtype}")
    if interface.get("mask") is not None:
        raise TypeError(f"{subject} must be a plain array, got one with a mask")
    pointer, is_read_only = interface["data"]
    describe = getattr(value, "__dlpack_device__", None)
    return module().view(
        pointer,
        interface["shape"],
        interface.get("strides"),
        dtype,
        (value, stream),  # both live as long as the view
        None if stream is None else stream.handle,
        not is_read_only,
        None if describe is None else int(describe()[1]),
    )


def _library(value: Any) -> Any:
    """Return the package that the class of `value` is from, if it can take arrays by DLPack."""
    for base in type(value).__mro__:
        library = sys.modules.get(base.__module__.partition(".")[0])
        if hasattr(library, "from_dlpack"):
            return library
    return None


def _current_stream(library: Any, value: Any) -> Stream | None:
    """Return the stream that PyTorch or CuPy computes on at present."""
    cuda: Any = getattr(library, "cuda", None)
    if hasattr(cuda, "current_stream"):
        stream = cuda.current_stream(value.device)
    elif hasattr(cuda, "get_current_stream"):
        stream = cuda.get_current_stream()
    else:
        return None
    return Stream(stream_handle(stream), stream)


def _named_stream(interface: dict[str, Any], current: Stream | None) -> Stream | None:
    """Return the stream of the interface; where that is the current one, with its object."""
    if interface.get("stream") is None:
        return current
    handle = stream_handle(interface["stream"])
    return current if current is not None and current.handle == handle else Stream(handle)
