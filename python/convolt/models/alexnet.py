"""AlexNet."""

from __future__ import annotations

from functools import partial
from types import ModuleType

import numpy as np
from numpy.typing import DTypeLike

from convolt import functional
from convolt.layers import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from convolt.models.blocks import alexnet_normalization


class AlexNet(Sequential):
    """AlexNet, the winner of the ImageNet challenge of 2012.

    ==================================  ===========  ==========
    layer                               output       parameters
    ==================================  ===========  ==========
    input                               3, 227, 227
    convolution 11x11, 96, stride 4     96, 55, 55   34,944
    max pooling 3x3, stride 2           96, 27, 27
    convolution 5x5, 256                256, 27, 27  614,656
    max pooling 3x3, stride 2           256, 13, 13
    convolution 3x3, 384                384, 13, 13  885,120
    convolution 3x3, 384                384, 13, 13  1,327,488
    convolution 3x3, 256                256, 13, 13  884,992
    max pooling 3x3, stride 2           256, 6, 6
    dropout, linear                     4096         37,752,832
    dropout, linear                     4096         16,781,312
    linear                              1000         4,097,000
    ==================================  ===========  ==========

    62,378,344 parameters in all, 60,965,224 with ``groups=2``. A ReLU follows each layer with
    parameters but the last, and local response normalisation the first two. The windows of the
    poolings overlap.

    Parameters
    ----------
    num_classes : int
        Number of classes.
    groups : int
        Of the second, fourth and fifth convolution: 2 as in the paper, where two GPUs had a half of
        the channels each, or 1.
    dropout : float
        Probability of an input of the first two linear layers to be zero in training.
    dtype : dtype
        float32 or float64, of the parameters and of the images.
    seed : int, optional
        Makes the weights at the start and the dropout reproducible.
    backend : module
        Where the operators are taken from; `convolt.reference` makes the network in pure NumPy.

    Notes
    -----
    The paper says 224x224, which fits none of its other sizes; 227x227 is what it computes with.
    The weights at the start are drawn as by He et al. (2015), not with the paper's standard
    deviation of 0.01 and its biases of 1.

    References
    ----------
    A. Krizhevsky, I. Sutskever, G. E. Hinton, "ImageNet Classification with Deep Convolutional
    Neural Networks", NIPS 2012.

    Examples
    --------
    >>> import numpy as np
    >>> model = AlexNet(num_classes=5, seed=0)
    >>> model.output_shape((3, 227, 227))
    (5,)
    """

    input_shape = (3, 227, 227)

    def __init__(
        self,
        num_classes: int = 1000,
        *,
        groups: int = 1,
        dropout: float = 0.5,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
        backend: ModuleType = functional,
    ) -> None:
        rng = np.random.default_rng(seed)
        convolution = partial(
            Conv2d, activation="relu", inplace=True, dtype=dtype, rng=rng, backend=backend
        )
        linear = partial(Linear, dtype=dtype, rng=rng)
        pooling = partial(MaxPool2d, 3, stride=2, backend=backend)
        super().__init__(
            convolution(3, 96, 11, stride=4, needs_dx=False),
            alexnet_normalization(backend),
            pooling(),
            convolution(96, 256, 5, padding=2, groups=groups),
            alexnet_normalization(backend),
            pooling(),
            convolution(256, 384, 3, padding=1),
            convolution(384, 384, 3, padding=1, groups=groups),
            convolution(384, 256, 3, padding=1, groups=groups),
            pooling(),
            Flatten(),
            Dropout(dropout, rng=rng),
            linear(256 * 6 * 6, 4096),
            ReLU(inplace=True),
            Dropout(dropout, rng=rng),
            linear(4096, 4096),
            ReLU(inplace=True),
            linear(4096, num_classes),
        )
