"""The normalizations against loops over their formulas, and their statistics."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from convolt.layers import BatchNorm2d, LocalResponseNorm, Sequential
from layer_cases import BACKENDS, image

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def values(*shape: int, dtype: type = np.float64) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


# --- batch normalization ------------------------------------------------------------------------


def batch_norm_by_loops(x, weight, bias, eps):
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        channel = x[:, c].ravel().tolist()
        mean = math.fsum(channel) / len(channel)
        var = math.fsum((v - mean) ** 2 for v in channel) / len(channel)
        y[:, c] = weight[c] * (x[:, c] - mean) / math.sqrt(var + eps) + bias[c]
    return y


@BACKENDS
@pytest.mark.parametrize("shape", [(3, 4, 2, 5), (1, 4, 1, 2), (7, 4, 1, 1)])
def test_batch_norm_is_its_formula(backend, shape):
    x, weight, bias = 3 * values(*shape) + 1, values(5)[1:], values(6)[2:]
    y, mean, var = backend.batch_norm2d(x, weight, bias, eps=0.3)
    expected = batch_norm_by_loops(x, weight, bias, 0.3)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(mean, x.mean(axis=(0, 2, 3)), rtol=1e-13)
    np.testing.assert_allclose(var, x.var(axis=(0, 2, 3)), rtol=1e-13)
    plain = backend.batch_norm2d(x).y
    ones, zeros = np.ones(4), np.zeros(4)
    np.testing.assert_allclose(plain, batch_norm_by_loops(x, ones, zeros, 1e-5), rtol=1e-12)
    again = backend.batch_norm2d(x, weight, bias, mean, var, eps=0.3)
    np.testing.assert_allclose(again.y, expected, rtol=1e-12, atol=1e-13)
    assert again.mean.tobytes() == mean.tobytes()


@BACKENDS
def test_batch_norm_is_accurate_far_from_zero(backend):
    """The mean of squares minus the square of the mean would lose every digit here."""
    x = (values(8, 2, 16, 16) + 4096).astype(np.float32)
    exact = backend.batch_norm2d(x.astype(np.float64))
    y, mean, var = backend.batch_norm2d(x)
    assert y.dtype == mean.dtype == var.dtype == np.float32
    np.testing.assert_allclose(var, exact.var, rtol=1e-5)
    # The mean may be off by a unit in the last place of 4096, half a thousandth of a deviation.
    np.testing.assert_allclose(y, exact.y, atol=2 * np.spacing(np.float32(4096)))


@BACKENDS
@DTYPES
def test_batch_norm_keeps_the_dtype(backend, dtype):
    layer = BatchNorm2d(4, dtype=dtype, backend=backend)
    x = values(2, 4, 3, 3, dtype=dtype)
    for mode in (layer.train(), layer.eval()):
        y = mode(x)
        dx = mode.backward(y)
        arrays = [y, dx, *layer.gradients().values(), *layer.state_dict().values()]
        assert {array.dtype for array in arrays} == {np.dtype(dtype)}


@BACKENDS
def test_running_statistics_move_by_momentum_towards_the_unbiased_ones(backend):
    layer = BatchNorm2d(4, momentum=0.3, dtype=np.float64, backend=backend)
    mean, var = np.zeros(4), np.ones(4)
    running = layer.buffers()
    for step in range(3):
        x = image() * (step + 1) + step
        layer(x)
        mean = 0.7 * mean + 0.3 * x.mean(axis=(0, 2, 3))
        var = 0.7 * var + 0.3 * x.var(axis=(0, 2, 3), ddof=1)
        np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-12)
        np.testing.assert_allclose(layer.running_var, var, rtol=1e-12)
    assert layer.buffers()["running_mean"] is running["running_mean"]
    assert layer.buffers()["running_var"] is running["running_var"]
    layer(image()[:0])
    np.testing.assert_allclose(layer.running_var, var, rtol=1e-12)
    expected = (x - mean[:, None, None]) / np.sqrt(var + 1e-5)[:, None, None]
    np.testing.assert_allclose(layer.eval()(x), expected, rtol=1e-12)
    np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-12)
    np.testing.assert_allclose(layer(x[:1]), expected[:1], rtol=1e-12)


@BACKENDS
def test_one_value_in_a_channel_has_no_statistics(backend):
    layer = BatchNorm2d(4, backend=backend)
    x = values(1, 4, 1, 1, dtype=np.float32)
    message = r"batch_norm2d: x must have more than one value in each .* got shape \(1, 4, 1, 1\)"
    with pytest.raises(ValueError, match=message):
        layer(x)
    with pytest.raises(ValueError, match=rf"^0 \(BatchNorm2d\): {message}"):
        Sequential(layer)(x)
    np.testing.assert_allclose(layer.eval()(x), x, rtol=1e-5)


@BACKENDS
def test_batch_norm_of_no_images(backend):
    y, mean, var = backend.batch_norm2d(np.empty((0, 3, 2, 2)))
    assert y.shape == (0, 3, 2, 2)
    assert (mean == 0).all()
    assert (var == 0).all()
    gradients = backend.batch_norm2d_backward(y, y, None, mean, var)
    assert gradients.dx.shape == (0, 3, 2, 2)
    assert (gradients.dweight == 0).all()


@BACKENDS
def test_batch_norm_of_what_is_not_finite_is_silent(backend):
    x = values(2, 3, 2, 2)
    x[0, 0, 0, 0], x[1, 1, 1, 1] = np.nan, np.inf
    layer = BatchNorm2d(3, dtype=np.float64, backend=backend)
    y = layer(x)
    assert np.isnan(y[:, :2]).all()
    assert np.isfinite(y[:, 2]).all()
    assert np.isfinite(layer.backward(np.ones_like(y))[:, 2]).all()


X, FOUR = values(2, 4, 3, 3), np.ones(4)


@BACKENDS
@pytest.mark.parametrize(
    ("args", "options", "error", "message"),
    [
        ((X[0],), {}, ValueError, "x must be (N, C, H, W), got shape (4, 3, 3)"),
        ((X.astype(int),), {}, TypeError, "x must be float32 or float64, got int64"),
        ((X, FOUR[1:]), {}, ValueError, "weight must have shape (C,) = (4,), got (3,)"),
        ((X, FOUR, FOUR.astype("f4")), {}, TypeError, "bias must be float64 as the other operand"),
        ((X, FOUR, FOUR, FOUR), {}, ValueError, "mean and var must come together, got mean alone"),
        ((X,), {"var": FOUR}, ValueError, "mean and var must come together, got var alone"),
        ((X,), {"eps": 0}, ValueError, "eps must be a positive number, got 0"),
        ((X,), {"eps": "x"}, ValueError, "eps must be a positive number, got 'x'"),
    ],
)
def test_batch_norm_refuses(backend, args, options, error, message):
    with pytest.raises(error) as caught:
        backend.batch_norm2d(*args, **options)
    assert str(caught.value).startswith(f"batch_norm2d: {message}")


@BACKENDS
@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((X[:1], X, None, FOUR, FOUR), "dy must have shape (N, C, H, W) = (2, 4, 3, 3), got (1, "),
        ((X, X, FOUR[1:], FOUR, FOUR), "weight must have shape (C,) = (4,), got (3,)"),
        ((X, X, FOUR, FOUR[1:], FOUR), "mean must have shape (C,) = (4,), got (3,)"),
        ((X, X, FOUR, FOUR, X), "var must have shape (C,) = (4,), got (2, 4, 3, 3)"),
    ],
)
def test_batch_norm_backward_refuses(backend, args, message):
    with pytest.raises(ValueError, match=r"^batch_norm2d_backward: ") as caught:
        backend.batch_norm2d_backward(*args)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: BatchNorm2d(0), ValueError, "BatchNorm2d: num_features must be at least 1, got 0"),
        (lambda: BatchNorm2d(3, 0), ValueError, "BatchNorm2d: eps must be a positive number, got"),
        (lambda: BatchNorm2d(3, momentum=2), ValueError, "momentum must be from 0 to 1, got 2"),
        (lambda: BatchNorm2d(3, dtype=int), TypeError, "BatchNorm2d: dtype must be float32 or"),
        (lambda: BatchNorm2d(3)(X), ValueError, r"x must have shape \(N, 3, H, W\), got \(2, 4, "),
        (lambda: BatchNorm2d(4)(X[0]), ValueError, r"shape \(N, 4, H, W\), got \(4, 3, 3\)"),
        (lambda: BatchNorm2d(4, affine=False)(X), TypeError, "x must be float32 as the statistics"),
        (lambda: BatchNorm2d(4).gradients(), RuntimeError, "gradients: backward must be called"),
        (lambda: LocalResponseNorm(0), ValueError, "LocalResponseNorm: size must be at least 1"),
    ],
)
def test_layers_refuse(make, error, message):
    with pytest.raises(error, match=message):
        make()


# --- local response normalization ---------------------------------------------------------------


def local_response_norm_by_loops(x, size, alpha, beta, k):
    y = np.empty_like(x)
    for n, c, h, w in itertools.product(*map(range, x.shape)):
        first, last = max(c - size // 2, 0), min(c + (size - 1) // 2, x.shape[1] - 1)
        squares = math.fsum(x[n, i, h, w] ** 2 for i in range(first, last + 1))
        y[n, c, h, w] = x[n, c, h, w] / (k + alpha / size * squares) ** beta
    return y


@BACKENDS
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 12, 30])
@pytest.mark.parametrize("beta", [0.75, 0.4])
def test_local_response_norm_is_its_formula(backend, size, beta):
    x = 2 * values(2, 6, 2, 3)
    expected = local_response_norm_by_loops(x, size, 0.9, beta, 1.5)
    y = backend.local_response_norm(x, size, 0.9, beta, 1.5)
    np.testing.assert_allclose(y, expected, rtol=1e-13)


@BACKENDS
@pytest.mark.parametrize("beta", [0.75, 0.4])
def test_local_response_norm_keeps_the_dtype(backend, beta):
    x = values(2, 6, 2, 3, dtype=np.float32)
    y = backend.local_response_norm(x, 5, beta=beta)
    dx = backend.local_response_norm_backward(y, x, 5, beta=beta)
    assert y.dtype == dx.dtype == np.float32
    exact = backend.local_response_norm(x.astype(np.float64), 5, beta=beta)
    np.testing.assert_allclose(y, exact, rtol=1e-6)


@BACKENDS
def test_the_defaults_are_the_papers(backend):
    x = 10 * values(1, 6, 2, 2)
    expected = local_response_norm_by_loops(x, 5, 1e-4, 0.75, 1.0)
    np.testing.assert_allclose(LocalResponseNorm(5, backend=backend)(x), expected, rtol=1e-13)


@BACKENDS
def test_local_response_norm_of_what_is_not_finite_is_silent(backend):
    x = np.ones((1, 6, 1, 1))
    x[0, 0] = np.nan
    y = backend.local_response_norm(x, 3)
    assert np.isnan(y.ravel()).tolist() == [True, True, False, False, False, False]
    x[0, 0] = np.inf
    y = backend.local_response_norm(x, 3)
    assert np.isnan(y[0, 0])
    assert y[0, 1] == 0
    zeros = np.zeros((1, 2, 1, 1))
    assert np.isnan(backend.local_response_norm(zeros, 3, k=0.0)).all()
    assert np.isnan(backend.local_response_norm_backward(zeros, zeros, 3, k=0.0)).all()


@BACKENDS
def test_local_response_norm_refuses(backend):
    with pytest.raises(ValueError, match=r"^local_response_norm: x must be \(N, C, H, W\)"):
        backend.local_response_norm(X[0], 3)
    with pytest.raises(TypeError, match=r"^local_response_norm: size must be an int, got 2\.5"):
        backend.local_response_norm(X, 2.5)
    with pytest.raises(ValueError, match=r"^local_response_norm_backward: size must be at least"):
        backend.local_response_norm_backward(X, X, 0)
    with pytest.raises(ValueError, match=r"^local_response_norm_backward: dy must have shape"):
        backend.local_response_norm_backward(X[:1], X, 3)
