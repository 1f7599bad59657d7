"""PyTorch, with tensors in NCHW or in its channels_last memory format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from contestants.contestant import Contestant, Unsupported
from problem import Problem


class Torch(Contestant):
    """Tensors over NCHW arrays; each call reorders what it needs and allocates its result."""

    prepares_weights = False
    isa_variables = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")
    memory_format = "contiguous_format"

    def __init__(self, threads: int) -> None:
        import torch

        self.torch = torch
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision("highest")
        self.mode = torch.inference_mode()
        self.mode.__enter__()  # for good, since a with statement in each call would be timed too
        self.details = {
            "version": str(torch.__version__),  # a class of its own, which needs torch to unpickle
            "capability": torch.backends.cpu.get_cpu_capability(),
            "threads": str(torch.get_num_threads()),
        }

    def prepare(self, problem: Problem) -> Callable[[], Any]:
        """Return the function to time."""
        shape = problem.shape
        padding = shape.symmetric_padding
        if padding is None:
            raise Unsupported("padding must be the same on both sides")
        x, weight = self._tensor(problem.images()), self._tensor(problem.weight())
        if problem.direction == "forward":
            geometry = (shape.stride, padding, shape.dilation, shape.groups)
            conv2d = self.torch.nn.functional.conv2d
            return lambda: conv2d(x, weight, None, *geometry)
        dy = self._tensor(problem.output_gradients())
        geometry = (shape.stride, padding, shape.dilation, False, (0, 0), shape.groups)
        which = ("backward_data", "backward_weights").index(problem.direction)
        wanted = [which == 0, which == 1, False]  # of the input, the weight, the bias
        backward = self.torch.ops.aten.convolution_backward.default
        return lambda: backward(dy, x, weight, None, *geometry, wanted)[which]

    def as_array(self, result: Any) -> np.ndarray:
        """View the tensor as an array."""
        return result.numpy()

    def _tensor(self, array: np.ndarray) -> Any:
        memory_format = getattr(self.torch, self.memory_format)
        return self.torch.from_numpy(array).contiguous(memory_format=memory_format)


class TorchChannelsLast(Torch):
    """Every tensor in NHWC order, brought there beforehand, and the result left in it."""

    memory_format = "channels_last"
