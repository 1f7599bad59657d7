"""Arrays of other libraries on CUDA devices: taken without a copy, and given back in kind."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from convolt.cuda._load import module
from convolt.cuda._streams import callers_stream, stream_handle


class Kind(NamedTuple):
    """What is remembered of an operand of another library, to give back results like it."""

    from_dlpack: Callable[[Any], Any] | None
    stream: int | None


def take(value: Any) -> tuple[Any, Kind]:
    """Return a `_cuda.DeviceArray` over the memory of `value`, and what is to be remembered.

    ``__cuda_array_interface__`` comes first because it tells the stream of CuPy's arrays; the
    streams of PyTorch are known from its module. With DLPack the producer makes the current stream
    wait.
    """
    module()
    library = _library(value)
    stream = _current_stream(library, value)
    interface = getattr(value, "__cuda_array_interface__", None)
    if interface is None:
        with callers_stream(stream):
            array = module().from_dlpack(value)
    else:
        named = interface.get("stream")
        stream = stream if named is None else stream_handle(named)
        pointer, is_read_only = interface["data"]
        array = module().view(
            pointer,
            interface["shape"],
            interface.get("strides"),
            np.dtype(interface["typestr"]),
            value,
            stream,
            not is_read_only,
        )
    return array, Kind(getattr(library, "from_dlpack", None), stream)


def _library(value: Any) -> Any:
    """Return the package that the class of `value` is from, if it can take arrays by DLPack."""
    for base in type(value).__mro__:
        library = sys.modules.get(base.__module__.partition(".")[0])
        if hasattr(library, "from_dlpack"):
            return library
    return None


def _current_stream(library: Any, value: Any) -> int | None:
    """Return the stream that PyTorch computes on at present."""
    current = getattr(getattr(library, "cuda", None), "current_stream", None)
    return None if current is None else stream_handle(current(value.device))
