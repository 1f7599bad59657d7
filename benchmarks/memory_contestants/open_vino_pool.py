"""OpenVINO: a model with one pooling, on its CPU plugin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from contestants.contestant import Unsupported
from contestants.open_vino import OpenVino
from memory_problem import ColumnProblem, PoolProblem


class OpenVinoPool(OpenVino):
    """The request reuses its output."""

    def prepare(self, problem: PoolProblem | ColumnProblem) -> Callable[[], Any]:
        """Return the function to time."""
        if problem.operation != "pool":
            raise Unsupported(f"no {problem.operation}")
        if problem.dtype != "float32":
            raise Unsupported(f"computes {problem.dtype} in float32")
        return self._request(self._pool_model(problem), problem.images())

    def _pool_model(self, problem: PoolProblem):
        shape, opset = problem.shape, self.opset
        size = [problem.batch, shape.channels, *shape.input_size]
        x = opset.parameter(size, np.dtype(problem.dtype))
        padding, stride = list(shape.padding_before), list(shape.stride)
        kernel, rounding = list(shape.kernel_size), "ceil" if shape.ceil_mode else "floor"
        if shape.kind == "average":
            y = opset.avg_pool(x, stride, padding, padding, kernel, False, rounding)
            outputs = [y]
        else:
            y = opset.max_pool(x, stride, [1, 1], padding, padding, kernel, rounding)
            outputs = [y.output(0)]
        return self.openvino.Model(outputs, [x], shape.name)
