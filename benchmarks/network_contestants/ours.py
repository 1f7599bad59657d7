"""Networks of ``convolt.layers``; their linear layers are NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from contestants.numpy_blas import NumPy
from contestants.ours import Convolt
from network_problem import LEARNING_RATE, NetworkProblem


class ConvoltNetwork(Convolt):
    """The layers, the loss and the optimizer."""

    isa_variables = Convolt.isa_variables + NumPy.isa_variables

    def prepare(self, problem: NetworkProblem, backend=None) -> Callable[[], list[np.ndarray]]:
        """Return the function to time; ``backend`` replaces the operators."""
        from convolt.layers import SoftmaxCrossEntropy
        from convolt.optim import Adam

        network = _build(problem, backend or self.convolt.functional)
        x, labels = problem.images(), problem.labels()
        if problem.task == "inference":
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


def flat(arrays: list[np.ndarray]) -> np.ndarray:
    """Put arrays one after the other, in the element type of all problems here."""
    return np.concatenate([np.ravel(array) for array in arrays]).astype(np.float32)


def _build(problem: NetworkProblem, backend):
    from convolt.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential

    layers, dtype = [], problem.dtype
    for kind, sizes, parameters in problem.layers():
        match kind:
            case "conv":
                filters, kernel, padding = sizes
                layer = Conv2d(
                    *(parameters[0].shape[1], filters, kernel),
                    padding=padding,
                    needs_dx=bool(layers),
                    dtype=dtype,
                    backend=backend,
                )
            case "linear":
                layer = Linear(*parameters[0].shape, dtype=dtype)
            case "pool":
                layer = MaxPool2d(*sizes, backend=backend)
            case "relu":
                layer = ReLU(inplace=True)
            case "flatten":
                layer = Flatten()
        for mine, given in zip(layer.parameters().values(), parameters, strict=True):
            mine[...] = given
        layers.append(layer)
    return Sequential(*layers)
