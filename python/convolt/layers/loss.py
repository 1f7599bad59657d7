"""The loss at the end of a classifier."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convolt._engine import device_of, on_host, placed
from convolt.layers.base import Array


class SoftmaxCrossEntropy:
    """Cross entropy between labels and the softmax of scores, averaged over the batch.

    The two belong together: the gradient of the scores is simply (softmax - one-hot label) / N
    (C. M. Bishop, "Pattern Recognition and Machine Learning", 2006, section 4.3.4), and the
    logarithm never sees a softmax that was rounded to zero. Scores on a CUDA device are copied to
    the host, where the value is needed, and the gradient goes back to the device.

    Examples
    --------
    >>> import numpy as np
    >>> loss = SoftmaxCrossEntropy()
    >>> round(loss(np.zeros((3, 10)), np.array([1, 4, 9])), 4)
    2.3026
    >>> loss.backward().shape
    (3, 10)
    """

    _saved: tuple[Array, NDArray[np.intp]] | None = None
    _device: str = "cpu"

    def __call__(self, x: Array, t: Array) -> float:
        """Return ``forward(x, t)``."""
        return self.forward(x, t)

    def forward(self, x: Array, t: Array) -> float:
        """Return the mean loss, 0 for an empty batch.

        Parameters
        ----------
        x : (N, classes) array
            Scores before the softmax.
        t : (N,) array of integers, or (N, classes) array
            The class of each row, or its one-hot form: 1 at the class and 0 elsewhere.

        Raises
        ------
        ValueError
            If `x` or `t` has another shape, a label is no class, or a row is not one-hot.
        TypeError
            If labels are not integers.
        """
        self._device = device_of(x)
        x = on_host(x)
        labels = _class_labels(t, x)
        shifted = x - x.max(axis=1, keepdims=True)
        exponentials = np.exp(shifted)
        sums = exponentials.sum(axis=1)
        self._saved = (exponentials / sums[:, None], labels)
        losses = np.log(sums) - shifted[np.arange(len(x)), labels]
        return float(losses.sum() / max(len(x), 1))

    def backward(self, dy: float = 1.0) -> Array:
        """Return the gradient of the scores, given `dy`, that of the mean loss.

        Raises
        ------
        RuntimeError
            If `forward` was not called before.
        """
        if self._saved is None:
            raise RuntimeError("SoftmaxCrossEntropy.backward: forward must be called before")
        softmax, labels = self._saved
        dx: Array = softmax.copy()
        dx[np.arange(len(dx)), labels] -= 1
        dx *= dy / max(len(dx), 1)
        moved: Array = placed(dx, self._device)
        return moved


def _class_labels(t: Array, x: Array) -> NDArray[np.intp]:
    if x.ndim != 2:
        raise ValueError(f"SoftmaxCrossEntropy: x must have shape (N, classes), got {x.shape}")
    batch, classes = x.shape
    labels: NDArray[np.intp]
    if t.shape == (batch, classes):
        labels = t.argmax(axis=1)
        if not np.array_equal(t, np.eye(classes)[labels]):
            raise ValueError(
                "SoftmaxCrossEntropy: t must be one-hot, a single 1 and else 0 in each row, "
                "got other values"
            )
        return labels
    if t.shape != (batch,):
        raise ValueError(
            f"SoftmaxCrossEntropy: t must have shape ({batch},) or ({batch}, {classes}), "
            f"got {t.shape}"
        )
    if t.dtype.kind not in "iu":
        raise TypeError(f"SoftmaxCrossEntropy: t must hold integer labels, got {t.dtype}")
    if batch and not 0 <= t.min() <= t.max() < classes:
        raise ValueError(
            f"SoftmaxCrossEntropy: t must hold labels from 0 to {classes - 1}, "
            f"got {t.min()} to {t.max()}"
        )
    labels = t.astype(np.intp)
    return labels
