"""Schedules: functions from the progress of a training, in epochs, to a learning rate.

Examples
--------
>>> rate = step(0.1, every=10)
>>> [rate(progress) for progress in (0, 9.5)]
[0.1, 0.1]
>>> f"{rate(10):.2f} {rate(29.9):.3f}"
'0.01 0.001'
"""

from __future__ import annotations

import math
from collections.abc import Callable

from convolt.optim.base import positive

Schedule = Callable[[float], float]
"""Takes the epochs that are done, a float that begins at 0, and returns the learning rate."""


def constant(lr: float) -> Schedule:
    """Return a schedule that is always `lr`."""
    positive(lr, "lr", "constant")
    return lambda progress: lr


def cosine(lr: float, epochs: float) -> Schedule:
    """Return a schedule that falls from `lr` to 0 in half a wave of a cosine.

    Parameters
    ----------
    lr : float
        The learning rate at the start.
    epochs : float
        Where it reaches 0, and stays there.

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017,
    equation 5, without restarts.

    Examples
    --------
    >>> rate = cosine(0.2, epochs=10)
    >>> [round(rate(progress), 3) for progress in (0, 2.5, 5, 10, 11)]
    [0.2, 0.171, 0.1, 0.0, 0.0]
    """
    positive(lr, "lr", "cosine")
    positive(epochs, "epochs", "cosine")
    return lambda progress: lr * (1 + math.cos(math.pi * min(progress / epochs, 1))) / 2


def step(lr: float, every: float, gamma: float = 0.1) -> Schedule:
    """Return a schedule that is multiplied by `gamma` after every so many epochs.

    Parameters
    ----------
    lr : float
        The learning rate at the start.
    every : float
        Epochs between two steps.
    gamma : float
        Factor of each step.
    """
    positive(lr, "lr", "step")
    positive(every, "every", "step")
    positive(gamma, "gamma", "step")
    return lambda progress: lr * gamma ** math.floor(progress / every)
