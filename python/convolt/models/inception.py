"""The Inception network for handwritten digits."""

from __future__ import annotations

from functools import partial
from types import ModuleType

import numpy as np
from numpy.typing import DTypeLike

from convolt import functional
from convolt.layers import (
    AvgPool2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Parallel,
    ReLU,
    Sequential,
)
from convolt.layers.weights import Rng

INCEPTION_CHANNELS = 16 + 24 + 24 + 24
"""Output channels of an `inception_module`: 88."""


def inception_module(
    in_channels: int,
    *,
    activation: str | None = "relu",
    dtype: DTypeLike = np.float32,
    rng: Rng = None,
    backend: ModuleType = functional,
) -> Parallel:
    """Make an Inception module: four views of the same maps, concatenated to 88 channels.

    ::

        1x1, 16 ---------------------------.
        1x1, 16 - 5x5, 24 -----------------|
        1x1, 16 - 3x3, 24 - 3x3, 24 -------+- 88 channels
        average pooling 3x3 - 1x1, 24 -----'

    Everything is padded so that (N, in_channels, H, W) becomes (N, 88, H, W). There are 72 *
    in_channels + 18,384 parameters.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    activation : {"relu", None}
        Behind each convolution; None as in many courses, where the module is linear.
    dtype, rng, backend
        As for `convolt.layers.Conv2d`.

    Returns
    -------
    Parallel
        With the four branches.

    References
    ----------
    C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015; two 3x3 in one branch as in
    C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016.

    Examples
    --------
    >>> inception_module(10).output_shape((10, 12, 12))
    (88, 12, 12)
    """
    rng = np.random.default_rng(rng)
    convolution = partial(
        Conv2d, padding="same", activation=activation, dtype=dtype, rng=rng, backend=backend
    )
    return Parallel(
        convolution(in_channels, 16, 1),
        Sequential(convolution(in_channels, 16, 1), convolution(16, 24, 5)),
        Sequential(convolution(in_channels, 16, 1), convolution(16, 24, 3), convolution(24, 24, 3)),
        Sequential(
            AvgPool2d(3, stride=1, padding=1, backend=backend), convolution(in_channels, 24, 1)
        ),
    )


class MnistInception(Sequential):
    """Twice convolution 5x5 - max pooling 2x2 - ReLU - Inception module, then linear.

    ======================  ===========  ==========
    layer                   output       parameters
    ======================  ===========  ==========
    input                   1, 28, 28
    convolution 5x5, 10     10, 24, 24   260
    max pooling 2x2, ReLU   10, 12, 12
    Inception module        88, 12, 12   19,104
    convolution 5x5, 20     20, 8, 8     44,020
    max pooling 2x2, ReLU   20, 4, 4
    Inception module        88, 4, 4     19,824
    linear                  10           14,090
    ======================  ===========  ==========

    97,298 parameters in all; the output is the scores (N, num_classes) before the softmax.

    Parameters
    ----------
    num_classes : int
        Number of classes.
    activation : {"relu", None}
        Behind each convolution of the modules; None as in many courses.
    dtype : dtype
        float32 or float64, of the parameters and of the images.
    seed : int, optional
        Makes the weights at the start reproducible.
    backend : module
        Where the operators are taken from; `convolt.reference` makes the network in pure NumPy.

    Examples
    --------
    >>> import numpy as np
    >>> MnistInception(seed=0)(np.ones((2, 1, 28, 28), np.float32)).shape
    (2, 10)
    """

    input_shape = (1, 28, 28)

    def __init__(
        self,
        num_classes: int = 10,
        *,
        activation: str | None = "relu",
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
        backend: ModuleType = functional,
    ) -> None:
        rng = np.random.default_rng(seed)
        convolution = partial(Conv2d, dtype=dtype, rng=rng, backend=backend)
        module = partial(
            inception_module, activation=activation, dtype=dtype, rng=rng, backend=backend
        )
        super().__init__(
            convolution(1, 10, 5, needs_dx=False),
            MaxPool2d(2, backend=backend),
            ReLU(inplace=True),
            module(10),
            convolution(INCEPTION_CHANNELS, 20, 5),
            MaxPool2d(2, backend=backend),
            ReLU(inplace=True),
            module(20),
            Flatten(),
            Linear(INCEPTION_CHANNELS * 4 * 4, num_classes, dtype=dtype, rng=rng),
        )
