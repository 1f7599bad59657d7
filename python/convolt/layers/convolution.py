"""Convolutions, plain and transposed."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from convolt import functional
from convolt._arguments import resolve_conv, resolve_transpose
from convolt._checks import check_activation, check_algorithm, check_flag
from convolt._padding import Padding, Pair, integer, pair
from convolt.layers.base import Array, Shape
from convolt.layers.shapes import image_size
from convolt.layers.weights import Rng, WeightedLayer, initial_weight


class Conv2d(WeightedLayer):
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
        in_channels, out_channels, groups = _channels(in_channels, out_channels, groups, "Conv2d")
        check_activation(activation, "Conv2d")
        kernel = pair(kernel_size, "kernel_size", "Conv2d")
        steps, dilations = pair(stride, "stride", "Conv2d"), pair(dilation, "dilation", "Conv2d")
        check_algorithm(algorithm, kernel, steps, dilations, "Conv2d")
        shape = (out_channels, in_channels // groups, *kernel)
        fans = (shape[1] * math.prod(kernel), out_channels // groups * math.prod(kernel))
        self.weight = initial_weight(shape, fans, weight_init, dtype, rng, "Conv2d")
        self.bias = np.zeros(out_channels, self.weight.dtype) if bias else None
        self.backend = backend
        self.inplace = check_flag(inplace, "inplace", "Conv2d")
        self._options: dict[str, Any] = {
            "stride": steps,
            "padding": padding,
            "dilation": dilations,
            "groups": groups,
            "activation": activation,
            "algorithm": algorithm,
        }
        self._needs = _needs(needs_dx, bias, "Conv2d")

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

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (out_channels, OH, OW)."""
        out_channels, group_channels = self.weight.shape[:2]
        kernel = (self.weight.shape[2], self.weight.shape[3])
        size = image_size(input_shape, "Conv2d", group_channels * self._options["groups"])
        stride, padding, dilation = (self._options[n] for n in ("stride", "padding", "dilation"))
        _, output = resolve_conv(size, kernel, stride, padding, dilation, "Conv2d")
        return (out_channels, *output)

    def flops(self, input_shape: Shape) -> int:
        """Return 2 * weights * OH * OW."""
        _, rows, columns = self.output_shape(input_shape)
        return 2 * self.weight.size * rows * columns


class ConvTranspose2d(WeightedLayer):
    """Transposed convolution, as `convolt.conv_transpose2d`: mostly to enlarge images.

    Parameters
    ----------
    in_channels, out_channels : int
        Number of channels, both multiples of `groups`.
    kernel_size, stride, padding, output_padding, groups, dilation
        As for `convolt.conv_transpose2d`.
    bias : bool
        Whether to add a trainable number to each output channel, zero at the start.
    weight_init : {"he", "xavier"} or float
        As for `Conv2d`; fan_in counts the inputs that an output has on average,
        in_channels / groups * KH * KW / (vertical stride * horizontal stride).
    algorithm, needs_dx, dtype, rng, backend
        As for `Conv2d`.

    Attributes
    ----------
    weight, dweight : (in_channels, out_channels / groups, KH, KW) array
        The weight and the gradient of the latest `backward`.
    bias, dbias : (out_channels,) array or None
        The bias and its gradient.

    Examples
    --------
    >>> import numpy as np
    >>> layer = ConvTranspose2d(8, 3, 4, stride=2, padding=1)
    >>> layer(np.zeros((1, 8, 16, 16), dtype=np.float32)).shape
    (1, 3, 32, 32)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Padding = 0,
        output_padding: Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Pair = 1,
        *,
        algorithm: str | None = None,
        weight_init: str | float = "he",
        needs_dx: bool = True,
        dtype: DTypeLike = np.float32,
        rng: Rng = None,
        backend: ModuleType = functional,
    ) -> None:
        layer = "ConvTranspose2d"
        in_channels, out_channels, groups = _channels(in_channels, out_channels, groups, layer)
        kernel = pair(kernel_size, "kernel_size", layer)
        steps, dilations = pair(stride, "stride", layer), pair(dilation, "dilation", layer)
        check_algorithm(algorithm, kernel, steps, dilations, layer)
        shape = (in_channels, out_channels // groups, *kernel)
        taps = math.prod(kernel)
        fans = (in_channels // groups * taps / math.prod(steps), out_channels // groups * taps)
        self.weight = initial_weight(shape, fans, weight_init, dtype, rng, layer)
        self.bias = np.zeros(out_channels, self.weight.dtype) if bias else None
        self.backend = backend
        self._options: dict[str, Any] = {
            "stride": steps,
            "padding": padding,
            "output_padding": pair(output_padding, "output_padding", layer, minimum=0),
            "dilation": dilations,
            "groups": groups,
            "algorithm": algorithm,
        }
        self._needs = _needs(needs_dx, bias, layer)

    def forward(self, x: Array) -> Array:
        """Return the transposed convolution of `x` plus the bias."""
        y: Array = self.backend.conv_transpose2d(x, self.weight, self.bias, **self._options)
        self._saved = x
        return y

    def backward(self, dy: Array) -> Array | None:
        """Keep `dweight` and `dbias`, and return dx (None unless `needs_dx`)."""
        x = self._from_forward()
        dx: Array | None
        dx, self.dweight, self.dbias = self.backend.conv_transpose2d_backward(
            dy, x, self.weight, needs=self._needs, **self._options
        )
        return dx

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (out_channels, OH, OW)."""
        in_channels, group_channels = self.weight.shape[:2]
        kernel = (self.weight.shape[2], self.weight.shape[3])
        options, layer = self._options, "ConvTranspose2d"
        size = image_size(input_shape, layer, in_channels)
        names = ("stride", "padding", "dilation", "output_padding")
        stride, padding, dilation, extra = (options[name] for name in names)
        _, output = resolve_transpose(size, kernel, stride, padding, dilation, extra, layer)
        return (group_channels * options["groups"], *output)

    def flops(self, input_shape: Shape) -> int:
        """Return 2 * weights * H * W: each pixel of the input meets each weight of its channel."""
        rows, columns = image_size(input_shape, "ConvTranspose2d", len(self.weight))
        return 2 * self.weight.size * rows * columns


def _channels(in_channels: int, out_channels: int, groups: int, layer: str) -> tuple[int, int, int]:
    in_channels = integer(in_channels, "in_channels", layer, minimum=1)
    out_channels = integer(out_channels, "out_channels", layer, minimum=1)
    groups = integer(groups, "groups", layer, minimum=1)
    if in_channels % groups or out_channels % groups:
        raise ValueError(
            f"{layer}: groups must divide in_channels and out_channels, "
            f"got groups={groups} for {in_channels} and {out_channels} channels"
        )
    return in_channels, out_channels, groups


def _needs(needs_dx: bool, bias: bool, layer: str) -> tuple[str, ...]:
    check_flag(needs_dx, "needs_dx", layer)
    check_flag(bias, "bias", layer)
    needs = {"dx": needs_dx, "dweight": True, "dbias": bias}
    return tuple(name for name, wanted in needs.items() if wanted)
