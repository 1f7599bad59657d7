"""Layers with a forward and a backward pass, each a few lines over the operators of convolt.

A layer keeps what its backward pass needs from the latest call of ``forward``, gives its parameters
and their gradients by name, and changes no array that it is given, unless `inplace` says so. Layers
of layers, `Sequential` and `Parallel`, are layers too, and so are models: all that a `Layer` can
do, from ``train()`` to ``state_dict()``, reaches every part of it. Every layer that needs an
operator takes it from `backend`, a module with the functions of `convolt.functional`:
`convolt.reference` makes of the same network one in pure NumPy.

Examples
--------
>>> import numpy as np
>>> from convolt.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
>>> network = Sequential(
...     Conv2d(1, 4, 3, padding=1, rng=0), ReLU(), MaxPool2d(2), Flatten(), Linear(64, 10, rng=1)
... )
>>> y = network(np.ones((5, 1, 8, 8), dtype=np.float32))
>>> y.shape
(5, 10)
>>> network.backward(np.ones_like(y)).shape
(5, 1, 8, 8)
>>> sorted(network.gradients())
['0.bias', '0.weight', '4.bias', '4.weight']
"""

from convolt.layers.activation import LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax
from convolt.layers.base import Layer
from convolt.layers.containers import Parallel, Sequential
from convolt.layers.convolution import Conv2d, ConvTranspose2d
from convolt.layers.dropout import Dropout
from convolt.layers.files import load, load_arrays, save, save_arrays
from convolt.layers.linear import Linear
from convolt.layers.loss import SoftmaxCrossEntropy
from convolt.layers.normalization import BatchNorm2d, LocalResponseNorm
from convolt.layers.pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d, MinPool2d
from convolt.layers.shapes import Flatten

__all__ = [
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2d",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "LogSoftmax",
    "MaxPool2d",
    "MinPool2d",
    "Parallel",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "load",
    "load_arrays",
    "save",
    "save_arrays",
]
