"""PyTorch, with tensors in NCHW or in its channels_last memory format."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from contestants.contestant import Unsupported
from contestants.pytorch import Torch
from memory_problem import ColumnProblem, PoolProblem


class TorchMemory(Torch):
    """Functions of ``torch.nn.functional``, and the operators behind their gradients."""

    def prepare(self, problem: PoolProblem | ColumnProblem) -> Callable[[], Any]:
        """Return the function to time."""
        if isinstance(problem, ColumnProblem):
            return self._columns(problem)
        if problem.operation == "pool_backward":
            return self._pool_backward(problem)
        functional, shape = self.torch.nn.functional, problem.shape
        arguments, x = problem.arguments(), self._tensor(problem.images())
        if problem.operation == "pool_with_indices":
            return lambda: functional.max_pool2d(x, return_indices=True, **arguments)[0]
        if shape.kind == "max":
            return lambda: functional.max_pool2d(x, **arguments)
        if shape.is_global:
            return lambda: functional.adaptive_avg_pool2d(x, 1)
        return lambda: functional.avg_pool2d(x, **arguments)

    def _pool_backward(self, problem: PoolProblem) -> Callable[[], Any]:
        aten, shape = self.torch.ops.aten, problem.shape
        x, dy = self._tensor(problem.images()), self._tensor(problem.output_gradients())
        window = (shape.kernel_size, shape.stride, shape.padding_before)
        if shape.kind == "max":
            arguments = problem.arguments()
            _, indices = self.torch.nn.functional.max_pool2d(x, return_indices=True, **arguments)
            max_backward = aten.max_pool2d_with_indices_backward.default
            return lambda: max_backward(dy, x, *window, (1, 1), shape.ceil_mode, indices)
        if shape.is_global:  # as the gradient of mean(), which the forward pass is
            pixels = math.prod(shape.input_size)
            return lambda: dy.expand(x.shape) / pixels
        avg_backward = aten.avg_pool2d_backward.default
        return lambda: avg_backward(dy, x, *window, shape.ceil_mode, True, None)

    def _columns(self, problem: ColumnProblem) -> Callable[[], Any]:
        """Take the book's layout as the transpose of PyTorch's, which fold reads where it is."""
        functional, shape = self.torch.nn.functional, problem.shape
        padding = shape.symmetric_padding
        if padding is None:
            raise Unsupported("padding must be the same on both sides")
        geometry = (shape.kernel_size, shape.dilation, padding, shape.stride)
        if problem.from_image:
            x = self._tensor(problem.images())
            if not problem.rows_are_windows:
                return lambda: functional.unfold(x, *geometry)
            return lambda: (
                functional.unfold(x, *geometry).transpose(1, 2).contiguous().flatten(0, 1)
            )
        col = self.torch.from_numpy(problem.columns())
        if problem.rows_are_windows:
            col = col.view(problem.batch, -1, col.shape[1]).transpose(1, 2)
        return lambda: functional.fold(col, shape.input_size, *geometry)


class TorchChannelsLastMemory(TorchMemory):
    """Every tensor in NHWC order, brought there beforehand, and the result left in it."""

    memory_format = "channels_last"

    def _columns(self, problem: ColumnProblem) -> Callable[[], Any]:
        raise Unsupported("column matrices are those of NCHW")
