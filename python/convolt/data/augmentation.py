"""Random changes of training images that leave their class as it is.

Each is called with images (N, C, H, W) of any dtype and a random generator or a seed, as
``augment(images, rng)``, and returns changed images of the same shape and dtype in a new array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Augmentation(Protocol):
    """What may be done to images: any callable, as the classes of this module are."""

    def __call__(self, images: Array, rng: np.random.Generator) -> Array:
        """Return changed images, and leave those given as they are."""
        ...


@dataclass(frozen=True)
class Shift:
    """Shift each image by a random number of pixels, in both directions of its own.

    Parameters
    ----------
    pixels : int
        At most so many, upwards or downwards, and to the left or to the right.
    fill : float
        What comes in at the border: the background, which is no longer 0 in normalized images.

    Raises
    ------
    ValueError
        If `pixels` is negative, or images are not (N, C, H, W).

    Examples
    --------
    >>> image = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> Shift(1)(image, 5)
    array([[[[4., 5., 0.],
             [7., 8., 0.],
             [0., 0., 0.]]]])
    """

    pixels: int
    fill: float = 0.0

    def __post_init__(self) -> None:
        if self.pixels < 0:
            raise ValueError(f"Shift: pixels must be at least 0, got {self.pixels}")

    def __call__(self, images: Array, rng: np.random.Generator | int) -> Array:
        """Return the images, each shifted."""
        _check_images(images, "Shift")
        count, _, height, width = images.shape
        border, steps = (self.pixels, self.pixels), 2 * self.pixels + 1
        padded = np.pad(images, ((0, 0), (0, 0), border, border), constant_values=self.fill)
        # (N, C, steps, steps, H, W): every shift of every image, as a view
        shifts = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
        top, left = np.random.default_rng(rng).integers(steps, size=(2, count))
        shifted: Array = shifts[np.arange(count), :, top, left]
        return shifted


@dataclass(frozen=True)
class Flip:
    """Mirror images at random, left and right exchanged.

    Parameters
    ----------
    p : float
        The probability for each image.

    Raises
    ------
    ValueError
        If `p` is not between 0 and 1, or images are not (N, C, H, W).

    Examples
    --------
    >>> Flip(p=1)(np.arange(3).reshape(1, 1, 1, 3), 0)
    array([[[[2, 1, 0]]]])
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ValueError(f"Flip: p must be between 0 and 1, got {self.p}")

    def __call__(self, images: Array, rng: np.random.Generator | int) -> Array:
        """Return the images, some of them mirrored."""
        _check_images(images, "Flip")
        chosen = np.random.default_rng(rng).random(len(images)) < self.p
        flipped: Array = images.copy()
        flipped[chosen] = images[chosen, :, :, ::-1]
        return flipped


class Compose:
    """One augmentation after the other.

    Parameters
    ----------
    transforms : sequence of callables
        In the order in which they are applied; all draw from the same generator.

    Examples
    --------
    >>> augment = Compose([Shift(2), Flip(0.5)])
    >>> augment(np.zeros((4, 1, 8, 8), np.float32), np.random.default_rng(0)).shape
    (4, 1, 8, 8)
    """

    def __init__(self, transforms: Sequence[Augmentation]) -> None:
        self.transforms = tuple(transforms)

    def __repr__(self) -> str:
        return f"Compose({list(self.transforms)})"

    def __call__(self, images: Array, rng: np.random.Generator | int) -> Array:
        """Return what the last one makes of the images."""
        generator = np.random.default_rng(rng)
        for transform in self.transforms:
            images = transform(images, generator)
        return images


def _check_images(images: Array, function: str) -> None:
    if images.ndim != 4:
        raise ValueError(f"{function}: images must be (N, C, H, W), got shape {images.shape}")
