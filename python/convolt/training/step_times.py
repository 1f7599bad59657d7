"""What a step of training costs on convolt and in pure NumPy."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convolt import functional, reference
from convolt._engine import on_host, placed, wait_for
from convolt.layers import Layer, SoftmaxCrossEntropy
from convolt.optim import Optimizer
from convolt.training.evaluation import scores_of

Array = NDArray[Any]

# Relative to the norm of a gradient. Far above rounding in float32, since a tie in a max pooling
# that rounding breaks differently sends a whole entry elsewhere; far below any wrong gradient.
_AGREEMENT = 1e-2


class StepTimes(NamedTuple):
    """Seconds that one training step takes on convolt and in pure NumPy."""

    convolt: float
    reference: float

    @property
    def ratio(self) -> float:
        """How many times faster convolt is."""
        return self.reference / self.convolt


def benchmark_step(
    make_model: Callable[[ModuleType], Layer],
    make_optimizer: Callable[[], Optimizer],
    x: Array,
    t: Array,
    *,
    repeats: int = 10,
) -> StepTimes:
    """Time one training step of the same network on convolt and on `convolt.reference`.

    A step is the loss, `SoftmaxCrossEntropy`, its gradients, and the update of the parameters.
    First the two must agree on the gradients; then their steps are timed in turns.

    Parameters
    ----------
    make_model : callable
        Makes the network for the given backend, with the same parameters each time, as
        ``lambda backend: SimpleConvNet(seed=0, backend=backend)`` does. It may be on a device.
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
    models = [make_model(functional).train(), make_model(reference).train()]
    optimizers = [make_optimizer(), make_optimizer()]
    _check_agreement(*(_gradients(model, x, t) for model in models))
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for model, optimizer, times in zip(models, optimizers, seconds, strict=True):
            start = time.perf_counter()
            optimizer.update(model.parameters(), _gradients(model, x, t))
            wait_for(model.device)
            times.append(time.perf_counter() - start)
    return StepTimes(*map(median, seconds))


def _gradients(model: Layer, x: Array, t: Array) -> dict[str, Array]:
    loss = SoftmaxCrossEntropy()
    loss.forward(scores_of(model, x), t)
    model.backward(placed(loss.backward(), model.device))
    return model.gradients()


def _check_agreement(gradients: dict[str, Array], expected: dict[str, Array]) -> None:
    for name, array in expected.items():
        difference = np.linalg.norm(on_host(gradients[name]) - array)
        limit = _AGREEMENT * np.linalg.norm(array)
        if not difference <= limit:
            raise RuntimeError(
                f"benchmark_step: the gradient of {name} must agree with the reference to "
                f"{limit:.2g}, got a difference of {difference:.2g}"
            )
