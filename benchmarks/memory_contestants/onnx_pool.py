"""ONNX Runtime: a graph with one pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from contestants.contestant import Unsupported
from contestants.onnx_runtime import OnnxRuntime
from memory_problem import ColumnProblem, PoolProblem


class OnnxPool(OnnxRuntime):
    """Each call allocates its result."""

    def prepare(self, problem: PoolProblem | ColumnProblem) -> Callable[[], Any]:
        """Return the function to time."""
        if problem.operation != "pool":
            raise Unsupported(f"no {problem.operation}")
        session = self._session(self._pool_model(problem), f"{problem.dtype} pooling")
        inputs = {"x": problem.images()}
        return lambda: session.run(None, inputs)

    def _pool_model(self, problem: PoolProblem):
        helper, shape = self.onnx.helper, problem.shape
        window = {
            "kernel_shape": shape.kernel_size,
            "strides": shape.stride,
            "pads": 2 * shape.padding_before,
            "ceil_mode": int(shape.ceil_mode),
        }
        if shape.is_global and shape.kind == "average":
            node = helper.make_node("GlobalAveragePool", ["x"], ["y"])
        elif shape.kind == "average":
            node = helper.make_node("AveragePool", ["x"], ["y"], count_include_pad=1, **window)
        else:
            node = helper.make_node("MaxPool", ["x"], ["y"], **window)
        element = helper.np_dtype_to_tensor_dtype(np.dtype(problem.dtype))
        planes = (problem.batch, shape.channels)
        return self._graph(
            node, element, (*planes, *shape.input_size), (*planes, *shape.output_size)
        )
