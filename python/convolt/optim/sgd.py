"""Stochastic gradient descent."""

from __future__ import annotations

from convolt._engine import engine
from convolt.optim.base import Arrays, Optimizer, decay, not_negative, positive


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and weight decay if asked for.

    With v the velocity, zero at the start, each update is ::

        gradient = gradient + weight_decay * parameter
        v = momentum * v - lr * gradient
        parameter = parameter + v

    Parameters
    ----------
    lr : float
        Learning rate; it may be changed between updates.
    momentum : float
        What remains of the velocity, from 0, the default, to less than 1.
    weight_decay : float
        Factor of the penalty on large parameters, 0 by default; as in PyTorch it holds for all
        parameters, biases included.

    References
    ----------
    B. T. Polyak, "Some methods of speeding up the convergence of iteration methods", USSR
    Computational Mathematics and Mathematical Physics 4 (5), 1964, in the form of I. Sutskever et
    al., "On the importance of initialization and momentum in deep learning", ICML 2013.
    """

    _settings = ("lr", "momentum", "weight_decay")
    _kinds = ("velocity",)

    def __init__(self, lr: float = 0.01, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        super().__init__()
        self.lr = positive(lr, "lr", "SGD")
        self.momentum = decay(momentum, "momentum", "SGD")
        self.weight_decay = not_negative(weight_decay, "weight_decay", "SGD")

    def update(self, params: Arrays, grads: Arrays) -> None:
        """Change each array of `params` in place, see `Optimizer.update`."""
        self._check_names(params, grads)
        for name, parameter in params.items():
            gradient, (velocity,) = grads[name], self._kept_for(name, parameter)
            if self.weight_decay:
                gradient = gradient + self.weight_decay * parameter
            update = engine(parameter).sgd_update
            if update(gradient, parameter, velocity, self.momentum, self.lr):
                continue
            velocity *= self.momentum
            velocity -= gradient * self.lr
            parameter += velocity
