"""The loop that trains a model."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
from numpy.typing import NDArray

from convolt._engine import placed
from convolt.data import Augmentation, Dataset
from convolt.layers import Layer, SoftmaxCrossEntropy
from convolt.optim import Optimizer, Schedule
from convolt.training.checkpoint import Training, load_checkpoint, save_checkpoint
from convolt.training.evaluation import (
    Loss,
    check_at_least,
    check_images,
    count_right,
    evaluate,
    evaluation_mode,
    scores_of,
)
from convolt.training.history import EarlyStopping, History
from convolt.training.progress import Advance, Reporter

Array = NDArray[Any]


def fit(
    model: Layer,
    data: Dataset,
    optimizer: Optimizer,
    *,
    epochs: int = 1,
    batch_size: int = 100,
    loss: Loss | None = None,
    schedule: Schedule | None = None,
    augment: Augmentation | None = None,
    seed: int = 0,
    early_stopping: EarlyStopping | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool | TextIO = True,
) -> History:
    """Train a model on the training part of a data set, and evaluate it after each epoch.

    Parameters
    ----------
    model : Layer
        Gives scores (N, classes) for images (N, C, H, W). Its parameters are changed in place;
        afterwards it is in evaluation mode, ready to predict.
    data : Dataset
        Such as `convolt.data.load_digits` returns. Its test part is evaluated, never learned from.
    optimizer : Optimizer
        Such as `convolt.optim.Adam`.
    epochs : int
        How often to go through the training images, each time in a new random order.
    batch_size : int
        Images for each step; the last step of an epoch takes what is left.
    loss : Loss, optional
        By default `SoftmaxCrossEntropy`.
    schedule : callable, optional
        Gives the learning rate of each batch for the progress in epochs, as
        `convolt.optim.cosine` does. By default it stays ``optimizer.lr``, which a schedule leaves
        as it was.
    augment : callable, optional
        Takes the images of a training batch and a generator, and returns the images to learn from,
        as `convolt.data.Shift` does.
    seed : int
        Decides the order of the images and what `augment` does: epoch number i draws from
        ``numpy.random.default_rng((seed, i))``.
    early_stopping : EarlyStopping, optional
        When to stop before the last epoch. The model then has the weights of its best epoch in the
        end, for whatever reason the training ended.
    checkpoint : path, optional
        A .npz file that the training is written to before the first and after each epoch. Where the
        file exists, the training goes on from its last whole epoch, and ends with the same bits as
        if it had never stopped; `epochs` counts those in the file. Remove the file to start anew.
    progress : bool or text stream
        True, the default, shows a bar (that of tqdm, where it is installed) and a line for each
        epoch if ``sys.stderr`` is a terminal, else nothing. A stream gets the lines in any case.

    Returns
    -------
    History
        One entry for each whole epoch.

    Raises
    ------
    ValueError
        If there is nothing to learn from or to test with, `epochs` or `batch_size` is less than 1,
        `seed` is negative, or the checkpoint does not belong to this training.
    FloatingPointError
        If the loss becomes infinite or NaN, before the step that would spread it and before
        anything of it comes into the checkpoint.

    Notes
    -----
    Ctrl-C ends the training, not the program: `fit` returns the history of the whole epochs, with
    ``interrupted`` set, and the model has what it has learned so far.

    The same model, data and seed give the same bits, with any number of threads.
    """
    check_images(data.train_images, data.train_labels, "fit")
    check_images(data.test_images, data.test_labels, "fit")
    check_at_least(1, epochs, "epochs", "fit")
    check_at_least(1, batch_size, "batch_size", "fit")
    check_at_least(0, seed, "seed", "fit")
    loss = SoftmaxCrossEntropy() if loss is None else loss
    with evaluation_mode(model):
        model(placed(data.train_images[:1], model.device))  # gives a Linear(None, ...) its width
    settings = {
        "seed": int(seed),
        "batch_size": int(batch_size),
        "early_stopping": None if early_stopping is None else early_stopping.monitor,
    }
    training = Training(model, optimizer, settings)
    reporter = Reporter(progress, epochs)
    file = None if checkpoint is None else _checked_path(checkpoint)
    if file is not None:
        _resume_or_begin(file, training, reporter)
    plan = _Plan(data, batch_size, loss, schedule, augment, seed)
    training.history.interrupted = False
    try:
        while training.history.epochs < epochs and not _is_due(early_stopping, training.history):
            _run_epoch(training, plan, early_stopping, reporter)
            if file is not None:
                save_checkpoint(file, training)
            reporter.epoch(training.history)
    except KeyboardInterrupt:
        training.history.interrupted = True
    finally:
        model.eval()
    if early_stopping is not None and training.best is not None:
        model.load_state_dict(training.best)
        best = early_stopping.best_epoch(training.history) + 1
        reporter.line(f"the model is that of epoch {best}, the best by {early_stopping.monitor}")
    return training.history


class _Plan(NamedTuple):
    """What `fit` was asked to do in each epoch."""

    data: Dataset
    batch_size: int
    loss: Loss
    schedule: Schedule | None
    augment: Augmentation | None
    seed: int


def _checked_path(checkpoint: str | os.PathLike[str]) -> Path:
    path = Path(checkpoint)
    if path.suffix != ".npz":
        raise ValueError(f"fit: checkpoint must end in .npz, got {path}")
    return path


def _resume_or_begin(file: Path, training: Training, reporter: Reporter) -> None:
    if not file.exists():
        save_checkpoint(file, training)  # also tells at once that it cannot be written
        return
    load_checkpoint(file, training)
    reporter.line(f"{file}: goes on after epoch {training.history.epochs}")


def _is_due(early_stopping: EarlyStopping | None, history: History) -> bool:
    return early_stopping is not None and early_stopping.is_due(history)


def _run_epoch(
    training: Training, plan: _Plan, early_stopping: EarlyStopping | None, reporter: Reporter
) -> None:
    """Train for an epoch, evaluate, and add both to the history."""
    start, model, optimizer = time.perf_counter(), training.model, training.optimizer
    done, base_lr = training.history.epochs, optimizer.lr
    batches = math.ceil(len(plan.data.train_images) / plan.batch_size)
    model.train()
    # What goes wrong is reported by the loss, once.
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            with reporter.bar(done + 1, batches) as advance:
                train_loss, train_accuracy = _train(training, plan, batches, advance)
        finally:
            optimizer.lr = base_lr
        test = evaluate(model, plan.data.test_images, plan.data.test_labels, loss=plan.loss)
    _check_finite(test.loss, f"on the test images after epoch {done + 1}")
    history = training.history.extended(
        train_loss=train_loss,
        train_accuracy=train_accuracy,
        test_loss=test.loss,
        test_accuracy=test.accuracy,
        lr=float(base_lr if plan.schedule is None else plan.schedule(done)),
        seconds=time.perf_counter() - start,
    )
    best = training.best
    if early_stopping is not None and early_stopping.best_epoch(history) == done:
        best = model.state_dict()
    # At the end and together, so that Ctrl-C finds an epoch whole or not at all.
    training.history, training.best = history, best


def _train(training: Training, plan: _Plan, batches: int, advance: Advance) -> tuple[float, float]:
    """Go through the training images once; return their mean loss and accuracy."""
    model, optimizer, epoch = training.model, training.optimizer, training.history.epochs
    images, parameters = len(plan.data.train_images), model.parameters()
    rng = np.random.default_rng((plan.seed, epoch))
    order = rng.permutation(images)
    total, right = 0.0, 0
    for i in range(batches):
        batch = order[i * plan.batch_size : (i + 1) * plan.batch_size]
        x, t = plan.data.train_images[batch], plan.data.train_labels[batch]
        if plan.augment is not None:
            x = plan.augment(x, rng)
        if plan.schedule is not None:
            optimizer.lr = plan.schedule(epoch + i / batches)
        scores = scores_of(model, x)
        value = float(plan.loss.forward(scores, t))
        _check_finite(value, f"in batch {i + 1} of epoch {epoch + 1}, lr = {optimizer.lr:.3g}")
        total += value * len(x)
        right += count_right(scores, t)
        model.backward(placed(plan.loss.backward(), model.device))
        optimizer.update(parameters, model.gradients())
        advance(value)
    return total / images, right / images


def _check_finite(loss: float, where: str) -> None:
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"fit: the loss must stay finite, got {loss} {where}; a lower learning rate may help"
        )
