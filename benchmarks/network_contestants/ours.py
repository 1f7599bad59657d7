"""The networks of ``convolt.models``; their linear layers are NumPy."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np

from contestants.numpy_blas import NumPy
from contestants.ours import Convolt
from network_problem import LEARNING_RATE, NetworkProblem, build


class ConvoltNetwork(Convolt):
    """The layers, the loss and the optimizer."""

    isa_variables = Convolt.isa_variables + NumPy.isa_variables

    backend = "functional"

    def prepare(self, problem: NetworkProblem) -> Callable[[], list[np.ndarray]]:
        """Return the function to time."""
        from convolt.layers import SoftmaxCrossEntropy
        from convolt.optim import Adam

        backend = import_module(f"convolt.{self.backend}")
        network = build(problem.net, dtype=problem.dtype, backend=backend)
        for mine, given in zip(network.parameters().values(), problem.parameters(), strict=True):
            mine[...] = given
        x, labels = problem.images(), problem.labels()
        if problem.task == "inference":
            network.eval()
            return lambda: [network(x)]
        loss, adam, parameters = SoftmaxCrossEntropy(), Adam(LEARNING_RATE), network.parameters()

        def step() -> list[np.ndarray]:
            value = loss(network(x), labels)
            network.backward(loss.backward())
            gradients = network.gradients()
            adam.update(parameters, gradients)
            return [value, *gradients.values()]

        return step

    def as_array(self, result: list[np.ndarray]) -> np.ndarray:
        """Put the arrays one after the other."""
        return flat(result)


class ReferenceNetwork(ConvoltNetwork):
    """The same layers with the operators in pure NumPy."""

    backend = "reference"


def flat(arrays: list[np.ndarray]) -> np.ndarray:
    """Put arrays one after the other, in the element type of all problems here."""
    return np.concatenate([np.ravel(array) for array in arrays]).astype(np.float32)
