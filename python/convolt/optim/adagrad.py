"""Gradient descent whose steps shrink where gradients have been large."""

from __future__ import annotations

import numpy as np

from convolt.optim.base import Arrays, Optimizer, positive


class AdaGrad(Optimizer):
    """AdaGrad, gradient descent with steps scaled by the sum of all squared gradients so far.

    With h that sum, zero at the start, each update is ::

        h = h + gradient**2
        parameter = parameter - lr * gradient / (sqrt(h) + eps)

    Parameters
    ----------
    lr : float
        Learning rate; it may be changed between updates.
    eps : float
        Added to the root.

    References
    ----------
    J. Duchi, E. Hazan, Y. Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", Journal of Machine Learning Research 12, 2011.
    """

    _settings = ("lr", "eps")
    _kinds = ("sum_of_squares",)

    def __init__(self, lr: float = 0.01, eps: float = 1e-10) -> None:
        super().__init__()
        self.lr = positive(lr, "lr", "AdaGrad")
        self.eps = positive(eps, "eps", "AdaGrad")

    def update(self, params: Arrays, grads: Arrays) -> None:
        """Change each array of `params` in place, see `Optimizer.update`."""
        self._check_names(params, grads)
        for name, parameter in params.items():
            gradient, (squares,) = grads[name], self._kept_for(name, parameter)
            squares += gradient * gradient
            parameter -= gradient / (np.sqrt(squares) + self.eps) * self.lr
