"""A convolution whose weight is packed once, over the compiled engine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convolt._arguments import Padding, Pair, pair, resolve_padding
from convolt._arrays import check_output, operand, optional_operand
from convolt._checks import check_activation, check_algorithm, check_filters, check_image
from convolt._engine import engine, placed_like
from convolt._padding import SIZED_PADDING, integer


class PreparedConv2d:
    """A convolution with one weight for many calls: :func:`conv2d` for inference.

    ``PreparedConv2d(weight, bias, ...)(x)`` is ``conv2d(x, weight, bias, ...)``, to the bit if the
    algorithm is named: "auto" may choose another one where the weight is prepared. The weight is
    packed or transformed for the kernels at the first call instead of at each one, which pays most
    where images are small and filters are many.

    It keeps copies of `weight` and `bias`: what is written into these arrays later has no effect.
    Beside the copy it keeps each form of the weight that a call has needed: packed for images of
    few pixels, and of many, of its own size; transformed for Winograd's tiles of 2x2 outputs, twice
    that, and of 4x4, four times. Calls from several threads at once are safe.

    Parameters
    ----------
    weight : ndarray
        Filters (OC, C/groups, KH, KW), float32 or float64.
    bias : ndarray, optional
        (OC,), of the same dtype.
    stride, padding, dilation, groups, activation, algorithm : optional
        As for :func:`conv2d`. The default algorithm is that at the time of a call.

    Raises
    ------
    TypeError, ValueError
        As :func:`conv2d` does: for the parameters here, for the images in a call.

    Examples
    --------
    >>> import numpy as np, convolt
    >>> edges = convolt.PreparedConv2d(np.array([[[[1.0, -1.0]]]]), activation="relu")
    >>> edges(np.array([[[[3.0, 2.0, 5.0, 5.0]]]]))
    array([[[[1., 0., 0.]]]])
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
        weight = operand(weight, "weight", function)
        bias = optional_operand(bias, "bias", function, like=weight)
        groups = integer(groups, "groups", function, minimum=1)
        check_filters(weight, bias, groups, function)
        check_activation(activation, function)
        steps = pair(stride, "stride", function)
        dilations = pair(dilation, "dilation", function)
        kernel = (weight.shape[2], weight.shape[3])
        check_algorithm(algorithm, kernel, steps, dilations, function)
        pads = resolve_padding(padding, kernel, kernel, steps, dilations, function)
        self._pads = None if padding in SIZED_PADDING else pads
        self._padding = padding
        self._window = (kernel, steps, dilations)
        self._like = placed_like(np.empty(0, weight.dtype), weight)
        self._engine = engine(weight).prepare_conv2d(
            weight, bias, steps, dilations, groups, activation == "relu", algorithm
        )
        self._options = {
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "groups": groups,
            "activation": activation,
            "algorithm": algorithm,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what a copy or a pickle has: the parameters, to be packed anew."""
        return _prepare, (self._engine.weight(), self._engine.bias(), self._options)

    def __call__(self, x: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the convolution of `x`.

        Parameters
        ----------
        x : ndarray
            Images (N, C, H, W), of the dtype of the weight.
        out : ndarray, optional
            Where to write the result.

        Returns
        -------
        ndarray
            (N, OC, OH, OW).
        """
        y: NDArray[Any] | None = self._engine.at_once(x, self._pads, out)
        if y is not None:
            return y
        function = "PreparedConv2d"
        check_output(out, function, x=x)
        x = operand(x, "x", function, like=self._like)
        check_image(x, "x", function)
        size = (x.shape[2], x.shape[3])
        pads = resolve_padding(self._padding, size, *self._window, function)
        result: NDArray[Any] = self._engine(x, pads, out)
        return result


def _prepare(
    weight: NDArray[Any], bias: NDArray[Any] | None, options: dict[str, Any]
) -> PreparedConv2d:
    return PreparedConv2d(weight, bias, **options)
