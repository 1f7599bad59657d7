"""Layers of layers: names, modes, shapes before any data, and at which place something is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from convolt.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    MinPool2d,
    Parallel,
    ReLU,
    Sequential,
    Sigmoid,
)
from layer_cases import DOUBLE, image


def network() -> Sequential:
    return Sequential(
        Conv2d(4, 6, 3, rng=0),
        BatchNorm2d(6),
        Parallel(Conv2d(6, 2, 1, rng=1), Sequential(Sigmoid(), Conv2d(6, 1, 1, bias=False, rng=2))),
        Flatten(),
        Dropout(0.5, rng=3),
        Linear(None, 5, rng=4),
    )


NAMES = [
    *("0.weight", "0.bias", "1.weight", "1.bias", "2.0.weight", "2.0.bias"),
    *("2.1.1.weight", "5.weight", "5.bias"),
]


def batch(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_arrays_are_named_after_the_path_to_them():
    net = network()
    y = net(batch(2, 4, 6, 5))
    net.backward(y)
    parameters, layers = net.parameters(), net.layers
    assert list(parameters) == NAMES == list(net.gradients())
    assert parameters["2.1.1.weight"] is layers[2].branches[1].layers[1].weight
    assert list(net.buffers()) == ["1.running_mean", "1.running_var"]
    assert net.buffers()["1.running_mean"] is layers[1].running_mean
    assert list(net.state_dict()) == [*NAMES, "1.running_mean", "1.running_var"]
    assert list(net.random_state()) == ["4.rng"]
    assert list(net.children()) == ["0", "1", "2", "3", "4", "5"]
    assert net.children()["2"].children()["1"] is layers[2].branches[1]


def all_layers(layer: Layer) -> list[Layer]:
    return [layer, *(leaf for child in layer.children().values() for leaf in all_layers(child))]


def test_modes_reach_every_layer():
    net = network()
    assert all(layer.training for layer in all_layers(net))
    assert net.eval() is net
    assert not any(layer.training for layer in all_layers(net))
    assert net.train() is net
    assert all(layer.training for layer in all_layers(net))
    net.train(False)
    assert not any(layer.training for layer in all_layers(net))


# --- Parallel -----------------------------------------------------------------------------------


def test_parallel_joins_channels_and_adds_gradients():
    first, second = Conv2d(4, 3, 1, **DOUBLE), Conv2d(4, 2, 3, padding=1, **DOUBLE)
    third = Sequential(MaxPool2d(3, 1, 1), Conv2d(4, 1, 1, **DOUBLE))
    layer = Parallel(first, second, third)
    y = layer(image())
    assert y.tobytes() == np.concatenate([b(image()) for b in (first, second, third)], 1).tobytes()
    dy = np.random.default_rng(0).standard_normal(y.shape)
    dx = layer.backward(dy)
    for branch in (first, second, third):
        branch(image())
    parts = zip((first, second, third), (dy[:, :3], dy[:, 3:5], dy[:, 5:]), strict=True)
    expected = [branch.backward(part) for branch, part in parts]
    np.testing.assert_allclose(dx, sum(expected), rtol=1e-14)


def test_branches_share_an_input_that_they_cannot_change():
    layer = Parallel(Conv2d(4, 1, 1, **DOUBLE), Sequential(Flatten(), ReLU(inplace=True)))
    x = image()
    with pytest.raises(
        ValueError, match=r"^1\.1 \(ReLU\): x must be writable with inplace=True, got a read-only"
    ):
        layer(x)
    np.testing.assert_array_equal(x, image())
    assert x.flags.writeable


def test_the_gradient_is_never_a_part_of_dy():
    layer, dy = Parallel(Sequential(), Sequential(), Sequential()), np.ones((2, 6, 1, 1))
    layer(np.ones((2, 2, 1, 1)))
    np.testing.assert_array_equal(layer.backward(dy), np.full((2, 2, 1, 1), 3.0))
    assert (dy == 1).all()


def test_branches_without_dx_are_all_or_none():
    def conv(needs_dx: bool) -> Conv2d:
        return Conv2d(4, 2, 1, needs_dx=needs_dx, **DOUBLE)

    none = Parallel(conv(False), Sequential(conv(False), ReLU()))
    assert none.backward(none(image())) is None
    assert len(none.gradients()) == 4
    some = Parallel(conv(False), conv(True), conv(False))
    y = some(image())
    with pytest.raises(
        RuntimeError,
        match=r"Parallel\.backward: needs_dx=False must be set in all .* got it in 0, 2 of 3",
    ):
        some.backward(y)
    behind = Sequential(ReLU(), none)
    y = behind(image())
    with pytest.raises(RuntimeError, match=r"for the first layer only, got it behind a ReLU"):
        behind.backward(y)


def test_branches_must_agree_in_size():
    layer = Sequential(ReLU(), Parallel(Conv2d(4, 2, 1), Conv2d(4, 3, 3)))
    message = (
        r"^1 \(Parallel\): branches must have outputs that agree but for the channels, "
        r"got \(2, 6, 5\), \(3, 4, 3\) without the batch$"
    )
    with pytest.raises(ValueError, match=message):
        layer(batch(2, 4, 6, 5))
    with pytest.raises(ValueError, match=message):
        layer.output_shape((4, 6, 5))
    rows_and_images = Parallel(Conv2d(4, 2, 1), Flatten())
    with pytest.raises(ValueError, match=r"got \(2, 6, 5\), \(120,\)"):
        rows_and_images(batch(2, 4, 6, 5))
    with pytest.raises(ValueError, match=r"got \(2, 6, 5\), \(120,\)"):
        rows_and_images.output_shape((4, 6, 5))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Sequential(ReLU), TypeError, "Sequential: layers must be layers, got <class"),
        (lambda: Sequential([ReLU()]), TypeError, r"Sequential: layers must be layers, got \["),
        (lambda: Parallel(ReLU(), None), TypeError, "Parallel: branches must be layers, got None"),
        (lambda: Parallel(), ValueError, "Parallel: branches must be at least one, got none"),
    ],
)
def test_what_is_no_layer_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


# --- the place of a refusal ---------------------------------------------------------------------


def test_a_refused_array_names_the_place():
    net = network()
    with pytest.raises(ValueError, match=r"^0 \(Conv2d\): conv2d: x must have 4 channels for"):
        net(batch(2, 3, 6, 5))
    with pytest.raises(TypeError, match=r"^0 \(Conv2d\): conv2d: weight must be float64"):
        net(image())
    net(batch(2, 4, 6, 5))
    with pytest.raises(ValueError, match=r"^5 \(Linear\): x must have shape \(N, 36\), got \(2, 9"):
        net(batch(2, 4, 10, 6))
    outer = Sequential(Sigmoid(), Sequential(Parallel(ReLU(), net)))
    with pytest.raises(ValueError, match=r"^1\.0\.1\.0 \(Conv2d\): conv2d: x must have 4 channels"):
        outer(batch(2, 3, 6, 5))
    with pytest.raises(ValueError, match=r"^1\.0\.1\.5 \(Linear\): x must have shape"):
        outer(batch(2, 4, 10, 6))


REFUSED_SHAPES = [
    (Conv2d(3, 4, 3), (4, 8, 8), r"Conv2d: input must have 3 channels, got shape \(4, 8, 8\)$"),
    (Conv2d(4, 4, 3, groups=2), (2, 8, 8), "Conv2d: input must have 4 channels"),
    (
        Conv2d(3, 4, 3),
        (8, 8, 3),
        r"got shape \(8, 8, 3\); it looks like \(H, W, C\), convolt takes \(C, H, W\)$",
    ),
    (
        Conv2d(3, 4, 3),
        (1, 3, 8, 8),
        r"must have shape \(C, H, W\), got \(1, 3, 8, 8\); the shape is that of one image, without",
    ),
    (Conv2d(3, 4, 3), (192,), r"Conv2d: input must have shape \(C, H, W\), got \(192,\)$"),
    (Conv2d(3, 4, 3), (3, 0, 8), r"must have shape \(C, H, W\), got \(3, 0, 8\)"),
    (Conv2d(3, 4, 5), (3, 4, 8), "Conv2d: kernel_size must fit .* covers 5 and .* of 4"),
    (ConvTranspose2d(3, 4, 5), (4, 8, 8), "ConvTranspose2d: input must have 3 channels"),
    (ConvTranspose2d(3, 4, 1, padding=2), (3, 4, 8), "ConvTranspose2d: padding must leave"),
    (MaxPool2d(5), (3, 4, 8), "MaxPool2d: kernel_size must fit"),
    (MinPool2d(5), (3, 4, 8), "MinPool2d: kernel_size must fit"),
    (MaxPool2d(5), (8,), "MaxPool2d: input must have shape"),
    (AvgPool2d(5), (3, 4, 8), "AvgPool2d: kernel_size must fit"),
    (GlobalAvgPool2d(), (3,), "GlobalAvgPool2d: input must have shape"),
    (LocalResponseNorm(3), (3,), "LocalResponseNorm: input must have shape"),
    (BatchNorm2d(3), (4, 8, 8), "BatchNorm2d: input must have 3 channels"),
    (Linear(120, 3), (121,), r"Linear: input must have shape \(120,\), got \(121,\)$"),
    (Linear(None, 3), (4, 6, 5), r"Linear: input must have shape \(in_features,\), .*; a Flatten"),
]


@pytest.mark.parametrize(("layer", "shape", "message"), REFUSED_SHAPES)
def test_a_refused_shape_names_layer_and_reason(layer, shape, message):
    with pytest.raises(ValueError, match=f"^{type(layer).__name__}: .*") as caught:
        layer.output_shape(shape)
    assert caught.match(message)
    with pytest.raises(ValueError, match=rf"^1\.0 \({type(layer).__name__}\): \w") as placed:
        Sequential(ReLU(), Parallel(layer)).output_shape(shape)
    assert str(caught.value).partition(": ")[2] == str(placed.value).partition(": ")[2]


def test_every_call_for_shapes_names_the_place():
    net = Sequential(ReLU(), Sequential(Conv2d(3, 4, 5)))
    for method in (net.output_shape, net.build, net.flops, net.child_inputs):
        with pytest.raises(ValueError, match=r"^1\.0 \(Conv2d\): kernel_size must fit"):
            method((3, 4, 4))


# --- shapes and arithmetic ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (Conv2d(3, 6, 16), (3, 32, 32), 2 * 6 * 17 * 17 * 3 * 16 * 16),
        (Conv2d(4, 6, 3, 2, "same_upper", groups=2), (4, 7, 6), 2 * 6 * 4 * 3 * 2 * 9),
        (ConvTranspose2d(4, 6, 3, 2, groups=2), (4, 7, 5), 2 * 4 * 7 * 5 * 3 * 9),
        (Linear(12, 5), (12,), 2 * 60),
        (Linear(None, 5), (12,), 2 * 60),
        (Sequential(Flatten(), Linear(None, 5), ReLU(), Linear(5, 2)), (3, 2, 2), 2 * 70),
        (Parallel(Conv2d(3, 2, 1), Conv2d(3, 1, 1), MaxPool2d(1)), (3, 2, 2), 2 * 4 * 9),
        (Sequential(MaxPool2d(2), BatchNorm2d(3), Sigmoid()), (3, 4, 4), 0),
    ],
)
def test_flops_are_two_for_each_product(layer, shape, expected):
    assert layer.flops(shape) == expected


def test_the_multiplications_of_a_convolution_are_those_of_its_definition():
    """In an image of ones, under a filter of ones, the sum of all outputs counts them."""
    for layer in (Conv2d(2, 3, 3, 2, bias=False), ConvTranspose2d(2, 3, 3, 2, bias=False)):
        layer.weight[:] = 1
        assert layer.flops((2, 9, 8)) == 2 * layer(np.ones((1, 2, 9, 8), np.float32)).sum()


def test_linear_takes_its_width_from_the_first_input():
    lazy, known = Linear(None, 3, rng=7), Linear(20, 3, rng=7)
    with pytest.raises(RuntimeError, match=r"Linear\.parameters: in_features must be known"):
        lazy.parameters()
    with pytest.raises(RuntimeError, match="in_features must be known"):
        Sequential(lazy).state_dict()
    with pytest.raises(ValueError, match=r"x must have shape \(N, in_features\), got \(2, 4, 5\)"):
        lazy(batch(2, 4, 5))
    with pytest.raises(TypeError, match="x must be float32 as the weight, got float64"):
        lazy(np.zeros((2, 20)))
    x = batch(2, 20)
    assert lazy(x).tobytes() == known(x).tobytes()
    weight = lazy.weight
    assert lazy.build((20,)) == (3,)
    lazy(x)
    assert lazy.weight is weight
    with pytest.raises(ValueError, match=r"\(N, 20\), got \(2, 7\)"):
        lazy(batch(2, 7))
    with pytest.raises(ValueError, match=r"^Linear: input must have shape \(20,\), got \(7,\)$"):
        lazy.build((7,))


def test_build_gives_every_linear_its_width_or_none():
    net = Sequential(
        Conv2d(4, 2, 3),
        Parallel(Flatten(), Sequential(Flatten(), Linear(None, 3))),
        Linear(None, 2),
    )
    refused = Sequential(net, Linear(5, 1))
    with pytest.raises(ValueError, match=r"^1 \(Linear\): input must have shape \(5,\), got \(2,"):
        refused.build((4, 6, 5))
    with pytest.raises(RuntimeError, match="in_features must be known"):
        net.parameters()
    assert net.build((4, 6, 5)) == (2,)
    assert net.parameters()["1.1.1.weight"].shape == (24, 3)
    assert net.parameters()["2.weight"].shape == (27, 2)
    assert net(batch(2, 4, 6, 5)).shape == (2, 2)


def test_a_layer_that_foretells_nothing_says_so():
    class Identity(Layer):
        pass

    class Pair(Layer):
        def children(self) -> dict[str, Layer]:
            return {"a": ReLU(), "b": ReLU()}

    with pytest.raises(NotImplementedError, match=r"Identity\.output_shape"):
        Sequential(Identity()).build((3, 4, 4))
    with pytest.raises(NotImplementedError, match=r"Pair\.child_inputs"):
        Pair().flops((3, 4, 4))
    assert list(Pair().train(False).parameters()) == []


# --- state --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: s.pop("0.bias"), ValueError, "the names of the model, got one without 0.bias$"),
        (lambda s: s.update(new=s["0.bias"]), ValueError, "got one with new$"),
        (
            lambda s: s.update(new=s.pop("1.running_var")),
            ValueError,
            "got one without 1.running_var and with new$",
        ),
        (
            lambda s: s.update({"5.bias": s["5.bias"][:1]}),
            ValueError,
            r"5\.bias must have shape \(5,\), got \(1,\)",
        ),
        (
            lambda s: s.update({"5.bias": s["5.bias"].astype(float)}),
            TypeError,
            r"5\.bias must be float32, got float64",
        ),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, error, message):
    net = network()
    net.build((4, 6, 5))
    state = {name: array + 1 for name, array in net.state_dict().items()}
    before = net.state_dict()
    change(state)
    with pytest.raises(error, match=f"^load_state_dict: .*{message}"):
        net.load_state_dict(state)
    for name, array in net.state_dict().items():
        assert array.tobytes() == before[name].tobytes()


def test_a_prepared_network_uses_the_state_that_it_loads():
    net, other = (Sequential(Sequential(Conv2d(4, 3, 3, rng=seed))) for seed in (0, 1))
    x = batch(2, 4, 6, 5)
    net.prepare()
    net.load_state_dict(other.state_dict())
    assert net(x).tobytes() == other(x).tobytes()
