"""Pictures: which arrays, lines and titles are in the figures, not only that there are some."""

from __future__ import annotations

import copy
import gc
import io
import sys
import weakref

import numpy as np
import pytest

from convolt.layers import Conv2d, Flatten, Layer, Linear, MaxPool2d, Parallel, ReLU, Sequential
from convolt.training import History
from convolt.viz import plot_feature_maps, plot_filters, plot_history, plot_misclassified

pytest.importorskip("matplotlib", reason="matplotlib is not installed: no pictures")


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def drawn(axes):
    """The only picture in the axes, NaN where nothing is drawn."""
    (image,) = axes.images
    return np.ma.filled(image.get_array().astype(float), np.nan)


def side_by_side(maps, columns, gap=np.nan):
    """The maps in rows, one pixel apart, put together block by block."""
    maps = list(maps)
    blank = np.full_like(maps[0], gap)
    rows = []
    for i in range(0, len(maps), columns):
        row = maps[i : i + columns]
        row += [blank] * (columns - len(row))
        parts = [part for m in row for part in (m, np.full_like(m[:, :1], gap))][:-1]
        rows += [np.concatenate(parts, axis=1)]
        rows += [np.full_like(rows[0][:1], gap)]
    return np.concatenate(rows[:-1], axis=0)


def png(figure):
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def small_net():
    return Sequential(
        Sequential(Conv2d(1, 3, 3, rng=0), ReLU(inplace=True), MaxPool2d(2)),
        Flatten(),
        Linear(12, 4, rng=1),
    )


class Scores(Layer):
    """A model that gives the images' first pixels of each row as scores, and counts its calls."""

    def __init__(self):
        self.calls = []

    def forward(self, x):
        self.calls.append((len(x), self.training))
        return x[:, 0, :, 0]


# --- filters --------------------------------------------------------------------------------------


def test_filters_are_drawn_in_rows():
    weight = np.random.default_rng(0).normal(size=(5, 1, 3, 2))
    figure = plot_filters(weight)
    limit = np.abs(weight).max()
    assert titles(figure) == [f"filters: ±{limit:.2g}"]
    (axes,) = figure.axes
    np.testing.assert_array_equal(drawn(axes), side_by_side(weight[:, 0], 3))
    assert axes.images[0].get_clim() == (-limit, limit)
    assert not axes.axison


def test_filters_before_and_after_have_scales_of_their_own():
    model = small_net()
    before = copy.deepcopy(model)
    model.parameters()["0.0.weight"][:] *= -3
    figure = plot_filters(model, before)
    first = before.parameters()["0.0.weight"]
    limit = np.abs(first).max()
    assert titles(figure) == [
        f"before training: ±{limit:.2g}",
        f"after training: ±{3 * limit:.2g}",
    ]
    for axes, weight in zip(figure.axes, (first, -3 * first), strict=True):
        np.testing.assert_array_equal(drawn(axes), side_by_side(weight[:, 0], 2))
        largest = np.abs(weight).max()
        np.testing.assert_allclose(axes.images[0].get_clim(), (-largest, largest))


def test_filters_of_a_model_that_is_not_built_yet():
    branches = Parallel(MaxPool2d(1), Conv2d(1, 2, 3, padding=1, rng=0))
    model = Sequential(Sequential(ReLU(), branches), Flatten(), Linear(None, 10, rng=0))
    picture = drawn(plot_filters(model).axes[0])
    weight = branches.branches[1].weight
    np.testing.assert_array_equal(picture, side_by_side(weight[:, 0], 2))


def test_a_figure_keeps_the_filters_as_they_were():
    weight = np.ones((1, 1, 2, 2))
    figure = plot_filters(weight)
    weight[:] = 0
    assert (drawn(figure.axes[0]) == 1).all()


def test_filters_of_three_channels_are_in_colour():
    weight = np.random.default_rng(0).uniform(-2, 1, size=(4, 3, 2, 2))
    weight[0, :, 0, 0] = [0, -2, 2]
    picture = drawn(plot_filters(weight).axes[0])
    assert picture.shape == (5, 5, 3)
    np.testing.assert_array_equal(picture[0, 0], [0.5, 0, 1])
    np.testing.assert_allclose(picture[3:, :2], 0.5 + weight[2].transpose(1, 2, 0) / 4)
    assert (picture[2] == 1).all()
    assert (picture[:, 2] == 1).all()


def test_filters_of_zeros_are_grey():
    axes = plot_filters(np.zeros((1, 1, 2, 2))).axes[0]
    assert axes.images[0].get_clim() == (-1, 1)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Sequential(Linear(2, 2, rng=0)), "model must have a convolution, got none in it"),
        (np.ones((2, 3, 3)), r"with one or three channels, got shape \(2, 3, 3\)"),
        (np.ones((2, 2, 3, 3)), r"with one or three channels, got shape \(2, 2, 3, 3\)"),
        (np.ones((0, 1, 3, 3)), r"with one or three channels, got shape \(0, 1, 3, 3\)"),
        (np.full((2, 1, 3, 3), np.nan), "filters must be finite, got NaN or infinity"),
    ],
)
def test_what_has_no_filters_is_refused(model, message):
    with pytest.raises(ValueError, match=f"^plot_filters: .*{message}"):
        plot_filters(model)
    with pytest.raises(ValueError, match=f"^plot_filters: .*{message}"):
        plot_filters(np.ones((2, 1, 3, 3)), before=model)


# --- feature maps ---------------------------------------------------------------------------------


def test_feature_maps_are_the_outputs_of_the_layers():
    model = small_net()
    image = np.random.default_rng(1).normal(size=(1, 6, 6)).astype(np.float32)
    before = image.copy()
    figure = plot_feature_maps(model, image)
    assert titles(figure) == [
        "input: 1×6×6",
        "0.0 Conv2d: 3×4×4",
        "0.1 ReLU: 3×4×4",
        "0.2 MaxPool2d: 3×2×2",
        "1 Flatten: 12",
        "2 Linear: 4",
    ]
    np.testing.assert_array_equal(image, before)
    first, flatten, linear = model.layers
    convolved = first.layers[0](image[None])
    assert convolved.min() < 0, "the ReLU, which works in place, has to show"
    outputs = [convolved, np.maximum(convolved, 0), first(image[None])]
    np.testing.assert_array_equal(drawn(figure.axes[0]), image[0])
    for axes, output in zip(figure.axes[1:4], outputs, strict=True):
        np.testing.assert_array_equal(drawn(axes), side_by_side(output[0], 2))
    vectors = [flatten(outputs[2]), linear(flatten(outputs[2]))]
    for axes, vector in zip(figure.axes[4:], vectors, strict=True):
        (steps,) = axes.patches
        values, edges, _ = steps.get_data()
        np.testing.assert_array_equal(values, vector[0])
        np.testing.assert_array_equal(edges, np.arange(vector.size + 1) - 0.5)


def test_layers_that_work_in_place_change_no_other_picture():
    model = Sequential(
        ReLU(inplace=True), Flatten(), Linear(4, 6, rng=1, dtype=np.float64), ReLU(inplace=True)
    )
    image = np.array([[[-1.0, 2], [3, -4]]])
    figure = plot_feature_maps(model, image)
    assert image.min() == -4
    np.testing.assert_array_equal(drawn(figure.axes[0]), image[0])
    np.testing.assert_array_equal(drawn(figure.axes[1]), np.maximum(image[0], 0))
    scores = model.layers[2](np.array([[0.0, 2, 3, 0]]))[0]
    assert scores.min() < 0
    np.testing.assert_array_equal(figure.axes[3].patches[0].get_data().values, scores)
    np.testing.assert_array_equal(figure.axes[4].patches[0].get_data().values, scores.clip(0))


def test_branches_are_drawn_as_one_layer():
    model = Sequential(Parallel(Conv2d(3, 2, 1, rng=0), Sequential(Conv2d(3, 4, 1, rng=1))))
    image = np.random.default_rng(1).uniform(-1, 3, size=(3, 4, 5)).astype(np.float32)
    figure = plot_feature_maps(model, image)
    assert titles(figure) == ["input: 3×4×5", "0 Parallel: 6×4×5"]
    colours = (image - image.min()) / (image.max() - image.min())
    np.testing.assert_allclose(drawn(figure.axes[0]), colours.transpose(1, 2, 0), atol=1e-6)
    np.testing.assert_array_equal(drawn(figure.axes[1]), side_by_side(model(image[None])[0], 3))


class Broken(Layer):
    def output_shape(self, input_shape):
        return input_shape

    def forward(self, x):
        assert not self.training
        raise RuntimeError("broken")


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_the_model_is_put_back(training):
    model = Sequential(Broken()).train(training)
    with pytest.raises(RuntimeError, match="broken"):
        plot_feature_maps(model, np.ones((1, 2, 2), np.float32))
    assert model.training == model.layers[0].training == training


@pytest.mark.parametrize(
    ("model", "shape", "error", "message"),
    [
        (Conv2d(1, 1, 1, rng=0), (1, 2, 2), TypeError, "model must be a Sequential, got Conv2d"),
        (small_net(), (1, 1, 6, 6), ValueError, r"image must be \(C, H, W\), got .*\(1, 1, 6, 6\)"),
        (small_net(), (6, 6), ValueError, r"image must be \(C, H, W\), got shape \(6, 6\)"),
    ],
)
def test_what_has_no_feature_maps_is_refused(model, shape, error, message):
    with pytest.raises(error, match=f"^plot_feature_maps: {message}"):
        plot_feature_maps(model, np.ones(shape, np.float32))


def test_an_image_that_a_layer_refuses_names_the_layer():
    with pytest.raises(ValueError, match=r"^0\.0 \(Conv2d\)"):
        plot_feature_maps(small_net(), np.ones((2, 6, 6), np.float32))


# --- history --------------------------------------------------------------------------------------


def history(epochs):
    names = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
    rng = np.random.default_rng(0)
    return History(**{name: rng.random(epochs).tolist() for name in names})


@pytest.mark.parametrize("epochs", [1, 7])
def test_history_is_drawn_as_four_lines(epochs):
    seen = history(epochs)
    figure = plot_history(seen)
    assert titles(figure) == ["loss", "accuracy"]
    for axes, what in zip(figure.axes, ("loss", "accuracy"), strict=True):
        assert axes.get_xlabel() == "epoch"
        assert [line.get_label() for line in axes.lines] == ["training", "test"]
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training", "test"]
        for line, part in zip(axes.lines, ("train", "test"), strict=True):
            assert list(line.get_xdata()) == list(range(1, epochs + 1))
            assert list(line.get_ydata()) == getattr(seen, f"{part}_{what}")
            assert line.get_marker() == "."
        colors = {line.get_color() for line in axes.lines}
        assert len(colors) == 2
        assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_what_is_no_history_is_refused():
    with pytest.raises(TypeError, match=r"^plot_history: history must be a History, .* got list"):
        plot_history([1.0])
    with pytest.raises(ValueError, match=r"at least one epoch, got 0 in train_loss, 0 in test_l"):
        plot_history(history(0))
    uneven = history(3)
    uneven.test_accuracy.pop()
    with pytest.raises(ValueError, match=r"got 3 in train_loss, .* 2 in test_accuracy$"):
        plot_history(uneven)


# --- misclassified images -------------------------------------------------------------------------


def scored(*rows):
    """Images (n, 1, classes, 2) whose first column are the scores."""
    images = np.random.default_rng(0).uniform(0, 1, (len(rows), 1, len(rows[0]), 2))
    images[:, 0, :, 0] = rows
    return images


IMAGES = scored([0, 5, 1], [9, 0, 0], [0, 1, 2], [4, 0, 3], [0, 3, 0], [7, 1, 0])
LABELS = np.array([1, 2, 0, 2, 2, 2])
# By how much the wrong class leads: image 1 by 9, image 2 by 2, image 3 by 1, 4 by 3, 5 by 7.
IN_ORDER = [(1, "2 → 0"), (5, "2 → 0"), (4, "2 → 1"), (2, "0 → 2"), (3, "2 → 0")]


@pytest.mark.parametrize("count", [1, 3, 5, 25])
def test_misclassified_images_come_with_the_most_confident_first(count):
    figure = plot_misclassified(Scores(), IMAGES, LABELS, count=count)
    expected = IN_ORDER[:count]
    assert titles(figure) == [title for _, title in expected]
    for axes, (i, _) in zip(figure.axes, expected, strict=True):
        np.testing.assert_array_equal(drawn(axes), IMAGES[i, 0])
    assert figure.get_suptitle() == "5 of 6 misclassified: label → prediction"


def test_misclassified_images_have_names_of_classes():
    figure = plot_misclassified(Scores(), IMAGES, LABELS, classes=("bag", "coat", "shirt"))
    assert titles(figure)[2:4] == ["shirt → coat", "bag → shirt"]


def test_equally_confident_errors_keep_their_order():
    leads = np.random.default_rng(1).integers(1, 4, 300)
    images = scored(*([lead, 0] for lead in leads))
    figure = plot_misclassified(Scores(), images, np.ones(300, int))
    order = sorted(range(300), key=lambda i: -leads[i])
    assert len(figure.axes) == 25
    for axes, i in zip(figure.axes, order, strict=False):
        np.testing.assert_array_equal(drawn(axes), images[i, 0])


def test_no_misclassified_images_are_a_result():
    figure = plot_misclassified(Scores(), IMAGES[:1], [1])
    assert figure.axes == []
    assert figure.get_suptitle() == "0 of 1 misclassified: label → prediction"
    assert png(figure)


def test_misclassified_images_are_computed_in_batches_and_evaluation_mode():
    model = Scores()
    plot_misclassified(model, IMAGES, LABELS, batch_size=4)
    assert model.calls == [(4, False), (2, False)]
    assert model.training


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((IMAGES[0], LABELS), {}, ValueError, r"images must be .* got shape \(1, 3, 2\)"),
        ((IMAGES[:0], LABELS[:0]), {}, ValueError, r"at least one, got shape \(0, 1, 3, 2\)"),
        ((IMAGES, LABELS[:5]), {}, ValueError, r"labels must have shape \(6,\), got \(5,\)"),
        ((IMAGES, LABELS * 1.0), {}, TypeError, "labels must be integers, got float64"),
        ((IMAGES, LABELS + 1), {}, ValueError, "labels must be from 0 to 2, .* got 1 to 3"),
        ((IMAGES, LABELS - 1), {}, ValueError, "labels must be from 0 to 2, .* got -1 to 1"),
        ((IMAGES, LABELS), {"count": 0}, ValueError, "count must be at least 1, got 0"),
        ((IMAGES, LABELS), {"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ((IMAGES, LABELS), {"classes": "ab"}, ValueError, "classes must be 3 names, got 2"),
    ],
)
def test_bad_images_and_labels_are_refused(arguments, options, error, message):
    with pytest.raises(error, match=f"^plot_misclassified: .*{message}$"):
        plot_misclassified(Scores(), *arguments, **options)


def test_a_model_without_scores_is_refused():
    with pytest.raises(ValueError, match=r"model must return scores .* of shape \(6, 1, 3, 2\)$"):
        plot_misclassified(Sequential(ReLU()), IMAGES, LABELS)


# --- all ------------------------------------------------------------------------------------------

DRAW = {
    "plot_filters": lambda: plot_filters(small_net(), small_net()),
    "plot_feature_maps": lambda: plot_feature_maps(small_net(), np.ones((1, 6, 6), np.float32)),
    "plot_history": lambda: plot_history(history(3)),
    "plot_misclassified": lambda: plot_misclassified(Scores(), IMAGES, LABELS),
}


@pytest.mark.parametrize("function", DRAW)
def test_figures_can_be_saved(function, tmp_path):
    figure = DRAW[function]()
    assert png(figure).startswith(b"\x89PNG")
    figure.savefig(tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize("function", DRAW)
def test_figures_leave_nothing_behind(function):
    """No figure in pyplot's list, and none alive once it is no longer used."""
    figure = weakref.ref(DRAW[function]())
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
    gc.collect()
    assert figure() is None


@pytest.mark.parametrize("function", DRAW)
def test_pictures_need_matplotlib(function, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    message = rf'^{function} needs matplotlib: pip install "convolt\[plot\]"$'
    with pytest.raises(ImportError, match=message):
        DRAW[function]()
