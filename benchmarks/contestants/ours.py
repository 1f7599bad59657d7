"""The library under test, through its public names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from contestants.contestant import Contestant, Unsupported
from problem import Problem


class Convolt(Contestant):
    """The functions, which pack the weights in each call and allocate their result."""

    prepares_weights = False
    isa_variables = ("CONVOLT_MAX_ISA",)

    def __init__(self, threads: int) -> None:
        import convolt

        self.convolt = convolt
        self.details = {key: str(value) for key, value in convolt.build_info().items()}

    def prepare(self, problem: Problem) -> Callable[[], np.ndarray]:
        """Return the function to time."""
        convolt, arguments = self.convolt, problem.arguments()
        x, weight = problem.images(), problem.weight()
        if problem.direction == "forward":
            return lambda: convolt.conv2d(x, weight, **arguments)
        dy = problem.output_gradients()
        name = {"backward_data": "dx", "backward_weights": "dweight"}[problem.direction]

        def backward() -> np.ndarray:
            gradients = convolt.conv2d_backward(dy, x, weight, needs=(name,), **arguments)
            return getattr(gradients, name)

        return backward

    def as_array(self, result: np.ndarray) -> np.ndarray:
        """Return the array itself."""
        return result

    def fma_peak(self, dtype: str, threads: int) -> float:
        """Measure the GFLOP/s of bare multiply-adds in registers."""
        from convolt import _core

        return _core.measure_fma_peak(dtype, threads)

    def copy(self, size: int) -> Callable[[], Any]:
        """Return a copy that reads and writes so many bytes together."""
        source, target = np.ones(size // 2, np.uint8), np.empty(size // 2, np.uint8)
        return lambda: np.copyto(target, source)


class ConvoltPrepared(Convolt):
    """Inference with weights that were packed beforehand."""

    prepares_weights = True

    def prepare(self, problem: Problem) -> Callable[[], np.ndarray]:
        """Return the function to time."""
        if problem.direction != "forward":
            raise Unsupported("prepared weights are for the forward pass")
        x = problem.images()
        prepared = self.convolt.PreparedConv2d(problem.weight(), **problem.arguments())
        return lambda: prepared(x)
