"""The plain network for handwritten digits that courses begin with."""

from __future__ import annotations

from types import ModuleType

import numpy as np
from numpy.typing import DTypeLike

from convolt import functional
from convolt.layers import Conv2d, Flatten, Linear, LogSoftmax, MaxPool2d, ReLU, Sequential


class MnistCNN(Sequential):
    """Twice convolution 5x5 - max pooling 2x2 - ReLU, then linear and log-softmax.

    ======================  ===========  ==========
    layer                   output       parameters
    ======================  ===========  ==========
    input                   1, 28, 28
    convolution 5x5, 10     10, 24, 24   260
    max pooling 2x2, ReLU   10, 12, 12
    convolution 5x5, 20     20, 8, 8     5,020
    max pooling 2x2, ReLU   20, 4, 4
    linear                  10           3,210
    ======================  ===========  ==========

    8,490 parameters in all. The output (N, num_classes) holds the logarithms of the probabilities.
    The log-softmax of these are they themselves, so `convolt.layers.SoftmaxCrossEntropy` gives
    their negative log-likelihood, with the right gradient.

    Parameters
    ----------
    num_classes : int
        Number of classes.
    dtype : dtype
        float32 or float64, of the parameters and of the images.
    seed : int, optional
        Makes the weights at the start reproducible.
    backend : module
        Where the operators are taken from; `convolt.reference` makes the network in pure NumPy.

    Examples
    --------
    >>> import numpy as np
    >>> model = MnistCNN(seed=0)
    >>> log_probabilities = model(np.ones((2, 1, 28, 28), np.float32))
    >>> np.exp(log_probabilities).sum(axis=1).round(4).tolist()
    [1.0, 1.0]
    """

    input_shape = (1, 28, 28)

    def __init__(
        self,
        num_classes: int = 10,
        *,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
        backend: ModuleType = functional,
    ) -> None:
        rng = np.random.default_rng(seed)
        super().__init__(
            Conv2d(1, 10, 5, needs_dx=False, dtype=dtype, rng=rng, backend=backend),
            MaxPool2d(2, backend=backend),
            ReLU(inplace=True),
            Conv2d(10, 20, 5, dtype=dtype, rng=rng, backend=backend),
            MaxPool2d(2, backend=backend),
            ReLU(inplace=True),
            Flatten(),
            Linear(20 * 4 * 4, num_classes, dtype=dtype, rng=rng),
            LogSoftmax(),
        )
