"""The drop-in for "Deep Learning from Scratch": its names, its functions, how it is swapped in."""
# ruff: noqa: NPY002 - the generator that the book's users seed

from __future__ import annotations

import inspect
import sys

import numpy as np
import pytest

import book_layers
from convolt.compat import deep_learning_from_scratch as book
from convolt.compat.deep_learning_from_scratch import functions, layers, util

# As common/layers.py, common/util.py and common/functions.py have them.
SIGNATURES = {
    "Affine": "(W, b)",
    "BatchNormalization": "(gamma, beta, momentum=0.9, running_mean=None, running_var=None)",
    "Convolution": "(W, b, stride=1, pad=0)",
    "Dropout": "(dropout_ratio=0.5)",
    "Pooling": "(pool_h, pool_w, stride=1, pad=0)",
    "Relu": "()",
    "Sigmoid": "()",
    "SoftmaxWithLoss": "()",
    "Affine.forward": "(self, x)",
    "Affine.backward": "(self, dout)",
    "BatchNormalization.forward": "(self, x, train_flg=True)",
    "BatchNormalization.backward": "(self, dout)",
    "Convolution.forward": "(self, x)",
    "Convolution.backward": "(self, dout)",
    "Dropout.forward": "(self, x, train_flg=True)",
    "Dropout.backward": "(self, dout)",
    "Pooling.forward": "(self, x)",
    "Pooling.backward": "(self, dout)",
    "Relu.forward": "(self, x)",
    "Relu.backward": "(self, dout)",
    "Sigmoid.forward": "(self, x)",
    "Sigmoid.backward": "(self, dout)",
    "SoftmaxWithLoss.forward": "(self, x, t)",
    "SoftmaxWithLoss.backward": "(self, dout=1)",
    "col2im": "(col, input_shape, filter_h, filter_w, stride=1, pad=0)",
    "conv_output_size": "(input_size, filter_size, stride=1, pad=0)",
    "cross_entropy_error": "(y, t)",
    "identity_function": "(x)",
    "im2col": "(input_data, filter_h, filter_w, stride=1, pad=0)",
    "mean_squared_error": "(y, t)",
    "relu": "(x)",
    "relu_grad": "(x)",
    "shuffle_dataset": "(x, t)",
    "sigmoid": "(x)",
    "sigmoid_grad": "(x)",
    "smooth_curve": "(x)",
    "softmax": "(x)",
    "softmax_loss": "(X, t)",
    "step_function": "(x)",
    "sum_squared_error": "(y, t)",
}
WINDOWS = [  # H, W, FH, FW, stride, pad
    (5, 5, 3, 3, 1, 0),
    (7, 6, 3, 2, 2, 1),
    (8, 9, 2, 2, 3, 0),
    (4, 4, 3, 3, 2, 3),
    (3, 5, 3, 5, 1, 0),
]


@pytest.mark.parametrize("name", SIGNATURES)
def test_arguments_are_the_books(name):
    value = book
    for part in name.split("."):
        value = getattr(value, part)
    parameters = inspect.signature(value).parameters.values()
    bare = [parameter.replace(annotation=parameter.empty) for parameter in parameters]
    assert str(inspect.Signature(bare)) == SIGNATURES[name]


def test_every_name_is_exported_where_the_book_has_it():
    names = {name for name in SIGNATURES if "." not in name}
    assert set(book.__all__) == names
    assert set(layers.__all__) | set(util.__all__) == names
    assert set(functions.__all__) < set(layers.__all__)
    for module in (layers, util, functions):
        assert all(getattr(module, name) is getattr(book, name) for name in module.__all__)


def test_a_script_of_the_book_need_not_be_changed(monkeypatch):
    monkeypatch.setitem(sys.modules, "common.layers", layers)
    script: dict = {}
    exec("from common.layers import *", script)
    assert script["Convolution"] is book.Convolution
    assert script["softmax"] is book.softmax


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_columns_are_the_books(window):
    height, width, *window = window
    x = np.arange(2.0 * 3 * height * width).reshape(2, 3, height, width)
    col = book.im2col(x, *window)
    expected = book_layers.im2col(x, *window)
    np.testing.assert_array_equal(col, expected)
    col = np.arange(float(expected.size)).reshape(expected.shape)
    image = book.col2im(col, x.shape, *window)
    np.testing.assert_array_equal(image, book_layers.col2im(col, x.shape, *window))
    assert image.flags.c_contiguous
    assert image.flags.owndata


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("f2", "f2"), ("f4", "f4"), ("f8", "f8"), (">f4", "f4"), ("i8", "f8"), ("u1", "f8")],
)
def test_columns_keep_a_float_and_make_one_of_an_integer(dtype, expected):
    x = np.arange(50).reshape(1, 2, 5, 5).astype(dtype)
    col = book.im2col(x[:, :, ::-1], 2, 2)
    assert col.dtype == expected
    np.testing.assert_array_equal(col, book_layers.im2col(x[:, :, ::-1], 2, 2))
    image = book.col2im(col.astype(dtype), x.shape, 2, 2)
    assert image.dtype == expected
    np.testing.assert_array_equal(image, book_layers.col2im(col, x.shape, 2, 2))


def test_columns_may_come_in_the_shape_that_the_book_gives_them_on_the_way():
    col = np.arange(4 * 8.0).reshape(4, 2, 2, 2)
    expected = book.col2im(col.reshape(4, 8), (1, 2, 3, 3), 2, 2)
    np.testing.assert_array_equal(book.col2im(col, (1, 2, 3, 3), 2, 2), expected)
    with pytest.raises(ValueError, match=r"col2im: col must hold rows of .* = 18 .*\(4, 2, 2, 2\)"):
        book.col2im(col, (1, 2, 3, 3), 3, 3)


@pytest.mark.parametrize("dtype", [complex, np.longdouble, object])
def test_other_dtypes_are_refused(dtype):
    x = np.ones((1, 1, 4, 4), dtype)
    if x.dtype == np.float64:
        pytest.skip("long double is double here")
    calls = {
        "im2col": lambda: book.im2col(x, 2, 2),
        "col2im": lambda: book.col2im(x[0, 0], (1, 1, 3, 3), 2, 2),
        "Convolution.forward": lambda: book.Convolution(np.ones((1, 1, 2, 2)), 0).forward(x),
        "Pooling.forward": lambda: book.Pooling(2, 2).forward(x),
        "Affine.forward": lambda: book.Affine(np.ones((16, 2)), 0).forward(x),
    }
    for name, call in calls.items():
        with pytest.raises(TypeError, match=rf"{name}: .* must be of float16, .* got {x.dtype}"):
            call()


@pytest.mark.parametrize(("size", "stride", "pad"), [(28, 1, 0), (7, 2, 1), (8, 3, 0)])
def test_output_size_is_that_of_the_convolution(size, stride, pad):
    layer = book.Convolution(np.ones((1, 1, 3, 3)), 0, stride, pad)
    length = book.conv_output_size(size, 3, stride, pad)
    assert isinstance(length, int)
    assert layer.forward(np.ones((1, 1, size, size))).shape == (1, 1, length, length)


@pytest.mark.parametrize("shape", [(9, 4), (9, 1, 2, 3)])
def test_a_data_set_is_shuffled_by_numpys_global_generator(shape):
    x, t = np.arange(np.prod(shape)).reshape(shape), np.eye(9)
    np.random.seed(3)
    order = np.random.permutation(9)
    np.random.seed(3)
    mixed_x, mixed_t = book.shuffle_dataset(x, t)
    np.testing.assert_array_equal(mixed_x, x[order])
    np.testing.assert_array_equal(mixed_t, t[order])


def test_a_curve_is_smoothed_by_a_window_mirrored_at_both_ends():
    x = np.random.default_rng(0).random(20)
    window = np.kaiser(11, 2)
    window /= window.sum()
    # The first point is the mirror, at the end the edge behind the last point.
    mirrored = [*range(5, 0, -1), *range(20), *range(19, 14, -1)]
    expected = [window @ x[mirrored[start : start + 11]] for start in range(20)]
    np.testing.assert_allclose(book.smooth_curve(x), expected, rtol=1e-13)


def test_functions_at_known_points():
    x = np.array([-1000.0, -1.0, 0.0, 3.0])
    np.testing.assert_array_equal(book.identity_function(x), x)
    np.testing.assert_array_equal(book.step_function(x), [0, 0, 0, 1])
    assert book.step_function(x).dtype == int
    np.testing.assert_array_equal(book.relu(x), [0, 0, 0, 3])
    np.testing.assert_array_equal(book.relu_grad(x), [0, 0, 1, 1])
    assert book.relu_grad(x).dtype == x.dtype
    np.testing.assert_allclose(book.sigmoid(x), [0, 1 / (1 + np.e), 0.5, 1 / (1 + np.e**-3)])
    np.testing.assert_allclose(book.sigmoid_grad(x), book.sigmoid(x) * book.sigmoid(-x))
    assert book.sum_squared_error(np.array([1.0, 2.0]), np.array([3.0, 1.0])) == 2.5


@pytest.mark.parametrize("shape", [(4,), (2, 4), (2, 3, 4)])
def test_softmax_is_taken_along_the_last_axis(shape):
    x = 1000 + np.random.default_rng(0).random(shape)
    y = book.softmax(x)
    np.testing.assert_allclose(y.sum(axis=-1), 1)
    np.testing.assert_allclose(np.log(y) - np.log(y[..., :1]), x - x[..., :1], atol=1e-12)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_cross_entropy_takes_labels_one_hot_rows_and_single_samples(dtype):
    y = book.softmax(np.random.default_rng(0).random((3, 4)))
    t = np.array([2, 0, 3], dtype)
    losses = [-np.log(y[i, t[i]] + 1e-7) for i in range(3)]
    assert book.cross_entropy_error(y, t) == pytest.approx(np.mean(losses), rel=1e-14)
    assert book.cross_entropy_error(y, np.eye(4)[t]) == book.cross_entropy_error(y, t)
    assert book.cross_entropy_error(y[0], t[0]) == pytest.approx(losses[0], rel=1e-14)
    assert book.cross_entropy_error(y[0], np.eye(4)[2]) == pytest.approx(losses[0], rel=1e-14)
    scores = np.log(y)
    assert book.softmax_loss(scores, t) == pytest.approx(np.mean(losses), rel=1e-12)
    assert np.isfinite(book.cross_entropy_error(np.array([0.0, 1.0]), np.array([1, 0])))
