"""The library under test, through its public names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from contestants.ours import Convolt
from memory_problem import ColumnProblem, PoolProblem


class ConvoltMemory(Convolt):
    """The functions, which allocate their result."""

    def prepare(self, problem: PoolProblem | ColumnProblem) -> Callable[[], np.ndarray]:
        """Return the function to time."""
        if isinstance(problem, ColumnProblem):
            return self._columns(problem)
        if problem.operation == "pool_backward":
            return self._pool_backward(problem)
        convolt, arguments, x = self.convolt, problem.arguments(), problem.images()
        if problem.operation == "pool_with_indices":
            return lambda: convolt.max_pool2d(x, return_indices=True, **arguments)[0]
        if problem.shape.kind == "max":
            return lambda: convolt.max_pool2d(x, **arguments)
        if problem.shape.is_global:
            return lambda: convolt.global_avg_pool2d(x)
        return lambda: convolt.avg_pool2d(x, **arguments)

    def _pool_backward(self, problem: PoolProblem) -> Callable[[], np.ndarray]:
        convolt, arguments = self.convolt, problem.arguments()
        x, dy = problem.images(), problem.output_gradients()
        shape = x.shape
        if problem.shape.kind == "max":
            _, indices = convolt.max_pool2d(x, return_indices=True, **arguments)
            return lambda: convolt.max_pool2d_backward(dy, indices, shape, **arguments)
        if problem.shape.is_global:
            return lambda: convolt.global_avg_pool2d_backward(dy, shape)
        return lambda: convolt.avg_pool2d_backward(dy, shape, **arguments)

    def _columns(self, problem: ColumnProblem) -> Callable[[], np.ndarray]:
        convolt, arguments = self.convolt, problem.arguments()
        if problem.from_image:
            function, x = getattr(convolt, problem.operation), problem.images()
            return lambda: function(x, **arguments)
        col, shape = problem.columns(), problem.input_shape
        if problem.rows_are_windows:
            return lambda: convolt.col2im(col, shape, **arguments)
        return lambda: convolt.fold(col, shape[2:], **arguments)
