"""What happened in the epochs so far, and when that is enough."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any


@dataclass
class History:
    """What `fit` saw: lists with one entry for each whole epoch.

    Attributes
    ----------
    train_loss, train_accuracy : list of float
        Over the epoch's batches as they came by, each before its update.
    test_loss, test_accuracy : list of float
        On the test images, after the epoch.
    lr : list of float
        The learning rate of the epoch's first batch.
    seconds : list of float
        Wall-clock time of the epoch, its evaluation included.
    interrupted : bool
        Whether Ctrl-C ended the training.
    """

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    test_accuracy: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    interrupted: bool = False

    @property
    def epochs(self) -> int:
        """The number of whole epochs."""
        return len(self.train_loss)

    def extended(self, **values: float) -> History:
        """Return a history with one epoch more, given its value for each list."""
        lists: dict[str, Any] = {
            name: [*getattr(self, name), value] for name, value in values.items()
        }
        return replace(self, **lists)

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes by name, as ``History(**...)`` and JSON take them."""
        return asdict(self)


@dataclass(frozen=True)
class EarlyStopping:
    """When `fit` stops before its last epoch: nothing has improved for `patience` epochs.

    Parameters
    ----------
    patience : int
        How many epochs in a row may pass without a new best one.
    monitor : {"test_loss", "test_accuracy"}
        The attribute of `History` that has to improve: the loss by falling, the accuracy by rising.

    Raises
    ------
    ValueError
        If `patience` is less than 1, or for another `monitor`.

    Notes
    -----
    What chooses the moment to stop cannot judge the model afterwards: for an honest accuracy give
    `fit` a part of the training images to test with, and keep the test images for the end.
    """

    patience: int
    monitor: str = "test_loss"

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise ValueError(f"EarlyStopping: patience must be at least 1, got {self.patience}")
        if self.monitor not in ("test_loss", "test_accuracy"):
            raise ValueError(
                'EarlyStopping: monitor must be "test_loss" or "test_accuracy", '
                f"got {self.monitor!r}"
            )

    def best_epoch(self, history: History) -> int:
        """Return the index of the best epoch of at least one; of equally good ones the first."""
        values: list[float] = getattr(history, self.monitor)
        best = min(values) if self.monitor == "test_loss" else max(values)
        return values.index(best)

    def is_due(self, history: History) -> bool:
        """Return whether the training has to stop."""
        return history.epochs > 0 and (
            history.epochs - 1 - self.best_epoch(history) >= self.patience
        )
