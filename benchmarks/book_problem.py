"""What a script of "Deep Learning from Scratch" computes, whichever layers it is given."""
# ruff: noqa: NPY002 - the generator that the book uses

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from book_script import CONV_PARAM, SimpleConvNet, Trainer
from network_problem import LEARNING_RATE, NetworkExpectation

IMAGE, CLASSES = (1, 28, 28), 10

# The network of the book's gradient check.
SMALL = {"input_dim": (1, 10, 10), "conv_param": CONV_PARAM | {"filter_num": 10, "filter_size": 3}}

Function = Callable[[], list[np.ndarray]]


@dataclass(frozen=True)
class BookProblem:
    """A part of the script, with a number of images."""

    task: str
    batch: int
    dtype: str = "float64"
    net: str = "simple-convnet"

    @property
    def name(self) -> str:
        """The network and what it does."""
        return f"{self.net} {self.task}"

    def prepare(self, layers: ModuleType) -> Function:
        """Return the function to time, on the layers of a module."""
        np.random.seed(0)
        return TASKS[self.task](self, layers)

    def training(self, layers: ModuleType, optimizer: str) -> Function:
        """Return a step of the trainer: gradients, update, and the loss after it."""
        x, t = self._images(IMAGE)
        network = SimpleConvNet(layers, IMAGE)
        # So small a rate that the thousandth step computes what the first one does.
        trainer = Trainer(network, x, t, 1, self.batch, optimizer, {"lr": LEARNING_RATE})

        def step() -> list[np.ndarray]:
            trainer.train_step()
            return [trainer.train_loss_list[-1], *network.params.values()]

        return step

    def gradient(self, layers: ModuleType) -> Function:
        """Return a forward and a backward pass through the network."""
        x, t = self._images(IMAGE)
        network = SimpleConvNet(layers, IMAGE)
        return lambda: [*network.gradient(x, t).values()]

    def windows(self, layers: ModuleType, names: tuple[str, ...]) -> Function:
        """Return a forward and a backward pass through the first of the layers."""
        x, _ = self._images(IMAGE)
        chosen = [SimpleConvNet(layers, IMAGE).layers[name] for name in names]
        out = x
        for layer in chosen:
            out = layer.forward(out)
        given = np.random.randn(*out.shape)

        def passes() -> list[np.ndarray]:
            out, dout = x, given
            for layer in chosen:
                out = layer.forward(out)
            for layer in reversed(chosen):
                dout = layer.backward(dout)
            return [out, dout, chosen[0].dW, chosen[0].db]

        return passes

    def evaluation(self, layers: ModuleType) -> Function:
        """Return what a numerical gradient computes twice for each parameter: the loss."""
        x, t = self._images(SMALL["input_dim"])
        network = SimpleConvNet(layers, **SMALL, hidden_size=10)
        return lambda: [network.loss(x, t)]

    def _images(self, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Return images in float32, as the book's MNIST has them, and their labels."""
        x = np.random.rand(self.batch, *shape).astype(np.float32)
        return x, np.random.randint(CLASSES, size=self.batch)


TASKS: dict[str, Callable[[BookProblem, ModuleType], Function]] = {
    "training step, SGD": lambda problem, layers: problem.training(layers, "sgd"),
    "training step, Adam": lambda problem, layers: problem.training(layers, "adam"),
    "gradient": BookProblem.gradient,
    "conv, pool": lambda problem, layers: problem.windows(layers, ("Conv1", "Pool1")),
    "conv, ReLU, pool": lambda problem, layers: problem.windows(
        layers, ("Conv1", "Relu1", "Pool1")
    ),
    "loss, small": BookProblem.evaluation,
}


def expectation(problem: BookProblem) -> NetworkExpectation:
    """Compute the result with the layers in plain NumPy; all others must agree to 1e-10."""
    import book_layers

    values = tuple(np.ravel(array) for array in problem.prepare(book_layers)())
    ends = np.cumsum([len(value) for value in values])
    samples = tuple(slice(end - len(value), end) for end, value in zip(ends, values, strict=True))
    return NetworkExpectation(samples, values, (1e-10,) * len(values))
