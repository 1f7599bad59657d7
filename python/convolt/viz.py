"""Pictures of networks, of what they see and how they learn, drawn with matplotlib.

Each function returns a ``matplotlib.figure.Figure`` of its own, to be saved with its ``savefig``.
None goes through pyplot: no window opens, and nothing has to be closed. matplotlib comes with
``pip install "convolt[plot]"``.

Examples
--------
>>> from convolt.layers import Conv2d, Flatten, Linear, ReLU, Sequential
>>> model = Sequential(Conv2d(1, 6, 5, rng=0), ReLU(), Flatten(), Linear(96, 10, rng=1))
>>> figure = plot_feature_maps(model, np.ones((1, 8, 8), np.float32))
>>> [axes.get_title() for axes in figure.axes]
['input: 1×8×8', '0 Conv2d: 6×4×4', '1 ReLU: 6×4×4', '2 Flatten: 96', '3 Linear: 10']
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convolt.layers import Layer, Sequential
from convolt.training import History
from convolt.training.evaluation import evaluation_mode

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_feature_maps", "plot_filters", "plot_history", "plot_misclassified"]

Array = NDArray[Any]


def plot_filters(model: Layer | ArrayLike, before: Layer | ArrayLike | None = None) -> Figure:
    """Draw the filters of the first convolution, on request beside those before the training.

    Parameters
    ----------
    model : Layer or (OC, C, KH, KW) array
        A model, or the weight itself, with one or three channels.
    before : Layer or (OC, C, KH, KW) array, optional
        The same before the training: a copy, for training changes the arrays in place.

    Returns
    -------
    Figure
        One picture of all filters, or one for each time. Mid-grey is zero; black, white, and pure
        colours of three channels, are the largest absolute value, which the title gives.

    Raises
    ------
    ValueError
        If the model has no convolution, the weight another shape or values that are not finite.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> weight = np.linspace(-0.3, 0.2, 72).reshape(8, 1, 3, 3)
    >>> figure = plot_filters(weight, before=weight / 10)
    >>> [axes.get_title() for axes in figure.axes]
    ['before training: ±0.03', 'after training: ±0.3']
    """
    if before is None:
        panels = {"filters": _first_weight(model)}
    else:
        panels = {"before training": _first_weight(before), "after training": _first_weight(model)}
    figure = _new_figure("plot_filters", 4 * len(panels), 4.3)
    for number, (title, weight) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(1, len(panels), number)
        limit = float(np.abs(weight).max(initial=0)) or 1.0
        if weight.shape[1] == 1:
            _show(axes, _tiled(weight[:, 0]), limit)
        else:
            _show(axes, _tiled(0.5 + weight.transpose(0, 2, 3, 1) / (2 * limit), gap=1))
        axes.set_title(f"{title}: ±{limit:.2g}")
    return figure


def plot_feature_maps(model: Sequential, image: ArrayLike) -> Figure:
    """Draw what each layer makes of an image.

    Parameters
    ----------
    model : Sequential
        Used in evaluation mode, and left in the mode that it was in. The layers of a `Sequential`
        inside are drawn one by one.
    image : (C, H, W) array
        In the dtype of the model.

    Returns
    -------
    Figure
        The image, then the output of each layer: its maps side by side on one scale from black to
        white, or as bars where it has no height and width.

    Raises
    ------
    TypeError
        If `model` is no `Sequential`.
    ValueError
        If `image` has another shape, or one that a layer refuses.
    ImportError
        If matplotlib is not installed.
    """
    if not isinstance(model, Sequential):
        raise TypeError(
            f"plot_feature_maps: model must be a Sequential, got {type(model).__name__}"
        )
    x = np.array(image)[np.newaxis]
    if x.ndim != 4:
        raise ValueError(f"plot_feature_maps: image must be (C, H, W), got shape {x.shape[1:]}")
    model.output_shape(x.shape[1:])
    steps = list(_steps(model))
    columns = min(4, len(steps) + 1)
    rows = math.ceil((len(steps) + 1) / columns)
    figure = _new_figure("plot_feature_maps", 3 * columns, 3.2 * rows)
    _draw_output(figure.add_subplot(rows, columns, 1), "input", x[0])
    with evaluation_mode(model):
        for number, (name, layer) in enumerate(steps, 2):
            x = layer(x)
            axes = figure.add_subplot(rows, columns, number)
            _draw_output(axes, f"{name} {type(layer).__name__}", x[0])
    return figure


def plot_history(history: History) -> Figure:
    """Draw the loss and the accuracy over the epochs of a training.

    Parameters
    ----------
    history : History
        What `convolt.training.fit` returned.

    Returns
    -------
    Figure
        Two diagrams, each with a curve for training and a curve for test images.

    Raises
    ------
    TypeError
        If `history` is something else.
    ValueError
        If it has no epoch, or its lists differ in length.
    ImportError
        If matplotlib is not installed.
    """
    if not isinstance(history, History):
        raise TypeError(
            "plot_history: history must be a History, as fit returns it, "
            f"got {type(history).__name__}"
        )
    names = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
    curves: dict[str, list[float]] = {name: getattr(history, name) for name in names}
    epochs = len(curves["train_loss"])
    if epochs == 0 or any(len(values) != epochs for values in curves.values()):
        raise ValueError(
            "plot_history: history must have an entry for each of at least one epoch, "
            f"got {', '.join(f'{len(values)} in {name}' for name, values in curves.items())}"
        )
    figure = _new_figure("plot_history", 9, 3.8)
    for number, what in enumerate(("loss", "accuracy"), 1):
        axes = figure.add_subplot(1, 2, number)
        for part, label in (("train", "training"), ("test", "test")):
            # With a marker, for a line of one epoch alone would not be seen.
            axes.plot(range(1, epochs + 1), curves[f"{part}_{what}"], ".-", label=label)
        axes.set_title(what)
        axes.set_xlabel("epoch")
        axes.locator_params(axis="x", integer=True, min_n_ticks=1)
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def plot_misclassified(
    model: Layer,
    images: Array,
    labels: ArrayLike,
    *,
    classes: Sequence[str] | None = None,
    count: int = 25,
    batch_size: int = 100,
) -> Figure:
    """Draw images that a model takes for another class, the most confident errors first.

    Parameters
    ----------
    model : Layer
        One that returns scores (n, classes). Used in evaluation mode, and left in the mode that it
        was in.
    images : (n, C, H, W) array
    labels : (n,) array of integers
        The class of each image.
    classes : sequence of str, optional
        Their names, such as `convolt.data.FASHION_MNIST_CLASSES`; by default the numbers.
    count : int
        Draw at most so many.
    batch_size : int
        Compute so many images at a time.

    Returns
    -------
    Figure
        The images, each under "label → prediction", in falling order of the difference between the
        score of the prediction and that of the label; above them how many there are.

    Raises
    ------
    TypeError
        If `labels` are not integers.
    ValueError
        If a shape is another, a label is no class, or `count` or `batch_size` is less than 1.
    ImportError
        If matplotlib is not installed.
    """
    labels = np.asarray(labels)
    _check_labelled(images, labels)
    for name, value in (("count", count), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"plot_misclassified: {name} must be at least 1, got {value}")
    with evaluation_mode(model):
        starts = range(0, len(images), batch_size)
        scores = np.concatenate([model(images[i : i + batch_size]) for i in starts])
    _check_classes(scores, labels, classes)
    predictions, rows = scores.argmax(axis=1), np.arange(len(scores))
    confidence = scores[rows, predictions] - scores[rows, labels]
    wrong = np.flatnonzero(predictions != labels)
    shown = wrong[np.argsort(-confidence[wrong], kind="stable")][:count]

    side = math.ceil(math.sqrt(len(shown)))
    figure = _new_figure("plot_misclassified", max(1.6 * side, 5), max(1.8 * side, 1))
    for number, i in enumerate(shown, 1):
        axes = figure.add_subplot(math.ceil(len(shown) / side), side, number)
        _show(axes, _picture(images[i]))
        label, prediction = (
            str(c) if classes is None else classes[c] for c in (labels[i], predictions[i])
        )
        axes.set_title(f"{label} → {prediction}", fontsize="small")
    figure.suptitle(f"{len(wrong)} of {len(images)} misclassified: label → prediction")
    return figure


def _new_figure(function: str, width: float, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise ImportError(f'{function} needs matplotlib: pip install "convolt[plot]"') from error
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(wspace=0.08))


def _show(axes: Axes, picture: Array, limit: float | None = None) -> None:
    low = None if limit is None else -limit
    axes.imshow(picture, cmap="gray", interpolation="nearest", vmin=low, vmax=limit)
    axes.set_axis_off()


def _draw_output(axes: Axes, name: str, output: Array) -> None:
    if output.ndim == 3:
        _show(axes, _picture(output) if name == "input" else _tiled(output))
    else:
        values = output.ravel()
        axes.stairs(values.copy(), np.arange(values.size + 1) - 0.5, fill=True)
    axes.set_title(f"{name}: {'×'.join(map(str, output.shape))}", fontsize="medium")


def _picture(image: Array) -> Array:
    """Return an image (C, H, W) as it is drawn: in colour if it has three channels."""
    if len(image) != 3:
        return _tiled(image)
    low, high = float(image.min()), float(image.max())
    colours: Array = (image.transpose(1, 2, 0) - low) / ((high - low) or 1.0)
    return colours


def _tiled(pictures: Array, gap: float = math.nan) -> Array:
    """Return pictures (n, H, W) or (n, H, W, 3) in rows, as near to a square as can be.

    A pixel of `gap` is between them, and wherever the last row has none; NaN is left blank.
    """
    count, height, width = pictures.shape[:3]
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    shape = (rows * (height + 1) - 1, columns * (width + 1) - 1, *pictures.shape[3:])
    mosaic = np.full(shape, gap, np.result_type(pictures, np.float32))
    for i, picture in enumerate(pictures):
        top, left = i // columns * (height + 1), i % columns * (width + 1)
        mosaic[top : top + height, left : left + width] = picture
    return mosaic


def _first_weight(model: Layer | ArrayLike) -> Array:
    if isinstance(model, Layer):
        found = next((array for array in _parameters(model) if array.ndim == 4), None)
        if found is None:
            raise ValueError("plot_filters: model must have a convolution, got none in it")
        weight = found
    else:
        weight = np.asarray(model)
    if weight.ndim != 4 or weight.shape[1] not in (1, 3) or not weight.size:
        raise ValueError(
            "plot_filters: filters must be (OC, C, KH, KW) with one or three channels, "
            f"got shape {weight.shape}"
        )
    if not np.isfinite(weight).all():
        raise ValueError("plot_filters: filters must be finite, got NaN or infinity in them")
    return weight


def _parameters(layer: Layer) -> Iterator[Array]:
    """Give the parameters in their order, those up to a layer that is still to be built."""
    children = layer.children()
    for child in children.values():
        yield from _parameters(child)
    if not children:
        yield from layer.parameters().values()


def _steps(model: Sequential, path: str = "") -> Iterator[tuple[str, Layer]]:
    """Give the layers of a model and of each `Sequential` inside it, with their names."""
    for name, layer in model.children().items():
        if isinstance(layer, Sequential):
            yield from _steps(layer, f"{path}{name}.")
        else:
            yield f"{path}{name}", layer


def _check_labelled(images: Array, labels: Array) -> None:
    if images.ndim != 4 or not len(images):
        raise ValueError(
            "plot_misclassified: images must be (N, C, H, W) and at least one, "
            f"got shape {images.shape}"
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"plot_misclassified: labels must have shape ({len(images)},), got {labels.shape}"
        )
    if labels.dtype.kind not in "iu":
        raise TypeError(f"plot_misclassified: labels must be integers, got {labels.dtype}")


def _check_classes(scores: Array, labels: Array, classes: Sequence[str] | None) -> None:
    if scores.ndim != 2:
        raise ValueError(
            "plot_misclassified: model must return scores (N, classes), "
            f"got an output of shape {scores.shape}"
        )
    number = scores.shape[1]
    if not 0 <= labels.min() <= labels.max() < number:
        raise ValueError(
            f"plot_misclassified: labels must be from 0 to {number - 1}, as the model has "
            f"{number} scores, got {labels.min()} to {labels.max()}"
        )
    if classes is not None and len(classes) != number:
        raise ValueError(f"plot_misclassified: classes must be {number} names, got {len(classes)}")
