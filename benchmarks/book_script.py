"""A script as the readers of "Deep Learning from Scratch" have it: network, gradients, training.

It is written against the book's layers, whichever module they come from: see ``book_layers``. The
random numbers are NumPy's global ones, as in the book: ``np.random.seed`` makes a run reproducible.

References
----------
K. Saitoh, "Deep Learning from Scratch" (O'Reilly Japan, 2016), chapters 4, 6 and 7.
"""
# ruff: noqa: NPY002 - the generator that the book uses

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from types import ModuleType

import numpy as np

CONV_PARAM = {"filter_num": 30, "filter_size": 5, "pad": 0, "stride": 1}


class SimpleConvNet:
    """Convolution - ReLU - max pooling - affine - ReLU - affine, with the softmax cross entropy."""

    def __init__(
        self,
        layers: ModuleType,
        input_dim: tuple[int, int, int] = (1, 28, 28),
        conv_param: dict[str, int] = CONV_PARAM,
        hidden_size: int = 100,
        output_size: int = 10,
        weight_init_std: float = 0.01,
    ) -> None:
        channels, size, _ = input_dim
        filters, kernel = conv_param["filter_num"], conv_param["filter_size"]
        stride, pad = conv_param["stride"], conv_param["pad"]
        pooled = ((size + 2 * pad - kernel) // stride + 1) // 2
        shapes = {
            "1": (filters, channels, kernel, kernel),
            "2": (filters * pooled * pooled, hidden_size),
            "3": (hidden_size, output_size),
        }
        self.params = {}
        for number, shape in shapes.items():
            outputs = shape[0] if len(shape) == 4 else shape[1]
            self.params["W" + number] = weight_init_std * np.random.randn(*shape)
            self.params["b" + number] = np.zeros(outputs)

        weights = [(self.params["W" + number], self.params["b" + number]) for number in shapes]
        self.layers = OrderedDict()
        self.layers["Conv1"] = layers.Convolution(*weights[0], stride, pad)
        self.layers["Relu1"] = layers.Relu()
        self.layers["Pool1"] = layers.Pooling(pool_h=2, pool_w=2, stride=2)
        self.layers["Affine1"] = layers.Affine(*weights[1])
        self.layers["Relu2"] = layers.Relu()
        self.layers["Affine2"] = layers.Affine(*weights[2])
        self.last_layer = layers.SoftmaxWithLoss()

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the scores."""
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def loss(self, x: np.ndarray, t: np.ndarray) -> float:
        """Return the mean cross entropy."""
        return self.last_layer.forward(self.predict(x), t)

    def accuracy(self, x: np.ndarray, t: np.ndarray, batch_size: int = 100) -> float:
        """Return the share of images that are given their label."""
        right = 0
        for start in range(0, len(x), batch_size):
            batch = slice(start, start + batch_size)
            right += np.sum(self.predict(x[batch]).argmax(axis=1) == t[batch])
        return right / len(x)

    def numerical_gradient(self, x: np.ndarray, t: np.ndarray) -> dict[str, np.ndarray]:
        """Return the gradients of the loss by differences."""
        return {
            name: numerical_gradient(lambda _: self.loss(x, t), parameter)
            for name, parameter in self.params.items()
        }

    def gradient(self, x: np.ndarray, t: np.ndarray) -> dict[str, np.ndarray]:
        """Return the gradients of the loss by a backward pass."""
        self.loss(x, t)
        dout = self.last_layer.backward(1)
        for layer in reversed(self.layers.values()):
            dout = layer.backward(dout)
        grads = {}
        for number, name in enumerate(("Conv1", "Affine1", "Affine2"), start=1):
            grads[f"W{number}"] = self.layers[name].dW
            grads[f"b{number}"] = self.layers[name].db
        return grads


def numerical_gradient(f: Callable[[np.ndarray], float], x: np.ndarray) -> np.ndarray:
    """Return the gradient of f at x by central differences; x is changed and put back."""
    h = 1e-4
    grad = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        value = x[index]
        x[index] = value + h
        above = f(x)
        x[index] = value - h
        below = f(x)
        grad[index] = (above - below) / (2 * h)
        x[index] = value
    return grad


class SGD:
    """Gradient descent."""

    def __init__(self, lr: float = 0.01) -> None:
        self.lr = lr

    def update(self, params: dict[str, np.ndarray], grads: dict[str, np.ndarray]) -> None:
        """Change the parameters in place."""
        for name in params:
            params[name] -= self.lr * grads[name]


class Adam:
    """Kingma and Ba's Adam, an array at a time."""

    def __init__(self, lr: float = 0.001, beta1: float = 0.9, beta2: float = 0.999) -> None:
        self.lr, self.beta1, self.beta2 = lr, beta1, beta2
        self.iter = 0
        self.m: dict[str, np.ndarray] = {}
        self.v: dict[str, np.ndarray] = {}

    def update(self, params: dict[str, np.ndarray], grads: dict[str, np.ndarray]) -> None:
        """Change the parameters in place."""
        self.iter += 1
        rate = self.lr * np.sqrt(1 - self.beta2**self.iter) / (1 - self.beta1**self.iter)
        for name, gradient in grads.items():
            m = self.m.setdefault(name, np.zeros_like(gradient))
            v = self.v.setdefault(name, np.zeros_like(gradient))
            m += (1 - self.beta1) * (gradient - m)
            v += (1 - self.beta2) * (gradient**2 - v)
            params[name] -= rate * m / (np.sqrt(v) + 1e-7)


OPTIMIZERS = {"sgd": SGD, "adam": Adam}


class Trainer:
    """Trains a network on batches that are drawn at random."""

    def __init__(
        self,
        network: SimpleConvNet,
        x_train: np.ndarray,
        t_train: np.ndarray,
        epochs: int = 20,
        mini_batch_size: int = 100,
        optimizer: str = "SGD",
        optimizer_param: dict[str, float] | None = None,
    ) -> None:
        self.network = network
        self.x_train, self.t_train = x_train, t_train
        self.batch_size = mini_batch_size
        self.optimizer = OPTIMIZERS[optimizer.lower()](**(optimizer_param or {}))
        self.max_iter = int(epochs * max(len(x_train) / mini_batch_size, 1))
        self.train_loss_list: list[float] = []

    def train_step(self) -> None:
        """Change the parameters once, and note the loss after that."""
        mask = np.random.choice(len(self.x_train), self.batch_size)
        x, t = self.x_train[mask], self.t_train[mask]
        grads = self.network.gradient(x, t)
        self.optimizer.update(self.network.params, grads)
        self.train_loss_list.append(self.network.loss(x, t))

    def train(self) -> None:
        """Train for all epochs."""
        for _ in range(self.max_iter):
            self.train_step()
