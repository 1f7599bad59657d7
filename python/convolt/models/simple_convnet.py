"""The network of the book "Deep Learning from Scratch"."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from convolt import functional
from convolt._arguments import conv_output_size, pool_output_size
from convolt._engine import on_host
from convolt.layers import (
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
)
from convolt.layers.base import Array

CONV_PARAM: Mapping[str, int] = MappingProxyType(
    {"filter_num": 30, "filter_size": 5, "pad": 0, "stride": 1}
)
"""The convolution of the book's network, the default of `SimpleConvNet`."""


class SimpleConvNet(Sequential):
    """The convolutional network of chapter 7 of the book "Deep Learning from Scratch".

    Convolution - ReLU - max pooling (2 by 2, stride 2) - linear - ReLU - linear, trained with the
    softmax cross entropy. The first ReLU comes behind the pooling here: the same values and
    gradients, to the bit, of a quarter of the elements. By default (N, 1, 28, 28) becomes (N, 10),
    by 433,890 parameters.

    Parameters
    ----------
    input_dim : (int, int, int)
        Channels, height and width of an image.
    conv_param : mapping, optional
        Number and size of the filters, padding and stride: any of "filter_num", "filter_size",
        "pad" and "stride", the others as in `CONV_PARAM`.
    hidden_size, output_size : int
        Outputs of the two linear layers; the last are the classes.
    weight_init_std : float or {"he", "xavier"}
        Standard deviation of the weights at the start, see `convolt.layers.Conv2d`.
    dtype : dtype
        float32 or float64, of the parameters and of the images.
    seed : int, optional
        Makes the weights at the start reproducible.
    backend : module
        Where the operators are taken from; `convolt.reference` makes the network in pure NumPy.

    Attributes
    ----------
    input_shape : (int, int, int)
        `input_dim`.
    params : dict
        The parameters, to be changed in place: "W1" (filter_num, C, filter_size, filter_size),
        "b1" (filter_num,), "W2" (features, hidden_size), "b2" (hidden_size,), "W3" (hidden_size,
        output_size), "b3" (output_size,).

    Raises
    ------
    ValueError
        If `conv_param` has an unknown name, or a size leaves no output.

    References
    ----------
    K. Saitoh, "Deep Learning from Scratch" (O'Reilly Japan, 2016), chapter 7.

    Examples
    --------
    >>> import numpy as np
    >>> net = SimpleConvNet(input_dim=(1, 8, 8), conv_param={"filter_num": 4}, seed=0)
    >>> x = np.ones((2, 1, 8, 8), dtype=np.float32)
    >>> net.predict(x).shape
    (2, 10)
    >>> gradients = net.gradient(x, np.array([3, 7]))
    >>> gradients["W1"].shape
    (4, 1, 5, 5)
    """

    def __init__(
        self,
        input_dim: tuple[int, int, int] = (1, 28, 28),
        conv_param: Mapping[str, int] = CONV_PARAM,
        hidden_size: int = 100,
        output_size: int = 10,
        weight_init_std: float | str = 0.01,
        *,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
        backend: ModuleType = functional,
    ) -> None:
        if not conv_param.keys() <= CONV_PARAM.keys():
            raise ValueError(
                f"SimpleConvNet: conv_param must have names among {', '.join(CONV_PARAM)}, "
                f"got {', '.join(conv_param)}"
            )
        channels, height, width = input_dim
        param = {**CONV_PARAM, **conv_param}
        filters = param["filter_num"]
        geometry = (param["filter_size"], param["stride"], param["pad"])
        rows, columns = pool_output_size(conv_output_size((height, width), *geometry), 2)
        shared: dict[str, Any] = {
            "weight_init": weight_init_std,
            "dtype": dtype,
            "rng": np.random.default_rng(seed),
        }
        convolution = Conv2d(
            *(channels, filters, *geometry), needs_dx=False, backend=backend, **shared
        )
        hidden = Linear(filters * rows * columns, hidden_size, **shared)
        output = Linear(hidden_size, output_size, **shared)
        super().__init__(
            *(convolution, MaxPool2d(2, backend=backend), ReLU(inplace=True)),
            *(Flatten(), hidden, ReLU(inplace=True), output),
        )
        self.input_shape = (channels, height, width)
        self.params = self._in_the_books_names(self.parameters())
        self._loss = SoftmaxCrossEntropy()

    def _move(self, device: str, arrays: dict[str, Array]) -> None:
        super()._move(device, arrays)
        self.params = self._in_the_books_names(self.parameters())

    def predict(self, x: Array, batch_size: int | None = None) -> Array:
        """Return the scores (N, output_size) before the softmax.

        Parameters
        ----------
        x : (N, C, H, W) array
        batch_size : int, optional
            Compute so many images at a time; by default all at once.
        """
        if batch_size is None or len(x) <= batch_size:
            return self(x)
        starts = range(0, len(x), batch_size)
        return np.concatenate([self(x[i : i + batch_size]) for i in starts])

    def loss(self, x: Array, t: Array) -> float:
        """Return the mean cross entropy, for labels `t` of (N,) or one-hot (N, output_size)."""
        return self._loss(self(x), t)

    def accuracy(self, x: Array, t: Array, batch_size: int = 100) -> float:
        """Return the share of images whose highest score is that of their label."""
        labels = t.argmax(axis=1) if t.ndim == 2 else t
        return float(np.mean(on_host(self.predict(x, batch_size)).argmax(axis=1) == labels))

    def gradient(self, x: Array, t: Array) -> dict[str, Array]:
        """Return the gradients of the loss under the names of `params`."""
        return self.loss_and_gradient(x, t)[1]

    def loss_and_gradient(self, x: Array, t: Array) -> tuple[float, dict[str, Array]]:
        """Return the loss and the gradients, of one forward and one backward pass."""
        loss = self.loss(x, t)
        self.backward(self._loss.backward())
        return loss, self._in_the_books_names(self.gradients())

    @staticmethod
    def _in_the_books_names(arrays: dict[str, Array]) -> dict[str, Array]:
        return dict(zip(("W1", "b1", "W2", "b2", "W3", "b3"), arrays.values(), strict=True))
