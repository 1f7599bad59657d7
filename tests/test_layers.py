"""Every layer against central differences, and what a layer promises to its caller."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from convolt import functional, reference
from convolt.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    MaxPool2d,
    MinPool2d,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
)
from gradcheck import numerical_gradient
from layer_cases import BACKENDS, DOUBLE, EVERY_LAYER, image
from refusals import NO_FLAGS


@BACKENDS
@EVERY_LAYER
def test_gradients_are_those_of_central_differences(make_layer, backend):
    layer, x = make_layer(backend), image()
    dy = np.random.default_rng(1).standard_normal(layer(x).shape)

    def weighted_sum() -> float:
        return float((layer(x) * dy).sum())

    dx = layer.backward(dy)
    np.testing.assert_allclose(dx, numerical_gradient(weighted_sum, x), rtol=1e-6, atol=1e-7)
    gradients = layer.gradients()
    assert gradients.keys() == layer.parameters().keys()
    for name, parameter in layer.parameters().items():
        expected = numerical_gradient(weighted_sum, parameter)
        np.testing.assert_allclose(gradients[name], expected, rtol=1e-6, atol=1e-7, err_msg=name)


@EVERY_LAYER
def test_arguments_are_left_unchanged(make_layer):
    layer, x = make_layer(functional), image()
    x.flags.writeable = False
    dy = np.ones_like(layer(x))
    dy.flags.writeable = False
    layer.backward(dy)
    np.testing.assert_array_equal(x, image())
    assert (dy == 1).all()


@EVERY_LAYER
def test_backward_before_forward_is_refused(make_layer):
    layer = make_layer(functional)
    with pytest.raises(RuntimeError, match=r"\w+\.backward: forward must be called before"):
        layer.backward(image())


@EVERY_LAYER
def test_each_backward_needs_its_own_forward(make_layer):
    layer = make_layer(functional)
    dy = layer(image())
    dx = layer.backward(dy)
    with pytest.raises(RuntimeError, match=r"forward must be called before each backward$"):
        layer.backward(dy)
    np.testing.assert_array_equal(layer(image()), dy)
    np.testing.assert_array_equal(layer.backward(dy), dx)


@EVERY_LAYER
def test_an_empty_batch_passes_through(make_layer):
    layer = make_layer(functional)
    dy = layer(image()[:0])
    assert len(dy) == 0
    assert layer.backward(dy).shape == (0, 4, 6, 5)
    assert all((gradient == 0).all() for gradient in layer.gradients().values())


def test_relu_in_place_writes_where_it_reads():
    layer, x, dy = ReLU(inplace=True), np.array([-1.0, 2.0]), np.array([3.0, 4.0])
    assert layer(x) is x
    assert layer.backward(dy) is dy
    np.testing.assert_array_equal(x, [0, 2])
    np.testing.assert_array_equal(dy, [0, 4])


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f4", int])
def test_relu_stops_what_is_zero_and_nothing_else(inplace, dtype):
    dtype = np.dtype(dtype)
    x, dy = (np.array(values, dtype) for values in ([-1, 0, 2, 5, -7], [3, 4, -5, 6, -8]))
    expected = np.array([0, 0, -5, 6, 0], dtype)
    if dtype.kind == "f":
        x[1], x[3], dy[0], dy[2] = -0.0, np.nan, np.inf, -np.inf
        expected[2] = -np.inf
    layer = ReLU(inplace)
    layer(x)
    dx = layer.backward(dy)
    assert dx.dtype == dtype
    assert dx.tobytes() == expected.tobytes()


@BACKENDS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("needs_dx", [False, True])
@pytest.mark.parametrize("inplace", [False, True])
def test_a_convolution_with_relu_is_one_with_a_relu_behind(backend, dtype, needs_dx, inplace):
    options = {"needs_dx": needs_dx, "dtype": dtype, "rng": 3, "backend": backend}
    fused = Conv2d(4, 7, 3, 1, "same", activation="relu", inplace=inplace, **options)
    apart = Sequential(Conv2d(4, 7, 3, 1, "same", **options), ReLU())
    x = image(dtype)
    y = fused(x)
    assert y.tobytes() == apart(x).tobytes()
    assert (y == 0).any()
    dy = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
    before = dy.copy()
    expected, dx = apart.backward(dy), fused.backward(dy)
    assert inplace or (dy == before).all()
    if needs_dx:
        assert dx.tobytes() == expected.tobytes()
    gradients = apart.gradients()
    for name, gradient in fused.gradients().items():
        assert gradient.tobytes() == gradients[f"0.{name}"].tobytes()


@EVERY_LAYER
def test_the_output_has_the_shape_that_was_foretold(make_layer):
    layer, (batch, *shape) = make_layer(functional), image().shape
    expected = layer.output_shape(tuple(shape))
    assert layer.build(tuple(shape)) == expected
    assert layer.output_shape(tuple(shape)) == expected
    assert layer(image()).shape == (batch, *expected)


@EVERY_LAYER
def test_a_state_can_be_taken_and_given_back(make_layer):
    layer, other = make_layer(functional), make_layer(functional)
    y = layer(image())
    state = {name: array.copy() for name, array in layer.state_dict().items()}
    layer(image() + 1)
    for array in layer.parameters().values():
        array += 1
    other(image() - 1)
    for name, array in other.state_dict().items():
        array[:] = np.nan
        assert not np.isnan(other.state_dict()[name]).any()
    before = other.parameters()
    other.load_state_dict(state)
    for name, array in other.parameters().items():
        assert array is before[name]
    assert other.state_dict().keys() == layer.parameters().keys() | layer.buffers().keys()
    for name, array in other.state_dict().items():
        assert array.tobytes() == state[name].tobytes()
    assert other(image()).tobytes() == y.tobytes()


@EVERY_LAYER
def test_training_is_a_mode_that_can_be_left(make_layer):
    layer = make_layer(functional)
    layer(image())
    assert layer.eval() is layer
    assert not layer.training
    layer(image())
    state = layer.state_dict()
    assert layer(image()).tobytes() == layer(image() * 1).tobytes()
    for name, array in layer.state_dict().items():
        assert array.tobytes() == state[name].tobytes()
    assert layer.train() is layer
    assert layer.training


@EVERY_LAYER
def test_prepared_layers_do_the_same(make_layer):
    layer = make_layer(functional)
    y, dx = layer(image()), layer.backward(layer(image()))
    layer.prepare()
    assert layer(image()).tobytes() == y.tobytes()
    assert layer.backward(layer(image())).tobytes() == dx.tobytes()


@BACKENDS
def test_a_prepared_layer_keeps_its_weight_until_the_next_backward(backend):
    layer = Sequential(Conv2d(4, 3, 3, backend=backend, **DOUBLE), ReLU())
    y = layer(image())
    layer.prepare()
    layer.parameters()["0.weight"][:] = 0
    assert (layer(image()) == y).all()
    layer.prepare()
    assert (layer(image()) == 0).all()
    layer.parameters()["0.weight"][:] = 1
    assert (layer(image()) == 0).all()
    layer.backward(y)
    assert (layer(image()) != 0).any()


def test_a_network_prepares_every_layer():
    network = Sequential(*(Conv2d(4, 4, 3, padding=1, **DOUBLE) for _ in range(3)))
    y = network(image())
    for name in ("0.weight", "1.weight", "2.weight"):
        network.prepare()
        weight = network.parameters()[name]
        weight *= 2
        assert (network(image()) == y).all()
        weight /= 2


@pytest.mark.parametrize("layer", [Conv2d(1, 1, 1), Linear(1, 1)], ids=["conv", "linear"])
def test_gradients_before_backward_are_refused(layer):
    with pytest.raises(RuntimeError, match="gradients: backward must be called before"):
        layer.gradients()


@BACKENDS
def test_needs_dx_false_gives_the_parameters_gradients_only(backend):
    lazy, full = (Conv2d(4, 3, 3, needs_dx=n, backend=backend, **DOUBLE) for n in (False, True))
    dy = np.ones_like(full(image()))
    lazy(image())
    assert lazy.backward(dy) is None
    assert full.backward(dy) is not None
    for name, gradient in full.gradients().items():
        np.testing.assert_array_equal(lazy.gradients()[name], gradient)


def test_needs_dx_false_behind_another_layer_is_refused():
    network = Sequential(ReLU(), Conv2d(4, 3, 3, needs_dx=False, **DOUBLE))
    y = network(image())
    with pytest.raises(RuntimeError, match=r"needs_dx=False is for the first layer only, .* ReLU"):
        network.backward(y)


def test_sequential_names_the_layers_own_arrays():
    conv, linear = Conv2d(4, 3, (6, 5), **DOUBLE), Linear(3, 2, bias=False, **DOUBLE)
    parameters = Sequential(conv, Flatten(), linear).parameters()
    assert list(parameters) == ["0.weight", "0.bias", "2.weight"]
    assert parameters["0.weight"] is conv.weight
    assert parameters["0.bias"] is conv.bias
    assert parameters["2.weight"] is linear.weight


def test_the_operators_come_from_the_backend():
    called = []

    class Recorder:
        def __getattr__(self, name: str):
            called.append(name)
            return getattr(reference, name)

    network = Sequential(
        Conv2d(4, 4, 1, backend=Recorder(), **DOUBLE),
        *(Pool(2, 1, backend=Recorder()) for Pool in (MaxPool2d, MinPool2d, AvgPool2d)),
        GlobalAvgPool2d(backend=Recorder()),
    )
    network.backward(network(image()))
    extrema = ["max_pool2d_winners", "min_pool2d_winners"]
    forward = ["conv2d", *extrema, "avg_pool2d", "global_avg_pool2d"]
    assert called == forward + [f"{name}_backward" for name in reversed(forward)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_keeps_its_dtype(dtype):
    network = Sequential(
        Conv2d(4, 3, 3, dtype=dtype),
        ReLU(),
        AvgPool2d(2, backend=functional),
        Flatten(),
        Linear(6, 2, dtype=dtype),
    )
    y = network(image().astype(dtype))
    loss = SoftmaxCrossEntropy()
    loss(y, np.array([0, 1]))
    dx = network.backward(loss.backward())
    arrays = [y, dx, *network.parameters().values(), *network.gradients().values()]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    ("weight_init", "expected"),
    [("he", np.sqrt(2 / 200)), ("xavier", np.sqrt(2 / 600)), (0.25, 0.25), (0, 0)],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda **k: Conv2d(16, 32, 5, groups=2, **k),
        lambda **k: Linear(200, 400, **k),
        lambda **k: ConvTranspose2d(64, 32, 5, 2, groups=2, **k),
    ],
)
def test_weights_have_the_deviation_that_is_asked_for(make, weight_init, expected):
    # All have fan_in 200 and fan_out 400, and enough weights for a deviation within 5 %.
    layer = make(weight_init=weight_init, rng=0)
    assert np.std(layer.weight) == pytest.approx(expected, rel=0.05)
    assert abs(np.mean(layer.weight)) <= 0.05 * expected
    assert (layer.bias == 0).all()


def test_one_seed_gives_one_weight_in_both_dtypes():
    single, double = (Linear(5, 4, dtype=dtype, rng=7) for dtype in (np.float32, np.float64))
    np.testing.assert_array_equal(single.weight, double.weight.astype(np.float32))
    generator = np.random.default_rng(7)
    np.testing.assert_array_equal(Linear(5, 4, rng=generator).weight, single.weight)
    assert (Linear(5, 4, rng=generator).weight != single.weight).any()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Conv2d(3, 4, 3, groups=2), ValueError, "groups must divide .* got groups=2 for 3"),
        (lambda: Conv2d(0, 4, 3), ValueError, "Conv2d: in_channels must be at least 1, got 0"),
        (lambda: Conv2d(1, 4, 2.5), TypeError, "Conv2d: kernel_size must be .* got 2.5"),
        (lambda: Conv2d(1, 4, 3, activation="gelu"), ValueError, "must be None or 'relu', got 'g"),
        (lambda: Conv2d(1, 4, 3, dtype=int), TypeError, "dtype must be float32 or .* got int64"),
        (lambda: Linear(3, True), TypeError, "Linear: out_features must be an int.*, got True"),
        (lambda: Linear(3, 4, weight_init="hi"), ValueError, "weight_init must be .* got 'hi'"),
        (lambda: Linear(3, 4, weight_init=-1.0), ValueError, r"weight_init must be .* got -1\.0"),
    ],
)
def test_bad_constructor_arguments_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


FLAGS = {
    "Conv2d": (partial(Conv2d, 1, 2, 3), ("bias", "inplace", "needs_dx")),
    "ConvTranspose2d": (partial(ConvTranspose2d, 1, 2, 3), ("bias", "needs_dx")),
    "MaxPool2d": (partial(MaxPool2d, 2), ("ceil_mode",)),
    "MinPool2d": (partial(MinPool2d, 2), ("ceil_mode",)),
    "AvgPool2d": (partial(AvgPool2d, 2), ("ceil_mode", "count_include_pad")),
    "Linear": (partial(Linear, 3, 2), ("bias",)),
    "ReLU": (ReLU, ("inplace",)),
    "BatchNorm2d": (partial(BatchNorm2d, 3), ("affine",)),
    "train": (Flatten().train, ("mode",)),
}


@pytest.mark.parametrize("function", FLAGS)
def test_flags(function):
    call, names = FLAGS[function]
    for name in names:
        for value in (True, False, np.True_, np.False_):
            call(**{name: value})
        for value in NO_FLAGS:
            with pytest.raises(TypeError) as caught:
                call(**{name: value})
            assert str(caught.value) == f"{function}: {name} must be True or False, got {value!r}"


def test_numpy_bools_decide():
    for layer in (Conv2d(1, 2, 3, bias=np.False_), Linear(3, 2, bias=np.False_)):
        assert layer.bias is None
    assert BatchNorm2d(3, affine=np.False_).weight is None
    assert Conv2d(1, 2, 3, bias=np.True_).bias is not None
    x = np.ones((1, 1, 3, 3), np.float32)
    assert MaxPool2d(2, ceil_mode=np.True_)(x).shape == (1, 1, 2, 2)
    first = Conv2d(1, 2, 3, needs_dx=np.False_)
    assert first.backward(first(x)) is None
    relu = ReLU(inplace=np.True_)
    assert relu(x) is x
    assert relu.backward(x) is x


def test_linear_says_what_input_it_expects():
    layer = Linear(120, 3)
    with pytest.raises(ValueError, match=r"\(N, 120\), got \(2, 4, 6, 5\); a Flatten layer"):
        layer(image(np.float32))
    with pytest.raises(ValueError, match=r"x must have shape \(N, 120\), got \(2, 7\)"):
        layer(np.zeros((2, 7), np.float32))
    with pytest.raises(TypeError, match="x must be float32 as the weight, got float64"):
        layer(np.zeros((2, 120)))


def test_the_base_layer_has_no_passes():
    with pytest.raises(NotImplementedError):
        Layer().forward(image())
    with pytest.raises(NotImplementedError):
        Layer().backward(image())
