"""The contestants: each computes a ``Problem`` with one library.

A contestant lives in a process of its own, whose number of threads the environment sets. It imports
its library in ``__init__`` and describes it in ``details``. ``prepare`` makes the inputs, in the
form that the library likes best, and returns a function without arguments that computes the result:
only calls of that function are timed. A further rival is one class here and one line at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from problem import Problem


class Contestant(Protocol):
    """What the worker asks of a contestant."""

    details: dict[str, str]

    def prepare(self, problem: Problem) -> Callable[[], np.ndarray]:
        """Return the function to time; its result must be of the dtype of the problem."""


class Convolt:
    """The library under test, through its public functions."""

    def __init__(self) -> None:
        import convolt
        from convolt import functional

        self.functional = functional
        self.details = {key: str(value) for key, value in convolt.build_info().items()}

    def prepare(self, problem: Problem) -> Callable[[], np.ndarray]:
        """Return the function to time."""
        functional, arguments = self.functional, problem.arguments()
        x, weight = problem.images(), problem.weight()
        if problem.direction == "forward":
            return lambda: functional.conv2d(x, weight, **arguments)
        dy = problem.output_gradients()
        name = {"backward_data": "dx", "backward_weights": "dweight"}[problem.direction]

        def backward() -> np.ndarray:
            gradients = functional.conv2d_backward(dy, x, weight, needs=(name,), **arguments)
            return getattr(gradients, name)

        return backward


class NumPy:
    """im2col and the BLAS that NumPy was built with."""

    def __init__(self) -> None:
        blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        self.details = {
            "version": np.__version__,
            "blas": f"{blas.get('name')} {blas.get('version')}",
        }

    def prepare(self, problem: Problem) -> Callable[[], np.ndarray]:
        """Return the function to time."""
        from numpy_convolution import NumPyConvolution

        convolution = NumPyConvolution(problem)
        x, weight = problem.images(), problem.weight()
        if problem.direction == "forward":
            return lambda: convolution.forward(x, weight)
        dy = problem.output_gradients()
        if problem.direction == "backward_data":
            return lambda: convolution.backward_data(dy, weight)
        return lambda: convolution.backward_weights(dy, x)


CONTESTANTS: dict[str, Callable[[], Contestant]] = {"convolt": Convolt, "numpy": NumPy}
