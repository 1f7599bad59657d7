"""Labelled images, and the arithmetic that prepares them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from convolt._checks import check_flag

Array = NDArray[Any]

# Images whose float64 copy is in memory at a time while their mean and deviation are computed.
_CHUNK = 1000


class Dataset(NamedTuple):
    """Labelled images in two parts, to train on and to test with.

    Attributes
    ----------
    train_images, test_images : (n, C, H, W) float32 array
        Grey levels from 0, the background, to 1, unless they are normalized.
    train_labels, test_labels : (n,) int64 array
        The class of each image.

    Examples
    --------
    >>> from convolt.data import load_digits
    >>> digits = load_digits()
    >>> tuning = digits.split(0.2, rng=0)
    >>> len(digits.train_images), len(tuning.train_images), len(tuning.test_images)
    (1437, 1150, 287)
    """

    train_images: Array
    train_labels: NDArray[np.int64]
    test_images: Array
    test_labels: NDArray[np.int64]

    def split(self, validation: float, rng: np.random.Generator | int | None = None) -> Dataset:
        """Cut the training images in two, to make choices without a look at the test images.

        Parameters
        ----------
        validation : int or float
            How many images to hold out; a float is their share, below 1.
        rng : Generator or int, optional
            Draws the images, or its seed. By default the last ones are held out.

        Returns
        -------
        Dataset
            The images held out are its test part.

        Raises
        ------
        ValueError
            If nothing were held out, or nothing left to train on.
        """
        images = len(self.train_images)
        is_count = isinstance(validation, (int, np.integer))
        held_out = int(validation) if is_count else round(validation * images)
        if not 0 < held_out < images:
            raise ValueError(
                f"Dataset.split: validation must hold out from 1 to {images - 1} of "
                f"{images} images, got {validation}"
            )
        order = np.arange(images) if rng is None else np.random.default_rng(rng).permutation(images)
        train, test = order[:-held_out], order[-held_out:]
        return Dataset(
            self.train_images[train],
            self.train_labels[train],
            self.train_images[test],
            self.train_labels[test],
        )

    def normalized(self) -> Dataset:
        """Return both parts with the mean and the deviation of the training part taken out.

        Each channel of the training images then has mean 0 and standard deviation 1; the test
        images are treated alike, for nothing may be learned from them.

        Raises
        ------
        ValueError
            If there are no training images, or a channel of them is constant.
        """
        mean, std = mean_and_std(self.train_images)
        return self._replace(
            train_images=normalize(self.train_images, mean, std),
            test_images=normalize(self.test_images, mean, std),
        )


def mean_and_std(images: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and the standard deviation of each channel.

    Parameters
    ----------
    images : (N, C, H, W) array

    Returns
    -------
    mean, std : (C,) float64 arrays
        Computed in float64, the deviation around the mean.

    Raises
    ------
    ValueError
        If there is no image, or `images` has another shape.

    Examples
    --------
    >>> images = np.array([0, 2, 4, 6]).reshape(2, 1, 1, 2)
    >>> mean_and_std(images)
    (array([3.]), array([2.23606798]))
    """
    if images.ndim != 4 or not images.size:
        raise ValueError(
            f"mean_and_std: images must be (N, C, H, W) and at least one, got shape {images.shape}"
        )
    pixels = images.size // images.shape[1]
    mean = images.sum(axis=(0, 2, 3), dtype=np.float64) / pixels
    squares = np.zeros_like(mean)
    for start in range(0, len(images), _CHUNK):
        deviations = images[start : start + _CHUNK] - mean[:, None, None]
        squares += np.einsum("nchw,nchw->c", deviations, deviations)
    return mean, np.sqrt(squares / pixels)


def normalize(images: Array, mean: ArrayLike, std: ArrayLike) -> Array:
    """Return ``(images - mean) / std``, channel by channel.

    Parameters
    ----------
    images : (N, C, H, W) float32 or float64 array
    mean, std : float or (C,) array
        Those of the training images, for all images that the network will see: `mean_and_std`.

    Returns
    -------
    (N, C, H, W) array
        A new one, with the dtype of `images`.

    Raises
    ------
    TypeError
        If `images` are not floats.
    ValueError
        If a shape is another, or a deviation is not positive.

    Examples
    --------
    >>> images = np.array([0, 0.25, 0.5], np.float32).reshape(1, 1, 1, 3)
    >>> normalize(images, mean=0.25, std=0.125)
    array([[[[-2.,  0.,  2.]]]], dtype=float32)
    """
    if images.dtype.kind != "f":
        raise TypeError(f"normalize: images must be float32 or float64, got {images.dtype}")
    if images.ndim != 4:
        raise ValueError(f"normalize: images must be (N, C, H, W), got shape {images.shape}")
    channels = images.shape[1]
    per_channel = []
    for name, value in (("mean", mean), ("std", std)):
        array = np.asarray(value, images.dtype)
        if array.shape not in ((), (channels,)):
            raise ValueError(
                f"normalize: {name} must be a number or ({channels},), got shape {array.shape}"
            )
        per_channel.append(array.reshape(-1, 1, 1))
    if not np.all(per_channel[1] > 0):
        raise ValueError(f"normalize: std must be positive, got {std!r}")
    normalized: Array = (images - per_channel[0]) / per_channel[1]
    return normalized


def one_hot(labels: ArrayLike, classes: int, dtype: DTypeLike = np.float32) -> Array:
    """Return rows with a 1 at the label and 0 elsewhere.

    Parameters
    ----------
    labels : (N,) array of integers
        From 0 to ``classes - 1``.
    classes : int
        The length of a row.
    dtype : dtype
        Of the rows.

    Returns
    -------
    (N, classes) array

    Raises
    ------
    TypeError
        If `labels` are not integers.
    ValueError
        If `labels` has another shape, or a label is no class.

    Examples
    --------
    >>> one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    array = np.asarray(labels)
    if array.ndim != 1:
        raise ValueError(f"one_hot: labels must have shape (N,), got {array.shape}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"one_hot: labels must be integers, got {array.dtype}")
    if array.size and not 0 <= array.min() <= array.max() < classes:
        raise ValueError(
            f"one_hot: labels must be from 0 to {classes - 1}, got {array.min()} to {array.max()}"
        )
    rows: Array = np.zeros((len(array), classes), dtype)
    rows[np.arange(len(array)), array] = 1
    return rows


def batches(
    images: Array,
    labels: Array,
    batch_size: int,
    rng: np.random.Generator | int | None = None,
    drop_last: bool = False,
) -> Iterator[tuple[Array, Array]]:
    """Go through images and labels once, some at a time.

    Parameters
    ----------
    images, labels : arrays
        Of the same length.
    batch_size : int
        Images for each step.
    rng : Generator or int, optional
        Draws the order, or its seed; a generator draws another one for each pass. By default the
        order is that of `images`, and the batches are views of it.
    drop_last : bool
        Leave out a last batch that is smaller than the others.

    Returns
    -------
    iterator of (images, labels)

    Raises
    ------
    ValueError
        If `batch_size` is less than 1, or the lengths differ.

    Examples
    --------
    >>> [x.tolist() for x, _ in batches(np.arange(5), np.arange(5), 2)]
    [[0, 1], [2, 3], [4]]
    """
    check_flag(drop_last, "drop_last", "batches")
    if batch_size < 1:
        raise ValueError(f"batches: batch_size must be at least 1, got {batch_size}")
    if len(images) != len(labels):
        raise ValueError(
            f"batches: labels must be as many as the {len(images)} images, got {len(labels)}"
        )
    count = len(images)
    end = count - count % batch_size if drop_last else count
    order = None if rng is None else np.random.default_rng(rng).permutation(count)
    chosen: Iterator[slice | Array] = (
        slice(i, i + batch_size) if order is None else order[i : i + batch_size]
        for i in range(0, end, batch_size)
    )
    return ((images[batch], labels[batch]) for batch in chosen)
