"""LeNet-5, as it was in 1998 and as it is taught today."""

from __future__ import annotations

from types import ModuleType

import numpy as np
from numpy.typing import DTypeLike

from convolt import functional
from convolt.layers import (
    AvgPool2d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    Sigmoid,
)

VARIANTS = ("modern", "1998")


class LeNet5(Sequential):
    """LeNet-5 [1]_: two convolutions, each with a pooling, and three linear layers.

    =====================  ===========  ==========
    layer                  output       parameters
    =====================  ===========  ==========
    input                  1, 28, 28
    convolution 5x5, 6     6, 28, 28    156
    pooling 2x2            6, 14, 14
    convolution 5x5, 16    16, 10, 10   2,416
    pooling 2x2            16, 5, 5
    linear                 120          48,120
    linear                 84           10,164
    linear                 10           850
    =====================  ===========  ==========

    61,706 parameters in all. The paper's images have 32x32 pixels; here the first convolution pads
    those of 28x28 by 2 on each side.

    Parameters
    ----------
    variant : {"modern", "1998"}
        "modern" has max pooling and ReLU, in this order, and the weights of He et al. at the
        start. "1998" has the sigmoid and the average of each window, in this order, and the weights
        of Glorot and Bengio. Of the paper it leaves out the trained factor and bias of each
        subsampling, the connections that the second convolution lacks there, and the outputs as
        distances from drawn digits: today's classes are scores for a softmax.
    num_classes : int
        Number of classes.
    dtype : dtype
        float32 or float64, of the parameters and of the images.
    seed : int, optional
        Makes the weights at the start reproducible.
    backend : module
        Where the operators are taken from; `convolt.reference` makes the network in pure NumPy.

    Raises
    ------
    ValueError
        If `variant` is another one.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
       recognition", Proceedings of the IEEE 86 (11), 1998.

    Examples
    --------
    >>> model = LeNet5(seed=0)
    >>> sum(array.size for array in model.parameters().values())
    61706
    >>> LeNet5("1998").output_shape((1, 28, 28))
    (10,)
    """

    input_shape = (1, 28, 28)

    def __init__(
        self,
        variant: str = "modern",
        num_classes: int = 10,
        *,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
        backend: ModuleType = functional,
    ) -> None:
        if variant not in VARIANTS:
            raise ValueError(f'LeNet5: variant must be "modern" or "1998", got {variant!r}')
        modern = variant == "modern"
        weight_init, rng = "he" if modern else "xavier", np.random.default_rng(seed)

        def convolution(in_channels: int, out_channels: int, padding: int) -> Conv2d:
            return Conv2d(
                *(in_channels, out_channels, 5),
                padding=padding,
                needs_dx=in_channels > 1,
                weight_init=weight_init,
                dtype=dtype,
                rng=rng,
                backend=backend,
            )

        def linear(in_features: int, out_features: int) -> Linear:
            return Linear(in_features, out_features, weight_init=weight_init, dtype=dtype, rng=rng)

        def pooled_activation() -> tuple[Layer, Layer]:
            if modern:
                return MaxPool2d(2, backend=backend), ReLU(inplace=True)
            return Sigmoid(), AvgPool2d(2, backend=backend)

        def activation() -> Layer:
            return ReLU(inplace=True) if modern else Sigmoid()

        super().__init__(
            *(convolution(1, 6, padding=2), *pooled_activation()),
            *(convolution(6, 16, padding=0), *pooled_activation()),
            Flatten(),
            *(linear(16 * 5 * 5, 120), activation()),
            *(linear(120, 84), activation()),
            linear(84, num_classes),
        )
