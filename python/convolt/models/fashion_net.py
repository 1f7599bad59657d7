"""A small network with batch normalisation, made for Fashion-MNIST."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import numpy as np
from numpy.typing import DTypeLike

from convolt import functional
from convolt.layers import (
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)

# Output channels of each convolution, and whether a pooling follows it.
STAGES = ((32, True), (64, False), (64, True), (128, False))


class FashionNet(Sequential):
    """Four convolutions 3x3, each with batch normalisation and ReLU, and the average of each map.

    ==================================  ===========  ==========
    layer                               output       parameters
    ==================================  ===========  ==========
    input                               1, 28, 28
    convolution 3x3, 32                 32, 28, 28   288
    max pooling 2x2, normalised, ReLU   32, 14, 14   64
    convolution 3x3, 64                 64, 14, 14   18,432
    normalised, ReLU                    64, 14, 14   128
    convolution 3x3, 64                 64, 14, 14   36,864
    max pooling 2x2, normalised, ReLU   64, 7, 7     128
    convolution 3x3, 128                128, 7, 7    73,728
    normalised, ReLU                    128, 7, 7    256
    global average pooling              128, 1, 1
    linear                              10           1,290
    ==================================  ===========  ==========

    131,178 parameters in all, and 29.4 MFLOP for an image.

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
    A design of this project, for little memory traffic: normalisation and ReLU come behind the
    pooling, where a quarter of the entries is left, and only one convolution has the full 28x28
    pixels, with one input channel. The convolutions have no bias, since the normalisation has one.

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

        def stages() -> Iterator[Layer]:
            channels = 1
            for out_channels, pooled in STAGES:
                yield Conv2d(
                    *(channels, out_channels, 3),
                    padding=1,
                    bias=False,
                    needs_dx=channels > 1,
                    dtype=dtype,
                    rng=rng,
                    backend=backend,
                )
                if pooled:
                    yield MaxPool2d(2, backend=backend)
                yield BatchNorm2d(out_channels, dtype=dtype, backend=backend)
                yield ReLU(inplace=True)
                channels = out_channels

        super().__init__(
            *stages(),
            GlobalAvgPool2d(backend=backend),
            Flatten(),
            Linear(STAGES[-1][0], num_classes, dtype=dtype, rng=rng),
        )
