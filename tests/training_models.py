"""Models and data for the tests of training: small, and quick to tell apart."""

from __future__ import annotations

import numpy as np

from convolt import functional
from convolt.data import Dataset, load_digits
from convolt.layers import Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU, Sequential
from convolt.optim import Optimizer


class Counter(Layer):
    """A model that writes down what it is shown, and in which mode.

    But not the look at a single image before the training.
    """

    def __init__(self) -> None:
        self.w = np.zeros(1)
        self.seen: list[tuple[bool, list[float]]] = []

    def forward(self, x):
        if self.training or len(x) > 1:
            self.seen.append((self.training, x.ravel().tolist()))
        return np.stack([np.ones(len(x)), np.zeros(len(x))], axis=1)

    def backward(self, dy):
        self.dy = dy
        return dy

    def parameters(self):
        return {"w": self.w}

    def gradients(self):
        return {"w": np.ones(1)}

    @property
    def batches(self) -> list[list[float]]:
        """The batches that it was trained on."""
        return [images for training, images in self.seen if training]


class BatchLength:
    """A loss that is the length of the batch, whatever the scores are."""

    def forward(self, x, t):
        self.length = len(x)
        return float(len(x))

    def backward(self):
        return np.full((self.length, 2), self.length)


class Scripted(BatchLength):
    """A loss that is 1 on training batches, and as written, by epochs, on the two test images."""

    def __init__(self, *test_losses: float) -> None:
        self.test_losses = iter(test_losses)

    def forward(self, x, t):
        super().forward(x, t)
        return next(self.test_losses) if len(x) == 2 else 1.0


class Unchanging(Optimizer):
    """An optimizer that writes down the learning rates, and changes nothing."""

    _settings = ("lr",)
    _kinds = ("none",)

    def __init__(self, lr: float = 3.0) -> None:
        super().__init__()
        self.lr = lr
        self.rates: list[float] = []

    def update(self, params, grads):
        self.rates.append(self.lr)


def numbers() -> Dataset:
    """Five images to train with, 0 to 4, and two to test with, 7 and 8, of class 0 and 1."""
    train, test = np.arange(5.0), np.array([7.0, 8.0])
    labels = np.array([0, 0, 0, 0, 1])
    return Dataset(train.reshape(5, 1, 1, 1), labels, test.reshape(2, 1, 1, 1), labels[-2:])


def few_digits(train: int = 60, test: int = 30) -> Dataset:
    """The first of the bundled digits."""
    digits = load_digits()
    return Dataset(
        digits.train_images[:train],
        digits.train_labels[:train],
        digits.test_images[:test],
        digits.test_labels[:test],
    )


def small_net(backend=functional, *, filters=8, hidden=32) -> Sequential:
    """A network for the digits."""
    rng = np.random.default_rng(0)
    return Sequential(
        Conv2d(1, filters, 3, padding=1, activation="relu", rng=rng, backend=backend),
        MaxPool2d(2, backend=backend),
        Flatten(),
        Linear(16 * filters, hidden, rng=rng),
        ReLU(),
        Linear(hidden, 10, rng=rng),
    )


def weights(model: Layer) -> dict[str, bytes]:
    """The bits of a model."""
    return {name: array.tobytes() for name, array in model.state_dict().items()}
