"""Why Inception modules have convolutions of 1x1: what these save."""

from __future__ import annotations

import math
from typing import NamedTuple

from convolt._padding import integer


class Multiplications(NamedTuple):
    """Multiplications for one image.

    Attributes
    ----------
    direct : int
        Of the convolution alone.
    reduced : int
        Of the same convolution behind one of 1x1 with fewer channels, both together.
    """

    direct: int
    reduced: int


def count_multiplications(
    in_channels: int = 192,
    out_channels: int = 32,
    kernel_size: int = 5,
    *,
    size: tuple[int, int] = (28, 28),
    reduced_channels: int = 16,
) -> Multiplications:
    """Count what a convolution costs, and what it costs behind a reduction of 1x1.

    Each output takes a product with each weight of its filter. Padding keeps the size, and zeros
    are counted as all other pixels ::

        direct  = H * W * out_channels * in_channels * kernel_size**2
        reduced = H * W * reduced_channels * in_channels
                + H * W * out_channels * reduced_channels * kernel_size**2

    Parameters
    ----------
    in_channels, out_channels : int
        Channels before and behind it; by default those of GoogLeNet's first module.
    kernel_size : int
        Rows and columns of the filter.
    size : (int, int)
        Height and width of the maps.
    reduced_channels : int
        Channels between the 1x1 and the convolution.

    Returns
    -------
    Multiplications
        Both counts.

    Raises
    ------
    ValueError
        If a number is less than 1.

    References
    ----------
    C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 4 and table 1.

    Examples
    --------
    >>> counts = count_multiplications(192, 32, 5, size=(28, 28), reduced_channels=16)
    >>> f"{counts.direct:,} or {counts.reduced:,}"
    '120,422,400 or 12,443,648'
    """
    name = "count_multiplications"
    channels = integer(in_channels, "in_channels", name, minimum=1)
    outputs = integer(out_channels, "out_channels", name, minimum=1)
    taps = integer(kernel_size, "kernel_size", name, minimum=1) ** 2
    between = integer(reduced_channels, "reduced_channels", name, minimum=1)
    pixels = math.prod(integer(length, "size", name, minimum=1) for length in size)
    return Multiplications(
        direct=pixels * outputs * channels * taps,
        reduced=pixels * between * (channels + outputs * taps),
    )
