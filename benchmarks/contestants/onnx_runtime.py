"""ONNX Runtime: a graph with one convolution."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from contestants.contestant import Contestant, Unsupported
from problem import Problem


class OnnxRuntime(Contestant):
    """Weights are part of the graph, which the session prepares; each call allocates its result."""

    prepares_weights = True
    isa_variables = ()

    def __init__(self, threads: int) -> None:
        import onnx
        import onnxruntime

        self.onnx, self.onnxruntime = onnx, onnxruntime
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads
        self.options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        self.details = {"version": onnxruntime.__version__, "onnx": onnx.__version__}

    def prepare(self, problem: Problem) -> Callable[[], np.ndarray]:
        """Return the function to time."""
        if problem.direction != "forward":
            raise Unsupported("inference only")
        inputs = {"x": problem.images()}
        session = self._session(self._model(problem), f"{problem.dtype} convolution")
        return lambda: session.run(None, inputs)

    def as_array(self, result: list[np.ndarray]) -> np.ndarray:
        """Return the only output."""
        return result[0]

    def _session(self, model, what: str):
        """Prepare the model, which is ``what`` in the words of a message."""
        try:
            return self.onnxruntime.InferenceSession(
                model.SerializeToString(), self.options, providers=["CPUExecutionProvider"]
            )
        except self.onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
            raise Unsupported(f"no {what}") from None

    def _model(self, problem: Problem):
        helper, shape = self.onnx.helper, problem.shape
        element = helper.np_dtype_to_tensor_dtype(np.dtype(problem.dtype))
        x_shape = (problem.batch, shape.in_channels, *shape.input_size)
        y_shape = (problem.batch, shape.out_channels, *shape.output_size)
        (top, bottom), (left, right) = shape.padding
        convolution = helper.make_node(
            "Conv",
            ["x", "weight"],
            ["y"],
            kernel_shape=shape.kernel_size,
            strides=shape.stride,
            pads=(top, left, bottom, right),
            dilations=shape.dilation,
            group=shape.groups,
        )
        weight = self.onnx.numpy_helper.from_array(problem.weight(), "weight")
        return self._graph(convolution, element, x_shape, y_shape, [weight])

    def _graph(self, node, element, x_shape, y_shape, constants=()):
        """Make the model of one node, from x to y."""
        helper = self.onnx.helper
        graph = helper.make_graph(
            [node],
            "one node",
            [helper.make_tensor_value_info("x", element, x_shape)],
            [helper.make_tensor_value_info("y", element, y_shape)],
            constants,
        )
        opset = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opset, ir_version=9)
