"""A small network with batch normalisation, made for Fashion-MNIST."""

from __future__ import annotations

from functools import partial
from types import ModuleType

import numpy as np
from numpy.typing import DTypeLike

from convolt import functional
from convolt.layers import (
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)


class FashionNet(Sequential):
    """Five convolutions 3x3, four of them with batch normalisation, and the average of each map.

    ==================================  ===========  ==========
    layer                               output       parameters
    ==================================  ===========  ==========
    input                               1, 28, 28
    convolution 3x3, 32, ReLU           32, 28, 28   320
    convolution 3x3, 64, stride 2       64, 14, 14   18,432
    normalised, ReLU                    64, 14, 14   128
    convolution 3x3, 64                 64, 14, 14   36,864
    max pooling 2x2, normalised, ReLU   64, 7, 7     128
    convolution 3x3, 128                128, 7, 7    73,728
    normalised, ReLU                    128, 7, 7    256
    convolution 3x3, 128                128, 7, 7    147,456
    normalised, ReLU                    128, 7, 7    256
    global average pooling              128, 1, 1
    linear                              10           1,290
    ==================================  ===========  ==========

    278,858 parameters in all, and 43.8 MFLOP for an image. Images of other sizes are taken too.

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

    Notes
    -----
    A design of this project, for little memory traffic. Nothing but one convolution, with the ReLU
    in it, has maps of 28x28; the next one takes the step to 14x14 itself, and sees them all.
    Normalisation and ReLU come behind the pooling, where a quarter of the entries is left. The
    normalised convolutions have no bias, since the normalisation has one.

    References
    ----------
    S. Ioffe, C. Szegedy, "Batch Normalization", ICML 2015; global average pooling: M. Lin, Q. Chen,
    S. Yan, "Network In Network", ICLR 2014; 3x3 throughout: K. Simonyan, A. Zisserman, "Very Deep
    Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> FashionNet(seed=0)(np.ones((2, 1, 28, 28), np.float32)).shape
    (2, 10)
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
        convolution = partial(Conv2d, padding=1, bias=False, dtype=dtype, rng=rng, backend=backend)
        normalization = partial(BatchNorm2d, dtype=dtype, backend=backend)
        super().__init__(
            convolution(1, 32, 3, bias=True, activation="relu", inplace=True, needs_dx=False),
            *(convolution(32, 64, 3, stride=2), normalization(64), ReLU(inplace=True)),
            *(convolution(64, 64, 3), MaxPool2d(2, backend=backend)),
            *(normalization(64), ReLU(inplace=True)),
            *(convolution(64, 128, 3), normalization(128), ReLU(inplace=True)),
            *(convolution(128, 128, 3), normalization(128), ReLU(inplace=True)),
            *(GlobalAvgPool2d(backend=backend), Flatten()),
            Linear(128, num_classes, dtype=dtype, rng=rng),
        )
