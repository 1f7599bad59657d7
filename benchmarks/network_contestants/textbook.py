"""The networks as a textbook has them in NumPy: the method of "Deep Learning from Scratch".

Columns by loops over the taps of the kernel, products with them, the largest of each window by
argmax, everything in float64, and a gradient for the input of the first layer too.

References
----------
K. Saitoh, "Deep Learning from Scratch" (O'Reilly Japan, 2016), chapters 5 to 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from contestants.contestant import Unsupported
from contestants.numpy_blas import NumPy
from network_contestants.ours import flat
from network_problem import LEARNING_RATE, NetworkProblem

Options = dict[str, Any]
"""What the facts of a layer say of it."""


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
        weighted = [layer for layer in layers if isinstance(layer, Weighted)]
        adam = Adam([array for layer in weighted for array in (layer.weight, layer.bias)])

        def step() -> list[np.ndarray]:
            loss, dout = softmax_cross_entropy(scores(), labels)
            for layer in reversed(layers):
                dout = layer.backward(dout)
            gradients = [array for layer in weighted for array in (layer.dweight, layer.dbias)]
            adam.update(gradients)
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


def im2col(x: np.ndarray, kernel: int, stride: int, padding: int) -> np.ndarray:
    """Return the windows as rows: (N * OH * OW, C * kernel * kernel)."""
    n, c, h, w = x.shape
    oh, ow = ((size + 2 * padding - kernel) // stride + 1 for size in (h, w))
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    columns = np.zeros((n, c, kernel, kernel, oh, ow))
    for i in range(kernel):
        for j in range(kernel):
            columns[:, :, i, j] = x[
                :, :, i : i + stride * oh : stride, j : j + stride * ow : stride
            ]
    return columns.transpose(0, 4, 5, 1, 2, 3).reshape(n * oh * ow, -1)


def col2im(columns: np.ndarray, shape: tuple, kernel: int, stride: int, padding: int) -> np.ndarray:
    """Add rows of windows up into images of the given shape."""
    n, c, h, w = shape
    oh, ow = ((size + 2 * padding - kernel) // stride + 1 for size in (h, w))
    columns = columns.reshape(n, oh, ow, c, kernel, kernel).transpose(0, 3, 4, 5, 1, 2)
    images = np.zeros((n, c, h + 2 * padding + stride - 1, w + 2 * padding + stride - 1))
    for i in range(kernel):
        for j in range(kernel):
            images[:, :, i : i + stride * oh : stride, j : j + stride * ow : stride] += columns[
                :, :, i, j
            ]
    return images[:, :, padding : padding + h, padding : padding + w]


class Weighted:
    """A layer with parameters, which the optimizer changes in place."""

    weight: np.ndarray
    bias: np.ndarray
    dweight: np.ndarray
    dbias: np.ndarray


class Convolution(Weighted):
    """Stride 1."""

    def __init__(self, options: Options, weight: np.ndarray, bias: np.ndarray) -> None:
        self.weight, self.bias = weight, bias
        self.window = (weight.shape[2], 1, options["padding"])

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the product of the columns and the filters."""
        filters, _, kernel, _ = self.weight.shape
        n, _, h, w = x.shape
        oh, ow = (size + 2 * self.window[2] - kernel + 1 for size in (h, w))
        self.x_shape, self.columns = x.shape, im2col(x, *self.window)
        out = np.dot(self.columns, self.weight.reshape(filters, -1).T) + self.bias
        return out.reshape(n, oh, ow, -1).transpose(0, 3, 1, 2)

    def backward(self, dout: np.ndarray) -> np.ndarray:
        """Keep the gradients of filters and bias; return that of the images."""
        filters = len(self.weight)
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, filters)
        self.dbias = np.sum(dout, axis=0)
        dweight = np.dot(self.columns.T, dout)
        self.dweight = dweight.transpose(1, 0).reshape(self.weight.shape)
        dcolumns = np.dot(dout, self.weight.reshape(filters, -1))
        return col2im(dcolumns, self.x_shape, *self.window)


class MaxPooling:
    """Windows beside each other."""

    def __init__(self, options: Options) -> None:
        size, _ = options["kernel_size"]
        self.window = (size, size, 0)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the largest of each window, and keep where it was."""
        size = self.window[0]
        n, c, h, w = x.shape
        columns = im2col(x, *self.window).reshape(-1, size * size)
        self.x_shape, self.argmax = x.shape, np.argmax(columns, axis=1)
        out = np.max(columns, axis=1)
        return out.reshape(n, h // size, w // size, c).transpose(0, 3, 1, 2)

    def backward(self, dout: np.ndarray) -> np.ndarray:
        """Return the gradient of the images: dout where the largest were."""
        size = self.window[0]
        dcolumns = np.zeros((dout.size, size * size))
        dcolumns[np.arange(dout.size), self.argmax] = dout.transpose(0, 2, 3, 1).flatten()
        rows = dout.size // dout.shape[1]
        return col2im(dcolumns.reshape(rows, -1), self.x_shape, *self.window)


class Affine(Weighted):
    """A fully connected layer."""

    def __init__(self, options: Options, weight: np.ndarray, bias: np.ndarray) -> None:
        self.weight, self.bias = weight, bias

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return x times the weight, plus the bias."""
        self.x = x
        return np.dot(x, self.weight) + self.bias

    def backward(self, dout: np.ndarray) -> np.ndarray:
        """Keep the gradients of weight and bias; return that of the rows."""
        self.dweight = np.dot(self.x.T, dout)
        self.dbias = np.sum(dout, axis=0)
        return np.dot(dout, self.weight.T)


class Relu:
    """Sets what is not positive to zero by a mask."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the positive part."""
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout: np.ndarray) -> np.ndarray:
        """Return dout where the input was positive."""
        dout[self.mask] = 0
        return dout


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
    "Conv2d": Convolution,
    "Flatten": lambda options: Flatten(),
    "Linear": Affine,
    "LogSoftmax": lambda options: LogSoftmax(),
    "MaxPool2d": MaxPooling,
    "ReLU": lambda options: Relu(),
}


def softmax_cross_entropy(scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean loss and the gradient of the scores."""
    exponentials = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    softmax = exponentials / np.sum(exponentials, axis=1, keepdims=True)
    rows = np.arange(len(labels))
    loss = -np.sum(np.log(softmax[rows, labels] + 1e-7)) / len(labels)
    dscores = softmax.copy()
    dscores[rows, labels] -= 1
    return loss, dscores / len(labels)


class Adam:
    """Kingma and Ba's Adam, an array at a time."""

    def __init__(self, parameters: list[np.ndarray]) -> None:
        self.parameters, self.updates = parameters, 0
        self.m = [np.zeros_like(parameter) for parameter in parameters]
        self.v = [np.zeros_like(parameter) for parameter in parameters]

    def update(self, gradients: list[np.ndarray]) -> None:
        """Change the parameters in place."""
        self.updates += 1
        rate = LEARNING_RATE * np.sqrt(1 - 0.999**self.updates) / (1 - 0.9**self.updates)
        for parameter, gradient, m, v in zip(
            self.parameters, gradients, self.m, self.v, strict=True
        ):
            m += (1 - 0.9) * (gradient - m)
            v += (1 - 0.999) * (gradient**2 - v)
            parameter -= rate * m / (np.sqrt(v) + 1e-7)
