"""Building functions for the beginnings and the blocks of larger networks."""

from __future__ import annotations

from functools import partial
from types import ModuleType

import numpy as np
from numpy.typing import DTypeLike

from convolt import functional
from convolt._padding import integer
from convolt.layers import Conv2d, LocalResponseNorm, MaxPool2d, Sequential
from convolt.layers.weights import Rng


def vgg_block(
    in_channels: int,
    out_channels: int,
    convs: int,
    *,
    needs_dx: bool = True,
    dtype: DTypeLike = np.float32,
    rng: Rng = None,
    backend: ModuleType = functional,
) -> Sequential:
    """Make a VGG block: convolutions 3x3 with ReLU, then max pooling 2x2.

    (N, in_channels, H, W) becomes (N, out_channels, H // 2, W // 2), by ::

        9 * out_channels * (in_channels + (convs - 1) * out_channels) + convs * out_channels

    parameters. VGG-16 begins with ``vgg_block(3, 64, 2)``, ``vgg_block(64, 128, 2)`` and
    ``vgg_block(128, 256, 3)``.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of each convolution.
    convs : int
        Number of convolutions.
    needs_dx : bool
        False for the first block of a network, see `convolt.layers.Conv2d`.
    dtype, rng, backend
        As for `convolt.layers.Conv2d`.

    Returns
    -------
    Sequential
        The convolutions and the pooling.

    Raises
    ------
    ValueError
        If a number is less than 1.

    References
    ----------
    K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
    Recognition", ICLR 2015, table 1.

    Examples
    --------
    >>> vgg_block(3, 64, 2).output_shape((3, 224, 224))
    (64, 112, 112)
    """
    integer(convs, "convs", "vgg_block", minimum=1)
    rng = np.random.default_rng(rng)
    channels = [in_channels] + [out_channels] * convs
    convolutions = (
        Conv2d(
            *(channels[i], out_channels, 3),
            padding=1,
            activation="relu",
            inplace=True,
            needs_dx=needs_dx or i > 0,
            dtype=dtype,
            rng=rng,
            backend=backend,
        )
        for i in range(convs)
    )
    return Sequential(*convolutions, MaxPool2d(2, backend=backend))


def googlenet_stem(
    in_channels: int = 3,
    *,
    needs_dx: bool = False,
    dtype: DTypeLike = np.float32,
    rng: Rng = None,
    backend: ModuleType = functional,
) -> Sequential:
    """Make the beginning of GoogLeNet, in front of its first Inception module.

    ========================================  =============  ==========
    layer                                     output         parameters
    ========================================  =============  ==========
    input                                     3, 224, 224
    convolution 7x7, 64, stride 2, ReLU       64, 112, 112   9,472
    max pooling 3x3, stride 2                 64, 56, 56
    local response normalisation              64, 56, 56
    convolution 1x1, 64, ReLU                 64, 56, 56     4,160
    convolution 3x3, 192, ReLU                192, 56, 56    110,784
    local response normalisation              192, 56, 56
    max pooling 3x3, stride 2                 192, 28, 28
    ========================================  =============  ==========

    124,416 parameters in all. The poolings round sizes up, which gives the paper's.

    Parameters
    ----------
    in_channels : int
        Channels of the images.
    needs_dx : bool
        Whether `backward` computes the gradient of the images, see `convolt.layers.Conv2d`.
    dtype, rng, backend
        As for `convolt.layers.Conv2d`.

    Returns
    -------
    Sequential
        The layers of the table.

    References
    ----------
    C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, table 1. The normalisation, for
    which the paper gives no numbers, is that of AlexNet.

    Examples
    --------
    >>> googlenet_stem().output_shape((3, 224, 224))
    (192, 28, 28)
    """
    convolution = partial(
        Conv2d, activation="relu", dtype=dtype, rng=np.random.default_rng(rng), backend=backend
    )
    pooling = partial(MaxPool2d, 3, stride=2, ceil_mode=True, backend=backend)
    return Sequential(
        convolution(in_channels, 64, 7, stride=2, padding=3, inplace=True, needs_dx=needs_dx),
        pooling(),
        alexnet_normalization(backend),
        convolution(64, 64, 1),
        convolution(64, 192, 3, padding=1),
        alexnet_normalization(backend),
        pooling(),
    )


def alexnet_normalization(backend: ModuleType = functional) -> LocalResponseNorm:
    """Make the local response normalisation of AlexNet: n = 5, alpha = 1e-4, beta = 0.75, k = 2.

    The paper's alpha belongs to the sum of the n squares, that of the layer to their mean.
    """
    return LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0, backend=backend)
