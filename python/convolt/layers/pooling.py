"""Pooling layers."""

from __future__ import annotations

from types import ModuleType

from convolt import functional
from convolt._arguments import resolve_pool
from convolt._checks import check_flag
from convolt._padding import Padding, Pair, pair
from convolt.layers.base import Array, Layer, Shape
from convolt.layers.shapes import image_size


class MaxPool2d(Layer):
    """Largest value of each window, as `convolt.max_pool2d`.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, ceil_mode
        As for `convolt.max_pool2d`; `stride` is `kernel_size` by default.
    backend : module
        Where the operators are taken from.
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Padding = 0,
        dilation: Pair = 1,
        ceil_mode: bool = False,
        *,
        backend: ModuleType = functional,
    ) -> None:
        self.backend = backend
        kernel, steps = _kernel_and_stride(kernel_size, stride, type(self).__name__)
        dilations = pair(dilation, "dilation", type(self).__name__)
        check_flag(ceil_mode, "ceil_mode", type(self).__name__)
        self._window = (kernel, steps, padding, dilations, ceil_mode)

    def forward(self, x: Array) -> Array:
        """Return the maxima, and keep where they were."""
        y: Array
        y, winners = self.backend.max_pool2d_winners(x, *self._window)
        self._saved = (winners, x.shape)
        return y

    def backward(self, dy: Array) -> Array:
        """Return each entry of `dy` at the place of its maximum."""
        winners, shape = self._from_forward()
        dx: Array = self.backend.max_pool2d_winners_backward(dy, winners, shape, *self._window)
        return dx

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (C, OH, OW)."""
        layer = type(self).__name__
        _, output = resolve_pool(image_size(input_shape, layer), *self._window, layer)
        return (input_shape[0], *output)


class MinPool2d(MaxPool2d):
    """Smallest value of each window, as `convolt.min_pool2d`; parameters as `MaxPool2d`."""

    def forward(self, x: Array) -> Array:
        """Return the minima, and keep where they were."""
        y: Array
        y, winners = self.backend.min_pool2d_winners(x, *self._window)
        self._saved = (winners, x.shape)
        return y

    def backward(self, dy: Array) -> Array:
        """Return each entry of `dy` at the place of its minimum."""
        winners, shape = self._from_forward()
        dx: Array = self.backend.min_pool2d_winners_backward(dy, winners, shape, *self._window)
        return dx


class AvgPool2d(Layer):
    """Average of each window, as `convolt.avg_pool2d`.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As for `convolt.avg_pool2d`; `stride` is `kernel_size` by default.
    backend : module
        Where the operators are taken from.
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
        *,
        backend: ModuleType = functional,
    ) -> None:
        self.backend = backend
        kernel, steps = _kernel_and_stride(kernel_size, stride, "AvgPool2d")
        check_flag(ceil_mode, "ceil_mode", "AvgPool2d")
        check_flag(count_include_pad, "count_include_pad", "AvgPool2d")
        self._window = (
            kernel,
            steps,
            padding,
            ceil_mode,
            count_include_pad,
            divisor_override,
        )

    def forward(self, x: Array) -> Array:
        """Return the averages."""
        self._saved = x.shape
        y: Array = self.backend.avg_pool2d(x, *self._window)
        return y

    def backward(self, dy: Array) -> Array:
        """Return each entry of `dy` spread evenly over its window."""
        dx: Array = self.backend.avg_pool2d_backward(dy, self._from_forward(), *self._window)
        return dx

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (C, OH, OW)."""
        layer, dilation = "AvgPool2d", (1, 1)
        size = image_size(input_shape, layer)
        kernel, stride, padding, ceil_mode = self._window[:4]
        _, output = resolve_pool(size, kernel, stride, padding, dilation, ceil_mode, layer)
        return (input_shape[0], *output)


class GlobalAvgPool2d(Layer):
    """Average of each channel, (N, C, H, W) to (N, C, 1, 1), as `convolt.global_avg_pool2d`.

    Parameters
    ----------
    backend : module
        Where the operators are taken from.
    """

    def __init__(self, *, backend: ModuleType = functional) -> None:
        self.backend = backend

    def forward(self, x: Array) -> Array:
        """Return the averages."""
        self._saved = x.shape
        y: Array = self.backend.global_avg_pool2d(x)
        return y

    def backward(self, dy: Array) -> Array:
        """Return each entry of `dy` spread evenly over its channel."""
        dx: Array = self.backend.global_avg_pool2d_backward(dy, self._from_forward())
        return dx

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (C, 1, 1)."""
        image_size(input_shape, "GlobalAvgPool2d")
        return (input_shape[0], 1, 1)


def _kernel_and_stride(
    kernel_size: Pair, stride: Pair | None, layer: str
) -> tuple[tuple[int, int], tuple[int, int]]:
    kernel = pair(kernel_size, "kernel_size", layer)
    return kernel, kernel if stride is None else pair(stride, "stride", layer)
