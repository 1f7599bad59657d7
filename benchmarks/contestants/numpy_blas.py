"""NumPy: im2col and the BLAS that it was built with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from contestants.contestant import Contestant
from contestants.numpy_convolution import NumPyConvolution
from problem import Problem


class NumPy(Contestant):
    """Writes the columns into a buffer that every call uses again, and allocates the result."""

    prepares_weights = False
    isa_variables = ("OPENBLAS_CORETYPE", "MKL_ENABLE_INSTRUCTIONS")

    def __init__(self, threads: int) -> None:
        blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        self.details = {
            "version": np.__version__,
            "blas": f"{blas.get('name')} {blas.get('version')}",
        }

    def prepare(self, problem: Problem) -> Callable[[], np.ndarray]:
        """Return the function to time."""
        convolution = NumPyConvolution(problem)
        x, weight = problem.images(), problem.weight()
        if problem.direction == "forward":
            return lambda: convolution.forward(x, weight)
        dy = problem.output_gradients()
        if problem.direction == "backward_data":
            return lambda: convolution.backward_data(dy, weight)
        return lambda: convolution.backward_weights(dy, x)

    def as_array(self, result: np.ndarray) -> np.ndarray:
        """Return the array itself."""
        return result
