"""The layers of the drop-in compute what the book's do: against its method in plain NumPy."""
# ruff: noqa: NPY002 - the generator that the book's users seed

from __future__ import annotations

import numpy as np
import pytest

import book_layers
from convolt import reference
from convolt.compat import deep_learning_from_scratch as book
from gradcheck import numerical_gradient


def integers(*shape: int, seed: int = 0) -> np.ndarray:
    """Return small integers in float64: sums of products of them are exact in any order."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(float)


def distinct(*shape: int) -> np.ndarray:
    """Return values that are all far from each other and from zero, where a maximum has a kink."""
    values = np.random.default_rng(0).permutation(int(np.prod(shape)))
    return (values.reshape(shape) - values.size // 2 + 0.5) / 16


def both(name: str, *arguments):
    return getattr(book, name)(*arguments), getattr(book_layers, name)(*arguments)


def assert_same(mine, theirs, names: str) -> None:
    for name in names.split():
        value, expected = getattr(mine, name), getattr(theirs, name)
        np.testing.assert_array_equal(value, expected, err_msg=name)
        assert np.shape(value) == np.shape(expected)


@pytest.mark.parametrize("b", [0, 2, 0.5, np.arange(4.0), np.arange(4.0)[None], np.float64(3)])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pad"),
    [
        ((7, 6), (3, 2), 1, 0),
        ((7, 6), (3, 3), 2, 1),
        ((8, 5), (2, 5), 3, 2),
        ((4, 4), (4, 4), 1, 0),
    ],
)
def test_convolution_is_the_books(size, kernel, stride, pad, b):
    x, W = integers(2, 3, *size), integers(4, 3, *kernel, seed=1)
    mine, theirs = both("Convolution", W, b, stride, pad)
    assert mine.x is mine.col is mine.col_W is mine.dW is mine.db is None
    out = theirs.forward(x)
    np.testing.assert_array_equal(mine.forward(x), out)
    assert mine.x is x
    assert mine.W is W
    assert_same(mine, theirs, "x col col_W b stride pad")
    dout = integers(*out.shape, seed=2)
    np.testing.assert_array_equal(mine.backward(dout), theirs.backward(dout))
    assert_same(mine, theirs, "dW db col col_W")


@pytest.mark.parametrize("filters", [15, 16, 17])
@pytest.mark.parametrize(("kernel", "stride", "pad"), [((3, 2), 1, 0), ((4, 3), 3, 2)])
def test_images_of_one_channel_have_the_books_gradient(filters, kernel, stride, pad):
    x, W = integers(3, 1, 8, 7), integers(filters, 1, *kernel, seed=1)
    mine, theirs = both("Convolution", W, 0, stride, pad)
    out = theirs.forward(x)
    np.testing.assert_array_equal(mine.forward(x), out)
    dout = integers(*out.shape, seed=2)
    np.testing.assert_array_equal(mine.backward(dout), theirs.backward(dout))
    assert_same(mine, theirs, "dW db")


@pytest.mark.parametrize(
    ("size", "window", "stride"),
    [((6, 8), (2, 2), 2), ((7, 8), (3, 2), 2), ((7, 7), (3, 3), 1), ((8, 7), (2, 3), 5)],
)
def test_pooling_is_the_books_with_the_first_of_equal_maxima(size, window, stride):
    x = integers(2, 3, *size)
    mine, theirs = both("Pooling", *window, stride)
    assert mine.x is mine.arg_max is None
    out = theirs.forward(x)
    np.testing.assert_array_equal(mine.forward(x), out)
    assert mine.x is x
    assert_same(mine, theirs, "x arg_max pool_h pool_w stride pad")
    assert mine.arg_max.dtype == theirs.arg_max.dtype
    dout = integers(*out.shape, seed=2)
    np.testing.assert_array_equal(mine.backward(dout), theirs.backward(dout))


@pytest.mark.parametrize("stride", [1, 3])
def test_windows_of_more_than_255_elements_have_their_maximum_told_too(stride):
    x = integers(1, 2, 18, 21)
    mine, theirs = both("Pooling", 16, 17, stride)
    np.testing.assert_array_equal(mine.forward(x), theirs.forward(x))
    np.testing.assert_array_equal(mine.arg_max, theirs.arg_max)


@pytest.mark.parametrize(
    ("window", "stride", "pad"), [((2, 2), 2, 1), ((3, 4), 1, 2), ((16, 17), 3, 7)]
)
def test_pooling_with_a_pad_works_and_the_pad_never_wins(window, stride, pad):
    x = -(distinct(2, 3, 20, 19) ** 2)
    layer = book.Pooling(*window, stride, pad)
    out, indices = reference.max_pool2d(x, window, stride, pad, return_indices=True)
    np.testing.assert_array_equal(layer.forward(x), out)
    assert (out < 0).all()
    dout = integers(*out.shape)
    expected = reference.max_pool2d_backward(dout, indices, x.shape, window, stride, pad)
    np.testing.assert_array_equal(layer.backward(dout), expected)
    padded = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)], constant_values=-np.inf)
    columns = book_layers.im2col(padded, *window, stride).reshape(-1, window[0] * window[1])
    np.testing.assert_array_equal(layer.arg_max, columns.argmax(axis=1))


def test_pooling_of_a_nan_is_one():
    x = np.array([[[[1, np.nan], [5, np.nan]]]])
    layer = book.Pooling(2, 2)
    assert np.isnan(layer.forward(x)).all()
    assert layer.arg_max.tolist() == [1]


@pytest.mark.parametrize("shape", [(5, 12), (5, 3, 2, 2)])
def test_affine_is_the_books(shape):
    x, W = integers(*shape), integers(12, 4, seed=1)
    mine, theirs = both("Affine", W, np.arange(4.0))
    out = theirs.forward(x)
    np.testing.assert_array_equal(mine.forward(x), out)
    dout = integers(*out.shape, seed=2)
    np.testing.assert_array_equal(mine.backward(dout), theirs.backward(dout))
    assert_same(mine, theirs, "W b x original_x_shape dW db")


def test_relu_is_the_books():
    x, dout = integers(2, 3, 4, 5), integers(2, 3, 4, 5, seed=1)
    x[0, 0, 0, :2] = np.nan, -0.0
    dout[0, 1] = np.inf
    mine, theirs = both("Relu")
    assert mine.mask is None
    np.testing.assert_array_equal(mine.forward(x), theirs.forward(x))
    assert_same(mine, theirs, "mask")
    np.testing.assert_array_equal(mine.backward(dout), theirs.backward(dout.copy()))


@pytest.mark.parametrize("onehot", [False, True])
def test_softmax_with_loss_is_the_books(onehot):
    x, t = integers(5, 4), np.array([3, 0, 1, 1, 2])
    t = np.eye(4)[t] if onehot else t
    mine, theirs = both("SoftmaxWithLoss")
    assert mine.forward(x, t) == pytest.approx(theirs.forward(x, t), rel=1e-15)
    assert mine.t is t
    np.testing.assert_allclose(mine.y, theirs.y, rtol=1e-15)
    assert mine.loss == mine.forward(x, t)
    np.testing.assert_allclose(mine.backward(), theirs.backward(), rtol=1e-15)
    np.testing.assert_allclose(mine.backward(0.5), theirs.backward() / 2, rtol=1e-15)


def test_dropout_is_the_books_with_the_same_random_numbers():
    x, dout = integers(50, 4), integers(50, 4, seed=1)
    mine, theirs = both("Dropout", 0.3)
    for layer in (mine, theirs):
        np.random.seed(7)
        layer.out = layer.forward(x)
    assert_same(mine, theirs, "out mask dropout_ratio")
    assert 0.6 < mine.mask.mean() < 0.8
    np.testing.assert_array_equal(mine.backward(dout), theirs.backward(dout))
    np.testing.assert_array_equal(mine.forward(x, train_flg=False), x * 0.7)
    np.testing.assert_array_equal(mine.mask, theirs.mask)


@pytest.mark.parametrize("shape", [(6, 8), (6, 2, 2, 2)])
def test_batch_normalization_has_the_statistics_of_each_feature(shape):
    x = np.random.default_rng(0).standard_normal(shape)
    gamma, beta = np.arange(1.0, 9.0), np.arange(8.0)
    layer = book.BatchNormalization(gamma, beta, momentum=0.75)
    rows = x.reshape(6, 8)
    xn = (rows - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + 1e-6)
    np.testing.assert_allclose(layer.forward(x), (gamma * xn + beta).reshape(shape), rtol=1e-12)
    np.testing.assert_allclose(layer.xn, xn, rtol=1e-12)
    np.testing.assert_allclose(layer.xc / layer.std, xn, rtol=1e-12)
    assert (layer.input_shape, layer.batch_size) == (shape, 6)
    np.testing.assert_allclose(layer.running_mean, rows.mean(axis=0) / 4, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var, rows.var(axis=0) / 4, rtol=1e-12)
    layer.forward(x)
    np.testing.assert_allclose(layer.running_mean, rows.mean(axis=0) * 7 / 16, rtol=1e-12)
    known = book.BatchNormalization(gamma, beta, running_mean=gamma, running_var=beta)
    expected = gamma * (rows - gamma) / np.sqrt(beta + 1e-6) + beta
    np.testing.assert_allclose(known.forward(x, False), expected.reshape(shape), rtol=1e-12)
    assert known.running_mean is gamma


LAYERS = {
    "convolution": lambda: book.Convolution(distinct(3, 2, 3, 2), distinct(3), 2, 1),
    "pooling": lambda: book.Pooling(2, 3, 2, 1),
    "affine": lambda: book.Affine(distinct(60, 4), distinct(4)),
    "relu": book.Relu,
    "sigmoid": book.Sigmoid,
    "batch normalization": lambda: book.BatchNormalization(distinct(60), distinct(60)),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_gradients_are_those_of_central_differences(make):
    layer, x = make(), distinct(3, 2, 6, 5)
    dout = np.random.default_rng(1).standard_normal(layer.forward(x).shape)

    def weighted_sum() -> float:
        return float((layer.forward(x) * dout).sum())

    dx = layer.backward(dout)
    np.testing.assert_allclose(dx, numerical_gradient(weighted_sum, x), rtol=1e-6, atol=1e-6)
    for name in ("W", "b", "gamma", "beta"):
        if hasattr(layer, name):
            expected = numerical_gradient(weighted_sum, getattr(layer, name))
            gradient = getattr(layer, f"d{name}")
            np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("onehot", [False, True])
def test_the_gradient_of_the_loss_is_that_of_central_differences(onehot, single):
    x, t = distinct(3, 4) / 4, np.array([1, 3, 0])
    t = np.eye(4)[t] if onehot else t
    if single:
        x, t = x[1], t[1]
    layer = book.SoftmaxWithLoss()
    layer.forward(x, t)
    dx = layer.backward()
    expected = numerical_gradient(lambda: float(layer.forward(x, t)), x)
    np.testing.assert_allclose(dx, expected, rtol=1e-5, atol=1e-7)
