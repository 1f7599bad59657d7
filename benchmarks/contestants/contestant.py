"""What the benchmark asks of a contestant."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from problem import Problem


class Unsupported(Exception):
    """A contestant cannot compute this, for a reason that the table's reader should know."""


class Contestant(Protocol):
    """A library that computes problems, with a number of threads.

    The environment sets that number too, and it may limit the instruction set.
    """

    prepares_weights: bool
    """Whether ``prepare`` may bring the weights into another form, outside of the timing."""

    isa_variables: tuple[str, ...]
    """The environment variables that limit the library's instruction set."""

    details: dict[str, str]
    """The versions behind the figures."""

    def __init__(self, threads: int) -> None: ...

    def prepare(self, problem: Problem) -> Callable[[], Any]:
        """Make the inputs, in the form that the library likes best; return what is to be timed.

        Raises
        ------
        Unsupported
            If the library has no such pass or element type.
        """

    def as_array(self, result: Any) -> np.ndarray:
        """Turn what the timed function returns into an array in NCHW; this is not timed."""

    def time(self, function: Callable[[], Any]) -> float:
        """Call the function; return the seconds that it took."""
        start = perf_counter()
        function()
        return perf_counter() - start
