"""OpenVINO: a model with one convolution, on its CPU plugin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from contestants.contestant import Contestant, Unsupported
from problem import Problem


class OpenVino(Contestant):
    """Weights are constants, which the plugin prepares; the request reuses its output."""

    prepares_weights = True
    isa_variables = ("ONEDNN_MAX_CPU_ISA",)

    def __init__(self, threads: int) -> None:
        import openvino
        from openvino import opset13

        self.openvino, self.opset = openvino, opset13
        self.core = openvino.Core()
        self.config = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16 where the CPU has it
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # the scheduler places the threads, as everybody's
        }
        self.details = {"version": openvino.__version__}

    def prepare(self, problem: Problem) -> Callable[[], Any]:
        """Return the function to time."""
        if problem.direction != "forward":
            raise Unsupported("inference only")
        if problem.dtype != "float32":
            raise Unsupported(f"computes {problem.dtype} in float32")
        return self._request(self._model(problem), problem.images())

    def _request(self, model, x: np.ndarray) -> Callable[[], Any]:
        """Compile the model; return the function that runs it on x."""
        request = self.core.compile_model(model, "CPU", self.config).create_infer_request()
        request.set_input_tensor(self.openvino.Tensor(x, shared_memory=True))

        def infer(x: np.ndarray = x) -> Any:  # holds on to the memory that the tensor shares
            request.infer()
            return request

        return infer

    def as_array(self, result: Any) -> np.ndarray:
        """Return the output of the request."""
        return result.get_output_tensor().data

    def _model(self, problem: Problem):
        shape, opset = problem.shape, self.opset
        size = [problem.batch, shape.in_channels, *shape.input_size]
        x = opset.parameter(size, np.dtype(problem.dtype))
        weight = problem.weight()
        before, after = zip(*shape.padding, strict=True)
        geometry = (list(shape.stride), list(before), list(after), list(shape.dilation))
        if shape.groups == 1:
            y = opset.convolution(x, opset.constant(weight), *geometry)
        else:
            weight = weight.reshape(shape.groups, -1, *shape.weight_shape[1:])
            y = opset.group_convolution(x, opset.constant(weight), *geometry)
        return self.openvino.Model([y], [x], shape.name)
