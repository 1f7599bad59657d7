"""The networks as a textbook has them in NumPy: the method of "Deep Learning from Scratch".

The layers of ``book_layers``, everything in float64, with a gradient for the input of the first
layer too.

References
----------
K. Saitoh, "Deep Learning from Scratch" (O'Reilly Japan, 2016), chapters 5 to 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from book_layers import Affine, Convolution, Pooling, Relu, SoftmaxWithLoss
from book_script import Adam
from contestants.contestant import Unsupported
from contestants.numpy_blas import NumPy
from network_contestants.ours import flat
from network_problem import LEARNING_RATE, NetworkProblem


class TextbookNetwork(NumPy):
    """Layers that keep what their backward pass needs."""

    def prepare(self, problem: NetworkProblem) -> Callable[[], list[np.ndarray]]:
        """Return the function to time."""
        layers = list(_layers(problem))
        x, labels = problem.images().astype(np.float64), problem.labels()

        def scores() -> np.ndarray:
            out = x
            for layer in layers:
                out = layer.forward(out)
            return out

        if problem.task == "inference":
            return lambda: [scores()]
        weighted = [layer for layer in layers if isinstance(layer, Convolution | Affine)]
        parameters = [array for layer in weighted for array in (layer.W, layer.b)]
        adam, last = Adam(LEARNING_RATE), SoftmaxWithLoss()

        def step() -> list[np.ndarray]:
            loss = last.forward(scores(), labels)
            dout = last.backward()
            for layer in reversed(layers):
                dout = layer.backward(dout)
            gradients = [array for layer in weighted for array in (layer.dW, layer.db)]
            adam.update(dict(enumerate(parameters)), dict(enumerate(gradients)))
            return [loss, *gradients]

        return step

    def as_array(self, result: list[np.ndarray]) -> np.ndarray:
        """Put the arrays one after the other."""
        return flat(result)


def _layers(problem: NetworkProblem) -> Iterator[Any]:
    unknown = {facts.kind for facts in problem.facts.children} - LAYERS.keys()
    if unknown:
        raise Unsupported(f"{problem.net} has layers not in the book: {', '.join(sorted(unknown))}")
    parameters = problem.parameters()
    for facts in problem.facts.children:
        yield LAYERS[facts.kind](facts.options, *(next(parameters) for _ in facts.parameters))


class Flatten:
    """Rows of images."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the rows."""
        self.x_shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dout: np.ndarray) -> np.ndarray:
        """Return images."""
        return dout.reshape(self.x_shape)


class LogSoftmax:
    """Logarithms of probabilities."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return x less the logarithm of the sum of the exponentials."""
        x = x - np.max(x, axis=1, keepdims=True)
        self.out = x - np.log(np.sum(np.exp(x), axis=1, keepdims=True))
        return self.out

    def backward(self, dout: np.ndarray) -> np.ndarray:
        """Return dout less the probabilities times its sum."""
        return dout - np.exp(self.out) * np.sum(dout, axis=1, keepdims=True)


LAYERS: dict[str, Callable[..., Any]] = {
    "Conv2d": lambda options, *parameters: Convolution(*parameters, pad=options["padding"]),
    "Flatten": lambda options: Flatten(),
    "Linear": lambda options, *parameters: Affine(*parameters),
    "LogSoftmax": lambda options: LogSoftmax(),
    "MaxPool2d": lambda options: Pooling(*options["kernel_size"], stride=options["kernel_size"][0]),
    "ReLU": lambda options: Relu(),
}
