"""Optimizers: they change parameters in place, given the gradients under the same names.

Contiguous arrays of one dtype are updated by the engine in one pass, all others by NumPy with the
same bits.

Examples
--------
>>> import numpy as np
>>> params = {"weight": np.array([1.0, 2.0])}
>>> SGD(lr=0.5).update(params, {"weight": np.array([1.0, -1.0])})
>>> params["weight"].tolist()
[0.5, 2.5]
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convolt._openmp import _core

Arrays = Mapping[str, NDArray[Any]]


class SGD:
    """Stochastic gradient descent, with momentum if asked for.

    With v the velocity, zero at the start, each update is ::

        v = momentum * v - lr * gradient
        parameter = parameter + v

    Parameters
    ----------
    lr : float
        Learning rate; it may be changed between updates.
    momentum : float
        What remains of the velocity, from 0, the default, to less than 1.

    References
    ----------
    B. T. Polyak, "Some methods of speeding up the convergence of iteration methods", USSR
    Computational Mathematics and Mathematical Physics 4 (5), 1964, in the form of I. Sutskever et
    al., "On the importance of initialization and momentum in deep learning", ICML 2013.
    """

    def __init__(self, lr: float = 0.01, momentum: float = 0.0) -> None:
        self.lr = _positive(lr, "lr", "SGD")
        self.momentum = _decay(momentum, "momentum", "SGD")
        self._velocity: dict[str, NDArray[Any]] = {}

    def update(self, params: Arrays, grads: Arrays) -> None:
        """Change each array of `params` in place.

        Raises
        ------
        ValueError
            If `grads` has other names than `params`.
        """
        _check_names(params, grads, "SGD")
        for name, parameter in params.items():
            if name not in self._velocity:
                self._velocity[name] = np.zeros_like(parameter)
            gradient, velocity = grads[name], self._velocity[name]
            if _core.sgd_update(gradient, parameter, velocity, self.momentum, self.lr):
                continue
            velocity *= self.momentum
            velocity -= gradient * self.lr
            parameter += velocity


class Adam:
    """Adam, gradient descent with steps scaled by estimates of the gradient's first two moments.

    With m and v the moments, zero at the start, update number t is ::

        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
        step = m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + eps)
        parameter = parameter - lr * step

    Parameters
    ----------
    lr : float
        Learning rate; it may be changed between updates.
    betas : (float, float)
        What remains of the first and of the second moment, from 0 to less than 1.
    eps : float
        Added to the root of the second moment.

    References
    ----------
    D. P. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1.
    """

    def __init__(
        self,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.lr = _positive(lr, "lr", "Adam")
        self.betas = (_decay(betas[0], "betas[0]", "Adam"), _decay(betas[1], "betas[1]", "Adam"))
        self.eps = _positive(eps, "eps", "Adam")
        self._updates = 0
        self._moments: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {}

    def update(self, params: Arrays, grads: Arrays) -> None:
        """Change each array of `params` in place.

        Raises
        ------
        ValueError
            If `grads` has other names than `params`.
        """
        _check_names(params, grads, "Adam")
        self._updates += 1
        # m and v are kept without their factors 1 - beta, which go into `lr` and `eps` together
        # with the corrections by 1 - beta**t.
        first, second = ((1 - beta) / (1 - beta**self._updates) for beta in self.betas)
        root = math.sqrt(second)
        for name, parameter in params.items():
            if name not in self._moments:
                self._moments[name] = (np.zeros_like(parameter), np.zeros_like(parameter))
            gradient, (m, v) = grads[name], self._moments[name]
            eps, rate = self.eps / root, self.lr * first / root
            if _core.adam_update(gradient, parameter, m, v, self.betas, eps, rate):
                continue
            m *= self.betas[0]
            m += gradient
            v *= self.betas[1]
            v += gradient * gradient
            parameter -= m / (np.sqrt(v) + eps) * rate


def _check_names(params: Arrays, grads: Arrays, optimizer: str) -> None:
    if params.keys() != grads.keys():
        raise ValueError(
            f"{optimizer}.update: grads must have the names of params, {sorted(params)}, "
            f"got {sorted(grads)}"
        )


def _positive(value: float, name: str, optimizer: str) -> float:
    if not 0 < value < math.inf:
        raise ValueError(f"{optimizer}: {name} must be a positive number, got {value!r}")
    return value


def _decay(value: float, name: str, optimizer: str) -> float:
    if not 0 <= value < 1:
        raise ValueError(f"{optimizer}: {name} must be at least 0 and less than 1, got {value!r}")
    return value
