"""How good a model is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from convolt._engine import on_host, placed
from convolt.layers import Layer, SoftmaxCrossEntropy

Array = NDArray[Any]


class Loss(Protocol):
    """What `fit` and `evaluate` need of a loss, as `convolt.layers.SoftmaxCrossEntropy` has it."""

    def forward(self, x: Array, t: Array) -> float:
        """Return the mean loss of the scores `x` (N, classes) for the labels `t`."""
        ...

    def backward(self) -> Array:
        """Return the gradient of the scores of the latest `forward`."""
        ...


class Evaluation(NamedTuple):
    """What `evaluate` found.

    Attributes
    ----------
    loss : float
        The mean over the images.
    accuracy : float
        The share of images whose highest score is that of their label.
    """

    loss: float
    accuracy: float


def evaluate(
    model: Layer,
    images: Array,
    labels: Array,
    *,
    loss: Loss | None = None,
    batch_size: int = 100,
) -> Evaluation:
    """Return the loss and the accuracy of a model, in its evaluation mode.

    Parameters
    ----------
    model : Layer
        Afterwards in the mode that it was in.
    images : (n, C, H, W) array
    labels : (n,) array of integers, or (n, classes) array
        The class of each image, or its one-hot form.
    loss : Loss, optional
        By default `SoftmaxCrossEntropy`.
    batch_size : int
        Compute so many images at a time.

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError
        If there are no images, not as many labels, or `batch_size` is less than 1.

    Examples
    --------
    >>> from convolt.layers import Flatten, Linear, Sequential
    >>> model = Sequential(Flatten(), Linear(4, 2, weight_init=0.0))
    >>> images = np.ones((3, 1, 2, 2), dtype=np.float32)
    >>> loss, accuracy = evaluate(model, images, np.array([0, 0, 1]))
    >>> round(loss, 4), round(accuracy, 4)
    (0.6931, 0.6667)
    """
    check_images(images, labels, "evaluate")
    check_at_least(1, batch_size, "batch_size", "evaluate")
    loss = SoftmaxCrossEntropy() if loss is None else loss
    total, right = 0.0, 0
    with evaluation_mode(model):
        for start in range(0, len(images), batch_size):
            batch = slice(start, start + batch_size)
            scores = scores_of(model, images[batch])
            total += float(loss.forward(scores, labels[batch])) * len(scores)
            right += count_right(scores, labels[batch])
    return Evaluation(total / len(images), right / len(images))


def scores_of(model: Layer, x: Array) -> Array:
    """Return the scores for images of the host, on the host, wherever the model is."""
    scores: Array = on_host(model(placed(x, model.device)))
    return scores


def count_right(scores: Array, labels: Array) -> int:
    """Return how many rows of `scores` are highest at their label, a number or one-hot."""
    classes = labels.argmax(axis=1) if labels.ndim == 2 else labels
    return int(np.count_nonzero(scores.argmax(axis=1) == classes))


@contextmanager
def evaluation_mode(model: Layer) -> Iterator[None]:
    """Put the model into its evaluation mode, and back into the one that it was in."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def check_images(images: Array, labels: Array, function: str) -> None:
    """Refuse what cannot be learned or judged: no images, or not a label for each."""
    if len(images) == 0 or len(images) != len(labels):
        raise ValueError(
            f"{function}: images and labels must be equally many and at least one, "
            f"got {len(images)} images and {len(labels)} labels"
        )


def check_at_least(minimum: int, value: int, name: str, function: str) -> None:
    """Refuse less than a minimum."""
    if value < minimum:
        raise ValueError(f"{function}: {name} must be at least {minimum}, got {value}")
