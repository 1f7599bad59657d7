"""Training a model, and timing a step of it.

Examples
--------
>>> from convolt.data import load_digits
>>> from convolt.models import SimpleConvNet
>>> from convolt.optim import Adam
>>> model = SimpleConvNet(
...     (1, 8, 8), {"filter_size": 3, "pad": 1}, weight_init_std="he", seed=0
... )
>>> history = fit(model, load_digits(), Adam(lr=0.003), epochs=2, seed=0)
>>> len(history.loss), len(history.test_accuracy)
(30, 2)
>>> history.test_accuracy[-1] > 0.8
True
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from types import ModuleType
from typing import Any, NamedTuple, Protocol, TextIO

import numpy as np
from numpy.typing import NDArray

from convolt import functional, reference
from convolt.data import Dataset

Array = NDArray[Any]

# Relative to the norm of a gradient. Far above rounding in float32, since a tie in a max pooling
# that rounding breaks differently sends a whole entry elsewhere; far below any wrong gradient.
_AGREEMENT = 1e-2


class Model(Protocol):
    """What `fit` and `benchmark_step` need of a network."""

    params: dict[str, Array]

    def loss_and_gradient(self, x: Array, t: Array) -> tuple[float, dict[str, Array]]:
        """Return the loss and the gradients under the names of `params`."""
        ...

    def accuracy(self, x: Array, t: Array, batch_size: int = 100) -> float:
        """Return the share of images that are classified rightly."""
        ...


class Optimizer(Protocol):
    """What changes the parameters, as the classes of `convolt.optim` do."""

    lr: float

    def update(self, params: dict[str, Array], grads: dict[str, Array]) -> None:
        """Change each array of `params` in place."""
        ...


class History(NamedTuple):
    """What `fit` saw.

    Attributes
    ----------
    loss : list of float
        The loss of each step, before its update.
    test_accuracy : list of float
        The share of test images that were classified rightly after each epoch.
    """

    loss: list[float]
    test_accuracy: list[float]


class StepTimes(NamedTuple):
    """Seconds that one training step takes on convolt and in pure NumPy."""

    convolt: float
    reference: float

    @property
    def ratio(self) -> float:
        """How many times faster convolt is."""
        return self.reference / self.convolt


def fit(
    model: Model,
    dataset: Dataset,
    optimizer: Optimizer,
    *,
    epochs: int = 1,
    batch_size: int = 100,
    anneal: bool = False,
    seed: int | None = None,
    progress: TextIO | None = None,
) -> History:
    """Train a model on the training part of a data set.

    Parameters
    ----------
    model : Model
        Such as `convolt.models.SimpleConvNet`; its parameters are changed in place.
    dataset : Dataset
        Such as `convolt.data.load_digits` returns.
    optimizer : Optimizer
        Such as `convolt.optim.Adam`.
    epochs : int
        How often to go through the training images, each time in a new random order.
    batch_size : int
        Images for each step; the last step of an epoch takes what is left.
    anneal : bool
        Let the learning rate fall linearly from `optimizer.lr` towards zero at the last step [1]_.
    seed : int, optional
        Makes the orders reproducible.
    progress : text stream, optional
        Where to write one line for each epoch, such as ``sys.stderr``; on a terminal also the
        progress inside the epoch, with tqdm where that is installed. Nothing by default.

    Returns
    -------
    History
        The loss of each step and the test accuracy after each epoch.

    Raises
    ------
    ValueError
        If `epochs` or `batch_size` is less than 1.

    References
    ----------
    .. [1] I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning", MIT Press 2016, section 8.3.1.
    """
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"fit: {name} must be at least 1, got {value}")
    rng = np.random.default_rng(seed)
    history = History([], [])
    initial_lr, images = optimizer.lr, len(dataset.train_images)
    steps = epochs * math.ceil(images / batch_size)
    for epoch in range(1, epochs + 1):
        order = rng.permutation(images)
        batches = [order[i : i + batch_size] for i in range(0, images, batch_size)]
        label = f"epoch {epoch:{len(str(epochs))}}/{epochs}"
        for batch in _with_progress(batches, label, progress):
            x, t = dataset.train_images[batch], dataset.train_labels[batch]
            if anneal:
                optimizer.lr = initial_lr * (1 - len(history.loss) / steps)
            loss, gradients = model.loss_and_gradient(x, t)
            optimizer.update(model.params, gradients)
            history.loss.append(loss)
        accuracy = model.accuracy(dataset.test_images, dataset.test_labels)
        history.test_accuracy.append(accuracy)
        if progress is not None:
            mean_loss = np.mean(history.loss[-len(batches) :])
            print(
                f"{label}  loss {mean_loss:.4f}  test accuracy {accuracy:.2%}",
                file=progress,
                flush=True,
            )
    optimizer.lr = initial_lr
    return history


def benchmark_step(
    make_model: Callable[[ModuleType], Model],
    make_optimizer: Callable[[], Optimizer],
    x: Array,
    t: Array,
    *,
    repeats: int = 10,
) -> StepTimes:
    """Time one training step of the same network on convolt and on `convolt.reference`.

    A step is the loss, its gradients and the update of the parameters. First the two must agree on
    the gradients; then their steps are timed in turns.

    Parameters
    ----------
    make_model : callable
        Makes the network for the given backend, with the same parameters each time, as
        ``lambda backend: SimpleConvNet(seed=0, backend=backend)`` does.
    make_optimizer : callable
        Makes an optimizer, as ``Adam`` does.
    x, t : arrays
        The images and labels of the step.
    repeats : int
        How many steps of each to time.

    Returns
    -------
    StepTimes
        The median for each.

    Raises
    ------
    RuntimeError
        If a gradient differs by more than rounding.

    Examples
    --------
    >>> from convolt.models import SimpleConvNet
    >>> from convolt.optim import SGD
    >>> x, t = np.ones((2, 1, 8, 8), dtype=np.float32), np.array([0, 1])
    >>> times = benchmark_step(
    ...     lambda backend: SimpleConvNet((1, 8, 8), seed=0, backend=backend), SGD, x, t, repeats=1
    ... )
    >>> times.convolt > 0 and times.reference > 0
    True
    """
    models = [make_model(functional), make_model(reference)]
    optimizers = [make_optimizer(), make_optimizer()]
    _check_agreement(*(model.loss_and_gradient(x, t)[1] for model in models))
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for model, optimizer, times in zip(models, optimizers, seconds, strict=True):
            start = time.perf_counter()
            optimizer.update(model.params, model.loss_and_gradient(x, t)[1])
            times.append(time.perf_counter() - start)
    return StepTimes(*map(median, seconds))


def _check_agreement(gradients: dict[str, Array], expected: dict[str, Array]) -> None:
    for name, array in expected.items():
        difference = np.linalg.norm(gradients[name] - array)
        limit = _AGREEMENT * np.linalg.norm(array)
        if not difference <= limit:
            raise RuntimeError(
                f"benchmark_step: the gradient of {name} must agree with the reference to "
                f"{limit:.2g}, got a difference of {difference:.2g}"
            )


def _with_progress(batches: Sequence[Array], label: str, stream: TextIO | None) -> Iterator[Array]:
    if stream is None or not stream.isatty():
        return iter(batches)
    try:
        from tqdm import tqdm
    except ImportError:
        return _with_plain_progress(batches, label, stream)
    return iter(tqdm(batches, desc=label, file=stream, leave=False))


def _with_plain_progress(batches: Sequence[Array], label: str, stream: TextIO) -> Iterator[Array]:
    for done, batch in enumerate(batches):
        stream.write(f"\r{label} {done / len(batches):4.0%}")
        stream.flush()
        yield batch
    stream.write("\r")
