"""What this build is, and what it may use: instruction set, algorithm, threads, memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from convolt import _core
from convolt._checks import check_algorithm_name
from convolt._padding import integer


def build_info() -> dict[str, Any]:
    """Describe the build and what it uses on this machine.

    Returns
    -------
    dict
        ``version``, ``compiler``, ``flags`` and ``kernel_flags``; ``isas_compiled``,
        ``isas_supported`` (by this CPU) and ``isa_selected``; ``algorithm``, ``openmp``,
        ``num_threads``; ``cuda``, whether there is a module for CUDA, of which
        :mod:`convolt.cuda` knows more.

    Raises
    ------
    ValueError
        Where the environment variable ``CONVOLT_MAX_ISA`` names no supported instruction set, or
        ``CONVOLT_ALGORITHM`` no algorithm.

    Examples
    --------
    >>> import convolt
    >>> info = convolt.build_info()
    >>> info["isa_selected"] in info["isas_supported"]
    True
    """
    return {**_core.build_info(), "cuda": find_spec("convolt._cuda") is not None}


def set_isa(name: str | None) -> None:
    """Choose the instruction set of the kernels, for the whole process.

    Parameters
    ----------
    name : str or None
        One of ``build_info()["isas_supported"]``; ``None`` for the default: the highest one, or
        what the environment variable ``CONVOLT_MAX_ISA`` names.

    Raises
    ------
    TypeError
        For what is neither a str nor None.
    ValueError
        For a name that is unknown or not supported here.
    """
    if not (name is None or isinstance(name, str)):
        raise TypeError(f"set_isa: name must be a str or None, got {name!r}")
    _core.set_isa(name)


def get_algorithm() -> str:
    """Return the algorithm of a convolution for which the call names none.

    That is what :func:`set_algorithm` set, else what the environment variable
    ``CONVOLT_ALGORITHM`` names, else "auto".

    Raises
    ------
    ValueError
        Where ``CONVOLT_ALGORITHM`` names no algorithm.
    """
    return _core.algorithm()


def set_algorithm(algorithm: str | None) -> None:
    """Choose the algorithm of convolutions for which the call names none, for the whole process.

    It holds for functions, layers and :class:`PreparedConv2d`, for gradients and transposed
    convolutions. Where Winograd does not apply, a default of Winograd is "auto".

    Parameters
    ----------
    algorithm : {"auto", "gemm", "winograd", "winograd_2x2", "winograd_4x4"} or None
        See :func:`conv2d`; ``None`` goes back to the default.

    Raises
    ------
    ValueError
        For an unknown name.

    Examples
    --------
    >>> import convolt
    >>> convolt.set_algorithm("gemm")
    >>> convolt.get_algorithm()
    'gemm'
    >>> convolt.set_algorithm(None)
    """
    if algorithm is not None:
        check_algorithm_name(algorithm, "set_algorithm")
    _core.set_algorithm(algorithm)


def get_num_threads() -> int:
    """Return how many threads a call from this thread may use.

    That is the limit of :func:`num_threads` in this thread, else what :func:`set_num_threads` set,
    else what ``OMP_NUM_THREADS``, the CPU affinity and threadpoolctl allow. Small problems use
    fewer. In a process that was forked from one that had used threads it is 1.
    """
    return _core.num_threads()


def set_num_threads(threads: int | None) -> None:
    """Set the number of threads for the whole process; ``None`` goes back to the default.

    The results do not depend on it, to the bit.

    Raises
    ------
    TypeError, ValueError
        For what is not an integer of at least 1.
    """
    _core.set_num_threads(_checked(threads, "set_num_threads"))


@contextmanager
def num_threads(threads: int | None) -> Iterator[None]:
    """Limit the number of threads of calls from this thread, within a ``with`` block.

    Examples
    --------
    >>> import convolt
    >>> with convolt.num_threads(1):
    ...     convolt.get_num_threads()
    1
    """
    limit = _checked(threads, "num_threads")
    before = _core.thread_limit()
    _core.limit_threads(limit)
    try:
        yield
    finally:
        _core.limit_threads(before)


def _checked(threads: int | None, function: str) -> int:
    """Return the number as the engine takes it: 0 for no number."""
    if threads is None:
        return 0
    return min(integer(threads, "threads", function, minimum=1), 2**15)


def scratch_bytes() -> int:
    """Return the bytes of scratch memory that the engine holds, for all threads together.

    Each calling thread has one arena, as large as its largest call needed and at most 64 MiB
    between calls; it does not grow with the number of shapes seen.
    """
    return _core.scratch_bytes()


def release_memory() -> None:
    """Give the scratch memory of the calling thread back."""
    _core.release_memory()
