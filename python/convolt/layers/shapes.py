"""What layers expect of the shape of one input, and layers that change nothing but the shape."""

from __future__ import annotations

import math

from convolt.layers.base import Array, Layer, Shape


class Flatten(Layer):
    """Make one row of each image: (N, C, H, W) to (N, C*H*W)."""

    def forward(self, x: Array) -> Array:
        """Return `x` as (N, the product of the other dimensions), a view where that is possible."""
        self._saved = x.shape
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, dy: Array) -> Array:
        """Return `dy` in the shape of the input."""
        dx: Array = dy.reshape(self._from_forward())
        return dx

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (C*H*W,)."""
        return (math.prod(input_shape),)


def image_size(input_shape: Shape, layer: str, channels: int | None = None) -> tuple[int, int]:
    """Return (H, W) of an input that must be (C, H, W), and of so many channels if given."""
    if len(input_shape) != 3 or min(input_shape) < 1:
        hint = "; the shape is that of one image, without the batch"
        raise ValueError(
            f"{layer}: input must have shape (C, H, W), got {tuple(input_shape)}"
            + (hint if len(input_shape) == 4 else "")
        )
    if channels is not None and input_shape[0] != channels:
        looks_like_hwc = input_shape[2] == channels
        raise ValueError(
            f"{layer}: input must have {channels} channels, got shape {tuple(input_shape)}"
            + ("; it looks like (H, W, C), convolt takes (C, H, W)" if looks_like_hwc else "")
        )
    return input_shape[1], input_shape[2]
