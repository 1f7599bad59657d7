"""What the users of the book's layers do with them, beyond what the book does."""
# ruff: noqa: NPY002 - the generator that the book's users seed

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import book_layers
from convolt.compat import deep_learning_from_scratch as book

SHAPE = (2, 3, 6, 5)


def integers(*shape: int, seed: int = 0) -> np.ndarray:
    """Return small integers in float64: sums of products of them are exact in any order."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(float)


LAYERS = {
    "convolution": lambda: book.Convolution(integers(4, 3, 3, 3, seed=1), np.arange(4.0), 1, 1),
    "pooling": lambda: book.Pooling(2, 2, stride=2),
    "affine": lambda: book.Affine(integers(90, 4, seed=1), np.arange(4.0)),
    "relu": book.Relu,
    "sigmoid": book.Sigmoid,
    "dropout": book.Dropout,
    "batch normalization": lambda: book.BatchNormalization(np.ones(90), np.zeros(90)),
}
EVERY_LAYER = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
DTYPES = pytest.mark.parametrize(
    ("x_dtype", "w_dtype", "expected"),
    [
        ("f8", "f8", "f8"),
        ("f4", "f8", "f8"),
        ("f2", "f8", "f8"),
        ("u1", "f8", "f8"),
        ("?", "f8", "f8"),
        ("f8", "f4", "f8"),
        ("f4", "f4", "f4"),
        ("f2", "f4", "f4"),
        ("f4", "f2", "f4"),
        ("f2", "f2", "f2"),
        ("i2", "f4", "f4"),
        ("u1", "f2", "f2"),
        ("i8", "f4", "f8"),
        ("i8", "i8", "f8"),
        (">f4", "<f8", "f8"),
        (">f4", ">f4", "f4"),
    ],
)


def weighted(name: str, dtype: str):
    """Return the layer and the book's, with small weights of a dtype, and the input's shape."""
    shape = {"Convolution": (4, 3, 3, 2), "Affine": (90, 4)}[name]
    W = np.random.default_rng(1).integers(0, 3, shape).astype(dtype)
    return getattr(book, name)(W, 0), getattr(book_layers, name)(W, 0)


@DTYPES
@pytest.mark.parametrize("name", ["Convolution", "Affine"])
def test_dtypes_are_promoted_as_numpy_does(name, x_dtype, w_dtype, expected):
    mine, theirs = weighted(name, w_dtype)
    x = np.random.default_rng(2).integers(0, 2, SHAPE).astype(x_dtype)
    out = mine.forward(x)
    assert out.dtype == expected
    assert out.dtype.isnative
    np.testing.assert_array_equal(out, theirs.forward(x.astype(float)))
    dout = np.ones(out.shape, out.dtype)
    dx = mine.backward(dout)
    assert {array.dtype for array in (dx, mine.dW, mine.db)} == {np.dtype(expected)}
    np.testing.assert_array_equal(dx, theirs.backward(dout.astype(float)))
    np.testing.assert_array_equal(mine.dW, theirs.dW)
    np.testing.assert_array_equal(mine.db, theirs.db)


def test_a_wider_bias_or_gradient_makes_the_result_wider():
    layer = book.Convolution(np.ones((1, 1, 2, 2), "f4"), np.zeros(1))
    x = np.ones((1, 1, 3, 3), "f4")
    assert layer.forward(x).dtype == "f8"
    layer.b = 0
    assert layer.forward(x).dtype == "f4"
    assert layer.backward(np.ones((1, 1, 2, 2))).dtype == "f8"
    layer.b = 0.1
    assert layer.forward(x).dtype == "f4"


@pytest.mark.parametrize("name", ["Convolution", "Affine"])
def test_float16_is_rounded_once(name):
    rng = np.random.default_rng(3)
    shape = {"Convolution": (4, 3, 3, 2), "Affine": (90, 4)}[name]
    W, x = (rng.standard_normal(s).astype("f2") for s in (shape, SHAPE))
    mine, theirs = (module(W, 0) for module in (getattr(book, name), getattr(book_layers, name)))
    expected = theirs.forward(x.astype(float))
    np.testing.assert_allclose(mine.forward(x), expected, rtol=2**-11, atol=1e-5)


@pytest.mark.parametrize(
    ("x_dtype", "expected"), [("f2", "f2"), ("f4", "f4"), (">f8", "f8"), ("u1", "f8"), ("?", "f8")]
)
def test_pooling_keeps_a_float_and_makes_one_of_an_integer(x_dtype, expected):
    x = np.random.default_rng(2).integers(0, 9, SHAPE).astype(x_dtype)
    mine, theirs = book.Pooling(2, 3, 1), book_layers.Pooling(2, 3, 1)
    out = mine.forward(x)
    assert out.dtype == expected
    np.testing.assert_array_equal(out, theirs.forward(x))
    dx = mine.backward(np.ones(out.shape, x_dtype))
    assert dx.dtype == expected
    np.testing.assert_array_equal(dx, theirs.backward(np.ones(out.shape)))


def test_the_weight_may_be_changed_in_place_or_replaced():
    x, W = integers(*SHAPE), integers(4, 3, 3, 3)
    mine, theirs = book.Convolution(W, 0), book_layers.Convolution(W, 0)
    for _ in range(3):
        np.testing.assert_array_equal(mine.forward(x), theirs.forward(x))
        W += 1
    mine.W = theirs.W = integers(2, 3, 2, 2, seed=5)
    mine.b = theirs.b = np.array([1.0, -1.0])
    out = mine.forward(x)
    np.testing.assert_array_equal(out, theirs.forward(x))
    np.testing.assert_array_equal(mine.backward(out), theirs.backward(out))
    np.testing.assert_array_equal(mine.dW, theirs.dW)
    assert mine.dW.shape == (2, 3, 2, 2)


def test_a_gradient_is_that_of_the_weight_that_the_forward_pass_had():
    x, W = integers(*SHAPE), integers(4, 3, 3, 3)
    mine, theirs = book.Convolution(W, 0), book_layers.Convolution(W, 0)
    for layer in (mine, theirs):
        layer.dout = layer.forward(x).copy()
        layer.W = np.zeros_like(W)
    np.testing.assert_array_equal(mine.backward(mine.dout), theirs.backward(theirs.dout))
    np.testing.assert_array_equal(mine.col_W, theirs.col_W)
    W *= 2  # in place, it is seen in the book too
    np.testing.assert_array_equal(mine.backward(mine.dout), theirs.backward(theirs.dout))


@pytest.mark.parametrize("x_dtype", ["f8", "f4", "u1"])
def test_the_images_may_change_before_the_backward_pass(x_dtype):
    x, W = np.abs(integers(*SHAPE)).astype(x_dtype), integers(4, 3, 3, 3)
    mine, theirs = book.Convolution(W, 0), book_layers.Convolution(W, 0)
    dout = mine.forward(x) + theirs.forward(x)
    x[:] = 0
    np.testing.assert_array_equal(mine.backward(dout), theirs.backward(dout))
    np.testing.assert_array_equal(mine.dW, theirs.dW)
    np.testing.assert_array_equal(mine.col, theirs.col)


def images(kind: str) -> np.ndarray:
    """Return the same images in different layouts."""
    x = integers(*SHAPE)
    if kind == "NHWC":
        return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    if kind == "strided":
        return np.repeat(x, 2, axis=3)[..., ::2]
    if kind == "reversed":
        return np.ascontiguousarray(x[::-1, :, ::-1])[::-1, :, ::-1]
    if kind == "read-only":
        x.flags.writeable = False
    return x


@EVERY_LAYER
@pytest.mark.parametrize("kind", ["NHWC", "strided", "reversed", "read-only"])
def test_arrays_of_any_layout_are_taken_and_left_alone(make, kind):
    plain, other = make(), make()
    x = images(kind)
    outs = []
    for layer, value in ((plain, integers(*SHAPE)), (other, x)):
        np.random.seed(0)
        outs.append(layer.forward(value))
    np.testing.assert_allclose(outs[1], outs[0], rtol=1e-12)
    np.testing.assert_array_equal(x, integers(*SHAPE))
    dout = integers(*outs[0].shape)
    if kind == "read-only":
        given = dout.copy()
        given.flags.writeable = False
    else:
        given = np.asfortranarray(dout)
    np.testing.assert_allclose(other.backward(given), plain.backward(dout), rtol=1e-12)
    np.testing.assert_array_equal(given, dout)


@EVERY_LAYER
def test_a_broadcast_gradient_is_taken(make):
    layer = make()
    out = layer.forward(integers(*SHAPE))
    dx = layer.backward(np.broadcast_to(1.0, out.shape))
    np.testing.assert_array_equal(dx, layer.backward(np.ones_like(out)))


@EVERY_LAYER
def test_a_gradient_of_integers_is_taken_and_gives_one_of_floats(make):
    layer = make()
    dout = integers(*layer.forward(integers(*SHAPE)).shape)
    expected = layer.backward(dout)
    dx = layer.backward(dout.astype(int))
    np.testing.assert_array_equal(dx, expected)
    gradients = [getattr(layer, name) for name in ("dW", "db") if hasattr(layer, name)]
    assert all(array.dtype == float for array in gradients)


@EVERY_LAYER
def test_the_returned_gradient_may_be_written_into(make):
    layer = make()
    x = integers(*SHAPE)
    dout = np.ones_like(layer.forward(x))
    dx = layer.backward(dout)
    expected = dx.copy()
    before = {name: copy.deepcopy(getattr(layer, name)) for name in vars(layer)}
    dx[...] = 7
    for name, value in before.items():
        np.testing.assert_equal(getattr(layer, name), value, err_msg=name)
    assert (dout == 1).all()
    np.testing.assert_array_equal(x, integers(*SHAPE))
    np.testing.assert_array_equal(layer.backward(dout), expected)


@pytest.mark.parametrize("make", [*LAYERS.values(), book.SoftmaxWithLoss])
def test_backward_before_forward_says_so(make):
    layer = make()
    name = type(layer).__name__
    with pytest.raises(RuntimeError, match=f"^{name}.backward: forward must be called before$"):
        layer.backward(np.ones(SHAPE))


@EVERY_LAYER
def test_a_network_may_be_copied_and_pickled(make):
    layer, x = make(), integers(*SHAPE)
    dout = np.ones_like(layer.forward(x))
    expected = layer.backward(dout)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(other.backward(dout), expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: book.Convolution(np.ones((4, 3, 3, 3)), np.ones(3)).forward(np.ones(SHAPE)),
            r"Convolution.forward: b must be a number or have shape \(4,\), got shape \(3,\)",
        ),
        (
            lambda: book.Convolution(np.ones((4, 2, 3, 3)), 0).forward(np.ones(SHAPE)),
            r"conv2d: .*channels.*got.*\(2, 3, 6, 5\)",
        ),
        (
            lambda: book.Convolution(np.ones((4, 3, 9, 9)), 0).forward(np.ones(SHAPE)),
            "conv2d: .*got",
        ),
        (
            lambda: book.Convolution(np.ones((4, 3, 3, 3)), 0).forward(np.ones(SHAPE[1:])),
            r"conv2d: x must be \(N, C, H, W\), got shape \(3, 6, 5\)",
        ),
        (
            lambda: book.Affine(np.ones((9, 4)), 0).forward(np.ones(SHAPE)),
            r"Affine.forward: x must have 9 elements in each sample, got shape \(2, 3, 6, 5\)",
        ),
        (lambda: book.Pooling(2, 2, pad=2).forward(np.ones(SHAPE)), "max_pool2d: padding must be"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
