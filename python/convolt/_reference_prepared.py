"""The definition of the prepared convolution, in NumPy."""

from __future__ import annotations

from functools import partial
from typing import Any

from numpy.typing import NDArray

from convolt._arguments import Padding, Pair, pair, resolve_padding
from convolt._checks import as_float, check_activation, check_algorithm, check_filters
from convolt._padding import integer
from convolt._reference_conv import convolve


class PreparedConv2d:
    """:func:`conv2d` with a weight, a bias and parameters that are given once.

    Parameters
    ----------
    weight : ndarray, (OC, C/groups, KH, KW)
    bias : ndarray, (OC,), or None
        Both are copied: what is written into them later has no effect.
    stride, padding, dilation, groups, activation, algorithm
        As for :func:`conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> weight = np.array([[[[10.0, 1.0]]]])
    >>> prepared = PreparedConv2d(weight)
    >>> weight[:] = 0
    >>> prepared(np.array([[[[1.0, 2.0, 3.0]]]]))
    array([[[[12., 23.]]]])
    """

    def __init__(
        self,
        weight: NDArray[Any],
        bias: NDArray[Any] | None = None,
        *,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        groups: int = 1,
        activation: str | None = None,
        algorithm: str | None = None,
    ) -> None:
        function = "PreparedConv2d"
        weight = as_float(weight, "weight", function).copy()
        bias = None if bias is None else as_float(bias, "bias", function, like=weight).copy()
        groups = integer(groups, "groups", function, minimum=1)
        check_filters(weight, bias, groups, function)
        check_activation(activation, function)
        steps = pair(stride, "stride", function)
        dilations = pair(dilation, "dilation", function)
        kernel = (weight.shape[2], weight.shape[3])
        check_algorithm(algorithm, kernel, steps, dilations, function)
        resolve_padding(padding, kernel, kernel, steps, dilations, function)
        self._convolve = partial(
            convolve,
            function,
            weight=weight,
            bias=bias,
            stride=steps,
            padding=padding,
            dilation=dilations,
            groups=groups,
            activation=activation,
        )
        self._weight = weight

    def __call__(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return the convolution (N, OC, OH, OW) of x, (N, C, H, W)."""
        return self._convolve(as_float(x, "x", "PreparedConv2d", like=self._weight))
