"""Layers with a weight and a bias."""

from __future__ import annotations

import math
from numbers import Real
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from convolt import functional
from convolt._checks import check_activation, check_algorithm
from convolt._padding import Padding, Pair, integer, pair
from convolt.layers.base import Array, Layer

Rng = np.random.Generator | int | None


class _WeightedLayer(Layer):
    """A layer with a weight and, unless it is None, a bias."""

    weight: Array
    bias: Array | None
    dweight: Array | None = None
    dbias: Array | None = None

    def parameters(self) -> dict[str, Array]:
        """Return the weight and the bias."""
        return _weight_and_bias(self.weight, self.bias)

    def gradients(self) -> dict[str, Array]:
        """Return the gradients of the weight and the bias."""
        if self.dweight is None:
            raise RuntimeError(f"{type(self).__name__}.gradients: backward must be called before")
        return _weight_and_bias(self.dweight, self.dbias)


class Conv2d(_WeightedLayer):
    """Convolution of (N, in_channels, H, W) to (N, out_channels, OH, OW), as `convolt.conv2d`.

    Parameters
    ----------
    in_channels, out_channels : int
        Number of channels, both multiples of `groups`.
    kernel_size, stride, dilation : int or (int, int)
        One number for both directions, or (vertical, horizontal).
    padding : int, pair, pair of pairs or str
        Any padding of `convolt.conv2d`.
    groups : int
        Number of groups of channels that do not see each other.
    bias : bool
        Whether to add a trainable number to each output channel, zero at the start.
    activation : {None, "relu"}
        Applied to the output: as a `ReLU` layer behind this one, to the bit, without its pass over
        memory.
    algorithm : str, optional
        As for `convolt.conv2d`.
    inplace : bool
        With an activation, overwrite dy, which saves memory and time: only before a layer that
        returns a new array from its backward pass.
    weight_init : {"he", "xavier"} or float
        Standard deviation of the normal distribution that the weight is drawn from:
        sqrt(2 / fan_in) [1]_, sqrt(2 / (fan_in + fan_out)) [2]_, or the number itself.
    needs_dx : bool
        False for the first layer of a network, whose input is data: `backward` then returns None
        and saves the time of computing the gradient of its input.
    dtype : dtype
        float32 or float64, of the parameters and of every input.
    rng : numpy.random.Generator, int or None
        Where the weight is drawn from: a generator, or the seed of a new one.
    backend : module
        Where the operators are taken from.

    Attributes
    ----------
    weight, dweight : (out_channels, in_channels / groups, KH, KW) array
        The weight and the gradient of the latest `backward`.
    bias, dbias : (out_channels,) array or None
        The bias and its gradient.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren, J. Sun, "Delving Deep into Rectifiers", ICCV 2015.
    .. [2] X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
       networks", AISTATS 2010.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Conv2d(3, 8, 5, stride=2, padding=2)
    >>> layer(np.zeros((1, 3, 32, 32), dtype=np.float32)).shape
    (1, 8, 16, 16)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        activation: str | None = None,
        algorithm: str | None = None,
        inplace: bool = False,
        weight_init: str | float = "he",
        needs_dx: bool = True,
        dtype: DTypeLike = np.float32,
        rng: Rng = None,
        backend: ModuleType = functional,
    ) -> None:
        in_channels = integer(in_channels, "in_channels", "Conv2d", minimum=1)
        out_channels = integer(out_channels, "out_channels", "Conv2d", minimum=1)
        groups = integer(groups, "groups", "Conv2d", minimum=1)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                "Conv2d: groups must divide in_channels and out_channels, "
                f"got groups={groups} for {in_channels} and {out_channels} channels"
            )
        check_activation(activation, "Conv2d")
        kernel = pair(kernel_size, "kernel_size", "Conv2d")
        steps, dilations = pair(stride, "stride", "Conv2d"), pair(dilation, "dilation", "Conv2d")
        check_algorithm(algorithm, kernel, steps, dilations, "Conv2d")
        shape = (out_channels, in_channels // groups, *kernel)
        fans = (shape[1] * math.prod(kernel), out_channels // groups * math.prod(kernel))
        self.weight = _initial_weight(shape, fans, weight_init, dtype, rng, "Conv2d")
        self.bias = np.zeros(out_channels, self.weight.dtype) if bias else None
        self.backend = backend
        self.inplace = inplace
        self._prepared: Any = None
        self._options = {
            "stride": steps,
            "padding": padding,
            "dilation": dilations,
            "groups": groups,
            "activation": activation,
            "algorithm": algorithm,
        }
        needs = {"dx": needs_dx, "dweight": True, "dbias": bias}
        self._needs = tuple(name for name, wanted in needs.items() if wanted)

    def prepare(self) -> None:
        """Pack the weight and the bias, see `Layer.prepare`; as `convolt.PreparedConv2d`."""
        self._prepared = self.backend.PreparedConv2d(self.weight, self.bias, **self._options)

    def forward(self, x: Array) -> Array:
        """Return the convolution of `x` plus the bias, behind the activation."""
        y: Array
        if self._prepared is None:
            y = self.backend.conv2d(x, self.weight, self.bias, **self._options)
        else:
            y = self._prepared(x)
        self._saved = (x, None if self._options["activation"] is None else y)
        return y

    def backward(self, dy: Array) -> Array | None:
        """Keep `dweight` and `dbias`, and return dx (None unless `needs_dx`)."""
        x, y = self._from_forward()
        self._prepared = None  # what comes next is a change of the weight
        dx: Array | None
        dx, self.dweight, self.dbias = self.backend.conv2d_backward(
            dy, x, self.weight, y=y, overwrite_dy=self.inplace, needs=self._needs, **self._options
        )
        return dx


class Linear(_WeightedLayer):
    """Fully connected layer, ``x @ weight + bias``.

    The weight is (in_features, out_features), as in the formula and in the book "Deep Learning from
    Scratch"; PyTorch stores its transpose.

    Parameters
    ----------
    in_features, out_features : int
        Length of a row of the input and of the output.
    bias : bool
        Whether to add a trainable row, zero at the start.
    weight_init, dtype, rng
        As for `Conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> Linear(20, 5)(np.zeros((2, 20), dtype=np.float32)).shape
    (2, 5)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        weight_init: str | float = "he",
        dtype: DTypeLike = np.float32,
        rng: Rng = None,
    ) -> None:
        shape = (
            integer(in_features, "in_features", "Linear", minimum=1),
            integer(out_features, "out_features", "Linear", minimum=1),
        )
        self.weight = _initial_weight(shape, shape, weight_init, dtype, rng, "Linear")
        self.bias = np.zeros(out_features, self.weight.dtype) if bias else None

    def forward(self, x: Array) -> Array:
        """Return ``x @ weight + bias`` for x of (N, in_features).

        Raises
        ------
        ValueError
            If x has another shape.
        TypeError
            If x has another dtype than the weight.
        """
        if x.ndim != 2 or x.shape[1] != len(self.weight):
            raise ValueError(
                f"Linear: x must have shape (N, {len(self.weight)}), got {x.shape}"
                + ("; a Flatten layer before it makes rows of images" if x.ndim > 2 else "")
            )
        if x.dtype != self.weight.dtype:
            raise TypeError(f"Linear: x must be {self.weight.dtype} as the weight, got {x.dtype}")
        self._saved = x
        y: Array = x @ self.weight
        if self.bias is not None:
            y += self.bias
        return y

    def backward(self, dy: Array) -> Array:
        """Keep `dweight` and `dbias`, and return dx."""
        x = self._from_forward()
        self.dweight = x.T @ dy
        self.dbias = None if self.bias is None else dy.sum(axis=0)
        dx: Array = dy @ self.weight.T
        return dx


def _weight_and_bias(weight: Array, bias: Array | None) -> dict[str, Array]:
    return {"weight": weight} if bias is None else {"weight": weight, "bias": bias}


def _initial_weight(
    shape: tuple[int, ...],
    fans: tuple[int, int],
    weight_init: str | float,
    dtype: DTypeLike,
    rng: Rng,
    layer: str,
) -> Array:
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"{layer}: dtype must be float32 or float64, got {dtype}")
    fan_in, fan_out = fans
    if weight_init == "he":
        deviation = math.sqrt(2 / fan_in)
    elif weight_init == "xavier":
        deviation = math.sqrt(2 / (fan_in + fan_out))
    elif isinstance(weight_init, Real) and 0 <= weight_init < math.inf:
        deviation = float(weight_init)
    else:
        raise ValueError(
            f'{layer}: weight_init must be "he", "xavier" or a standard deviation, '
            f"got {weight_init!r}"
        )
    # Drawn in float64 so that one seed gives both dtypes the same weights.
    normal = np.random.default_rng(rng).standard_normal(shape)
    return (deviation * normal).astype(dtype)
