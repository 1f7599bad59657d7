"""SimpleConvNet: its gradient, its shapes, and the same results on either backend."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from convolt import functional, reference
from convolt.models import SimpleConvNet
from gradcheck import numerical_gradient

BACKENDS = pytest.mark.parametrize("backend", [functional, reference], ids=["convolt", "reference"])
LABELS = np.array([2, 0, 1])


def tiny_net(**options) -> SimpleConvNet:
    conv_param = {"filter_num": 2, "filter_size": 3, "pad": 1, "stride": 1}
    defaults = {"hidden_size": 4, "output_size": 3, "weight_init_std": "he", "dtype": np.float64}
    return SimpleConvNet((2, 6, 5), conv_param, **(defaults | {"seed": 0} | options))


def images(dtype=np.float64) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((3, 2, 6, 5)).astype(dtype)


@BACKENDS
@pytest.mark.parametrize("t", [LABELS, np.eye(3)[LABELS]], ids=["labels", "one-hot"])
def test_gradient_is_that_of_central_differences(backend, t):
    net, x = tiny_net(backend=backend), images()
    loss, gradients = net.loss_and_gradient(x, t)
    assert loss == net.loss(x, t)
    assert list(gradients) == ["W1", "b1", "W2", "b2", "W3", "b3"] == list(net.params)
    for name, parameter in net.params.items():
        expected = numerical_gradient(lambda: net.loss(x, t), parameter)
        np.testing.assert_allclose(gradients[name], expected, rtol=1e-5, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_backends_agree(dtype):
    ours, numpys = (tiny_net(backend=b, dtype=dtype) for b in (functional, reference))
    x = images(dtype)
    tolerance = 1e3 * np.finfo(dtype).eps
    np.testing.assert_allclose(ours.predict(x), numpys.predict(x), rtol=tolerance, atol=tolerance)
    expected = numpys.gradient(x, LABELS)
    for name, gradient in ours.gradient(x, LABELS).items():
        assert gradient.dtype == dtype
        np.testing.assert_allclose(gradient, expected[name], rtol=tolerance, atol=tolerance)


def test_the_defaults_are_the_books():
    net = SimpleConvNet(seed=0)
    assert {name: array.shape for name, array in net.params.items()} == {
        "W1": (30, 1, 5, 5),
        "b1": (30,),
        "W2": (30 * 12 * 12, 100),
        "b2": (100,),
        "W3": (100, 10),
        "b3": (10,),
    }
    assert {array.dtype for array in net.params.values()} == {np.dtype(np.float32)}
    assert np.std(net.params["W2"]) == pytest.approx(0.01, rel=0.01)


@pytest.mark.parametrize(
    ("input_dim", "conv_param", "features"),
    [
        ((3, 8, 8), {"filter_size": 3, "pad": 1}, 30 * 4 * 4),
        ((1, 9, 7), {"filter_num": 2, "filter_size": 3}, 2 * 3 * 2),
        ((1, 28, 28), {"filter_num": 4, "stride": 2, "pad": 2}, 4 * 7 * 7),
    ],
)
def test_the_shapes_follow_the_input(input_dim, conv_param, features):
    net = SimpleConvNet(input_dim, conv_param)
    assert net.params["W2"].shape == (features, 100)
    assert net.predict(np.zeros((2, *input_dim), np.float32)).shape == (2, 10)


def test_params_are_the_layers_own_arrays():
    net, x = tiny_net(), images()
    before = net.predict(x)
    net.params["W1"] *= 2
    net.params["b3"] += 1
    assert (net.predict(x) != before).all()


@BACKENDS
def test_a_prepared_net_predicts_the_same(backend):
    net, x = tiny_net(backend=backend), images()
    expected = net.predict(x)
    net.prepare()
    assert (net.predict(x) == expected).all()
    net.params["W1"] *= 2
    assert (net.predict(x) == expected).all()
    net.gradient(x, LABELS)
    assert (net.predict(x) != expected).any()


@BACKENDS
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_has_parameters_of_its_own(backend, duplicate):
    net, x = tiny_net(backend=backend), images()
    expected, other = net.predict(x), duplicate(net)
    net.params["W1"] *= 2
    assert (other.predict(x) == expected).all()
    other.params["W1"] *= 2
    assert (other.predict(x) == net.predict(x)).all()


def test_the_first_layer_does_not_compute_dx():
    net = tiny_net()
    y = net.predict(images())
    assert net.backward(y) is None


def test_a_seed_makes_the_same_net():
    same, again, other = (tiny_net(seed=seed).params for seed in (5, 5, 6))
    for name in ("W1", "W2", "W3"):
        np.testing.assert_array_equal(same[name], again[name])
        assert (same[name] != other[name]).any()


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_prediction_in_batches_is_prediction_at_once(batch_size):
    net, x = tiny_net(), images()
    np.testing.assert_allclose(net.predict(x, batch_size), net.predict(x), rtol=1e-12)


def test_accuracy_counts_the_right_ones():
    net, x = tiny_net(), images()
    right = net.predict(x).argmax(axis=1)
    labels = np.array([right[0], (right[1] + 1) % 3, right[2]])
    assert net.accuracy(x, labels) == pytest.approx(2 / 3)
    assert net.accuracy(x, np.eye(3)[labels], batch_size=2) == pytest.approx(2 / 3)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"conv_param must have names among .*, got padding"):
        SimpleConvNet(conv_param={"padding": 1})
    with pytest.raises(ValueError, match="kernel_size must fit"):
        SimpleConvNet((1, 4, 4))
