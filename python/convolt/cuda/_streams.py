"""The stream that calls are enqueued on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from convolt._padding import is_int
from convolt.cuda._load import index_of, module, resolve

LEGACY_DEFAULT = 0
# What __cuda_array_interface__ and DLPack call the legacy default stream.
_LEGACY_BY_NAME = 1


class _Thread(threading.local):
    chosen = False


_thread = _Thread()


class Stream(NamedTuple):
    """A ``cudaStream_t``, and the object that keeps it from being destroyed, where one is known."""

    handle: int
    keeper: Any = None


def stream_handle(stream: Any) -> int:
    """Return the ``cudaStream_t`` of a stream as an int.

    It is given as one, or as an object with `cuda_stream` (PyTorch), `ptr` (CuPy) or
    ``__cuda_stream__`` (NVIDIA's protocol).
    """
    handle = stream
    if hasattr(stream, "__cuda_stream__"):
        protocol = stream.__cuda_stream__
        handle = (protocol() if callable(protocol) else protocol)[1]
    elif hasattr(stream, "cuda_stream"):
        handle = stream.cuda_stream
    elif hasattr(stream, "ptr"):
        handle = stream.ptr
    if not is_int(handle) or handle < 0:
        raise TypeError(
            "use_stream: stream must be a handle as an int, or an object with cuda_stream, ptr or "
            f"__cuda_stream__, got {stream!r}"
        )
    return LEGACY_DEFAULT if handle == _LEGACY_BY_NAME else int(handle)


@contextmanager
def use_stream(stream: Any) -> Iterator[None]:
    """Enqueue what this thread computes on another stream, within a ``with`` block.

    Otherwise it goes on the stream of the library that an operand comes from, where that says
    which it is, else on the legacy default stream. Operands from other streams are waited for on
    the device, never by the host.

    Parameters
    ----------
    stream
        An object with `cuda_stream` (PyTorch), `ptr` (CuPy) or ``__cuda_stream__``, which the
        arrays made on it keep alive, or a ``cudaStream_t`` as an int, which has to live longer than
        they do.
    """
    chosen, before = Stream(stream_handle(stream), stream), _thread.chosen
    _thread.chosen = True
    try:
        with _current(chosen):
            yield
    finally:
        _thread.chosen = before


@contextmanager
def callers_stream(stream: Stream | None) -> Iterator[None]:
    """Enqueue on the stream of an operand, unless the user has chosen one or there is none."""
    if stream is None or _thread.chosen:
        yield
        return
    with _current(stream):
        yield


@contextmanager
def _current(stream: Stream) -> Iterator[None]:
    cuda = module()
    before = cuda.set_stream(*stream)
    try:
        yield
    finally:
        cuda.set_stream(*before)


def synchronize(device: str = "cuda") -> None:
    """Wait until a device has done all that it was given on this thread's stream."""
    module().synchronize(index_of(resolve(device, "synchronize")))
