"""Activations at their corners, and the choices of a dropout."""

from __future__ import annotations

import json

import numpy as np
import pytest

from convolt.layers import (
    Dropout,
    LeakyReLU,
    Linear,
    LogSoftmax,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    SoftmaxCrossEntropy,
)

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
NAN, INF = np.nan, np.inf


@DTYPES
@pytest.mark.parametrize(
    ("layer", "x", "y", "dx"),
    [
        (LeakyReLU(), [-2, 0, 3, INF, -INF, NAN], [-0.02, 0, 3, INF, -INF, NAN], [0.01, 0.01, 1]),
        (LeakyReLU(0), [-2, 0, 3, INF, -INF, NAN], [0, 0, 3, INF, NAN, NAN], [0, 0, 1, 1, 0, 0]),
        (LeakyReLU(3), [-2, 0, 3, INF], [-6, 0, 3, INF], [3, 3, 1, 1]),
        (LeakyReLU(-1), [-2, 0, 3, -INF], [2, 0, 3, INF], [-1, -1, 1, -1]),
        (Sigmoid(), [0, INF, -INF, 1e4, -1e4, NAN], [0.5, 1, 0, 1, 0, NAN], [0.25, 0, 0, 0, 0]),
        (Softmax(), [0, 0, -INF, -INF], [0.5, 0.5, 0, 0], [0, 0, 0, 0]),
        (Softmax(), [1e30, -1e30, 1e30, 0], [0.5, 0, 0.5, 0], [0, 0, 0, 0]),
        (Softmax(), [INF, 0, -INF], [NAN, NAN, NAN], [NAN, NAN, NAN]),
        (Softmax(), [-INF, -INF], [NAN, NAN], [NAN, NAN]),
        (Softmax(), [NAN, 0], [NAN, NAN], [NAN, NAN]),
        (LogSoftmax(), [1e30, 0, -INF], [0, -1e30, -INF], [-2, 1, 1]),
        (LogSoftmax(), [INF, 0, -INF], [NAN, NAN, NAN], [NAN, NAN, NAN]),
    ],
)
def test_corners(dtype, layer, x, y, dx):
    """Also in silence, since a warning is an error here; the values are PyTorch's."""
    result = layer(np.array([x], dtype))
    np.testing.assert_allclose(result, np.array([y], dtype), rtol=1e-6)
    gradient = layer.backward(np.ones_like(result))
    np.testing.assert_allclose(gradient[:, : len(dx)], np.array([dx], dtype), rtol=1e-6)
    assert result.dtype == gradient.dtype == dtype


@DTYPES
def test_a_positive_entry_passes_a_leaky_relu_to_the_bit(dtype):
    x = np.abs(np.random.default_rng(0).standard_normal(1000)).astype(dtype) + dtype(1e-3)
    for slope in (0.1, 0.3, 1e-9, 7.7, -0.7):
        layer = LeakyReLU(slope)
        assert layer(x).tobytes() == x.tobytes()
        assert layer.backward(x).tobytes() == x.tobytes()
        assert layer(-x).tobytes() == (-x * dtype(slope)).tobytes()


@DTYPES
def test_a_sigmoid_is_accurate_at_both_ends(dtype):
    x = np.linspace(-80, 80, 2001, dtype=dtype)
    exact = 1 / (1 + np.exp(-x.astype(np.longdouble)))
    np.testing.assert_allclose(Sigmoid()(x), exact, rtol=8 * np.finfo(dtype).eps)


def test_softmax_is_over_the_channels():
    x = np.random.default_rng(0).standard_normal((2, 5, 3, 4))
    y = Softmax()(x)
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-14)
    expected = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(y, expected, rtol=1e-13)
    np.testing.assert_allclose(LogSoftmax()(x), np.log(expected), rtol=1e-12)


def test_a_log_softmax_before_the_loss_changes_neither_loss_nor_gradient():
    x, t = np.random.default_rng(0).standard_normal((4, 5)), np.array([0, 4, 2, 1])
    layer, loss = LogSoftmax(), SoftmaxCrossEntropy()
    plain, dx = loss(x, t), loss.backward()
    assert loss(layer(x), t) == pytest.approx(plain, rel=1e-14)
    np.testing.assert_allclose(layer.backward(loss.backward()), dx, rtol=1e-12, atol=1e-15)


def test_relu_in_place_refuses_what_it_cannot_write():
    x = np.ones(3)
    x.flags.writeable = False
    with pytest.raises(ValueError, match=r"^ReLU: x must be writable with inplace=True, got a rea"):
        ReLU(inplace=True)(x)


@pytest.mark.parametrize("slope", [NAN, INF])
def test_a_slope_must_be_finite(slope):
    with pytest.raises(ValueError, match=f"negative_slope must be a finite number, got {slope}"):
        LeakyReLU(slope)


# --- dropout ------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_zeroes_a_share_and_scales_the_rest(p):
    layer, x = Dropout(p, rng=0), np.full((100, 200), 3.0)
    y = layer(x)
    dropped = y == 0
    # Five standard deviations of a share of 20,000 entries.
    assert abs(dropped.mean() - p) < 5 * np.sqrt(p * (1 - p) / 20_000)
    np.testing.assert_allclose(y[~dropped], 3 / (1 - p), rtol=1e-15)
    dy = np.random.default_rng(1).standard_normal(x.shape)
    np.testing.assert_allclose(layer.backward(dy), dy * y / 3, rtol=1e-14)
    assert ((layer(x) == 0) != dropped).any()


@DTYPES
def test_dropout_at_its_ends(dtype):
    x = np.array([[1, -2, 0, NAN]], dtype)
    assert Dropout(0.0)(x).tobytes() == x.tobytes()
    np.testing.assert_array_equal(Dropout(1.0)(x), [[0, 0, 0, NAN]])
    for p in (0.0, 0.3, 1.0):
        assert Dropout(p)(x).dtype == dtype


def test_no_draw_is_dropped_with_probability_0():
    class Zeros:
        def random(self, shape: tuple[int, ...], dtype: type) -> np.ndarray:
            return np.zeros(shape, dtype)

    layer = Dropout(0.0)
    layer._rng = Zeros()
    np.testing.assert_array_equal(layer(np.ones(3)), np.ones(3))


def test_dropout_in_use_does_nothing():
    layer, x = Dropout(0.5, rng=0).eval(), np.ones(5)
    before = layer.random_state()
    assert layer(x) is x
    assert layer.backward(x) is x
    assert layer.random_state() == before
    layer.train()
    assert (layer(x) != x).all()


def test_backward_is_that_of_the_mode_of_its_forward():
    layer, x = Dropout(0.5, rng=0), np.ones(50)
    y = layer(x)
    assert layer.eval().backward(x).tobytes() == y.tobytes()
    layer(x)
    assert layer.train().backward(x).tobytes() == x.tobytes()


def test_one_seed_makes_one_choice():
    single, double = (Dropout(0.5, rng=3)(np.ones(100, dtype)) for dtype in ("f4", "f8"))
    np.testing.assert_array_equal(single, double)
    assert (Dropout(0.5, rng=4)(np.ones(100)) != double).any()
    generator = np.random.default_rng(3)
    layer, other = Dropout(0.5, rng=generator), Dropout(0.5, rng=generator)
    np.testing.assert_array_equal(layer(np.ones(100)), double)
    assert (other(np.ones(100)) != double).any()


@pytest.mark.parametrize(
    "kind", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64]
)
def test_random_states_can_be_kept_as_json(kind):
    def network() -> Sequential:
        first, second = (np.random.Generator(kind(seed)) for seed in (1, 2))
        return Sequential(
            Linear(50, 50, rng=0), Dropout(rng=first), Sequential(Dropout(rng=second))
        )

    net, other, x = network(), network(), np.ones((4, 50), np.float32)
    net(x)
    state = json.loads(json.dumps(net.random_state()))
    assert list(state) == ["1.rng", "2.0.rng"]
    y = net(x)
    assert other(x).tobytes() != y.tobytes()
    other.load_random_state(state)
    assert other(x).tobytes() == y.tobytes()
    assert other.random_state() == net.random_state()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("1.rng"), "the names of the model, got one without 1.rng$"),
        (lambda s: s.update(rng={}), "got one with rng$"),
        (lambda s: s["1.rng"].update(bit_generator="MT19937"), "must be of kind PCG64, got MT199"),
        (lambda s: s.update({"1.rng": {}}), "1.rng must be of kind PCG64, got None"),
    ],
)
def test_a_random_state_that_does_not_fit_changes_nothing(change, message):
    net = Sequential(Dropout(rng=1), Dropout(rng=2))
    state = Sequential(Dropout(rng=3), Dropout(rng=4)).random_state()
    before = net.random_state()
    change(state)
    with pytest.raises(ValueError, match=f"^load_random_state: .*{message}"):
        net.load_random_state(state)
    assert net.random_state() == before


@pytest.mark.parametrize("p", [-0.1, 1.5, NAN])
def test_a_share_is_from_0_to_1(p):
    with pytest.raises(ValueError, match=f"Dropout: p must be from 0 to 1, got {p}"):
        Dropout(p)
