"""Gradient descent with adaptive moments."""

from __future__ import annotations

import math

import numpy as np

from convolt._engine import engine
from convolt.optim.base import Arrays, Optimizer, decay, positive


class Adam(Optimizer):
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

    _settings = ("lr", "betas", "eps", "updates")
    _kinds = ("m", "v")

    def __init__(
        self,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__()
        self.lr = positive(lr, "lr", "Adam")
        self.betas = (decay(betas[0], "betas[0]", "Adam"), decay(betas[1], "betas[1]", "Adam"))
        self.eps = positive(eps, "eps", "Adam")
        self.updates = 0

    def update(self, params: Arrays, grads: Arrays) -> None:
        """Change each array of `params` in place, see `Optimizer.update`."""
        self._check_names(params, grads)
        self.updates += 1
        # m and v are kept without their factors 1 - beta, which go into `lr` and `eps` together
        # with the corrections by 1 - beta**t.
        first, second = ((1 - beta) / (1 - beta**self.updates) for beta in self.betas)
        root = math.sqrt(second)
        for name, parameter in params.items():
            gradient, (m, v) = grads[name], self._kept_for(name, parameter)
            eps, rate = self.eps / root, self.lr * first / root
            if engine(parameter).adam_update(gradient, parameter, m, v, self.betas, eps, rate):
                continue
            m *= self.betas[0]
            m += gradient
            v *= self.betas[1]
            v += gradient * gradient
            parameter -= m / (np.sqrt(v) + eps) * rate
