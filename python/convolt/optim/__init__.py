"""Optimizers, which change parameters in place, and schedules for their learning rates.

Contiguous arrays of one dtype are updated by the engine in one pass, all others, and those of
AdaGrad, by NumPy; where both can, they give the same bits.

Examples
--------
>>> import numpy as np
>>> params = {"weight": np.array([1.0, 2.0])}
>>> SGD(lr=0.5).update(params, {"weight": np.array([1.0, -1.0])})
>>> params["weight"].tolist()
[0.5, 2.5]
"""

from convolt.optim.adagrad import AdaGrad
from convolt.optim.adam import Adam
from convolt.optim.base import Optimizer
from convolt.optim.schedules import Schedule, constant, cosine, step
from convolt.optim.sgd import SGD

__all__ = ["SGD", "AdaGrad", "Adam", "Optimizer", "Schedule", "constant", "cosine", "step"]
