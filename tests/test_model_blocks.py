"""Blocks of larger networks: what they compute, their shapes, and what a reduction saves."""

from __future__ import annotations

import numpy as np
import pytest

from convolt.functional import avg_pool2d, conv2d
from convolt.layers import Conv2d, Sequential
from convolt.models import count_multiplications, googlenet_stem, inception_module, vgg_block


def size(layer) -> int:
    return sum(array.size for array in layer.parameters().values())


@pytest.mark.parametrize("activation", ["relu", None])
def test_inception_module_concatenates_its_four_branches(activation):
    module = inception_module(3, activation=activation, rng=0, dtype=np.float64)
    x = np.random.default_rng(1).standard_normal((2, 3, 7, 6))

    def through(start: np.ndarray, *names: str) -> np.ndarray:
        for name in names:
            weight, bias = (module.parameters()[f"{name}.{kind}"] for kind in ("weight", "bias"))
            padding = weight.shape[2] // 2
            start = conv2d(start, weight, bias, padding=padding, activation=activation)
        return start

    for name, array in module.parameters().items():
        if name.endswith("bias"):
            array[...] = np.linspace(-1, 1, len(array))
    expected = np.concatenate(
        [
            through(x, "0"),
            through(x, "1.0", "1.1"),
            through(x, "2.0", "2.1", "2.2"),
            through(avg_pool2d(x, 3, stride=1, padding=1), "3.1"),
        ],
        axis=1,
    )
    y = module(x)
    assert y.shape == (2, 88, 7, 6)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    shapes = [module.parameters()[f"{name}.weight"].shape for name in ("1.1", "2.1", "2.2")]
    assert shapes == [(24, 16, 5, 5), (24, 16, 3, 3), (24, 24, 3, 3)]
    assert size(module) == 72 * 3 + 18_384


def test_counts_of_multiplications_are_those_of_googlenet():
    assert count_multiplications() == (120_422_400, 12_443_648)


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "kernel_size", "image", "between"),
    [(192, 32, 5, (28, 28), 16), (7, 5, 3, (6, 9), 2)],
)
def test_counts_of_multiplications_are_those_of_the_layers(
    in_channels, out_channels, kernel_size, image, between
):
    def layer(channels, kernel, outputs):
        return Conv2d(channels, outputs, kernel, padding="same", rng=0)

    shape = (in_channels, *image)
    direct = layer(in_channels, kernel_size, out_channels)
    reduced = Sequential(layer(in_channels, 1, between), layer(between, kernel_size, out_channels))
    counts = count_multiplications(
        in_channels, out_channels, kernel_size, size=image, reduced_channels=between
    )
    assert (2 * counts.direct, 2 * counts.reduced) == (direct.flops(shape), reduced.flops(shape))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_channels": 0}, "in_channels must be .* got 0"),
        ({"out_channels": 1.5}, "out_channels must be .* got 1.5"),
        ({"kernel_size": -1}, "kernel_size must be .* got -1"),
        ({"size": (0, 4)}, "size must be .* got 0"),
        ({"reduced_channels": 0}, "reduced_channels must be .* got 0"),
    ],
)
def test_counts_of_multiplications_refuse(arguments, message):
    with pytest.raises((ValueError, TypeError), match=f"count_multiplications: {message}"):
        count_multiplications(**arguments)


@pytest.mark.parametrize("convs", [1, 2, 4])
def test_vgg_block(convs):
    block = vgg_block(3, 8, convs, rng=0)
    assert len(block.layers) == convs + 1
    assert block.output_shape((3, 32, 20)) == (8, 16, 10)
    assert size(block) == 9 * 8 * (3 + (convs - 1) * 8) + convs * 8
    x = np.random.default_rng(1).standard_normal((2, 3, 8, 6), dtype=np.float32)
    y = block(x)
    assert y.shape == (2, 8, 4, 3)
    assert (y >= 0).all()
    assert block.backward(y).shape == x.shape
    first = vgg_block(3, 8, convs, rng=0, needs_dx=False)
    assert first.backward(first(x)) is None


def test_vgg_block_refuses():
    with pytest.raises(ValueError, match=r"vgg_block: convs must be .* got 0"):
        vgg_block(3, 8, 0)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda **options: vgg_block(8, 8, 2, **options), ("0.weight", "1.weight")),
        (lambda **options: inception_module(8, **options), ("0.weight", "1.0.weight")),
    ],
    ids=["vgg", "inception"],
)
def test_a_seed_draws_different_weights_for_each_layer_of_a_block(make, names):
    first, second = (make(rng=0).parameters()[name] for name in names)
    assert (first != second).all()
    np.testing.assert_array_equal(second, make(rng=0).parameters()[names[1]])


def test_googlenet_stem():
    stem = googlenet_stem(rng=0)
    assert stem.output_shape((3, 224, 224)) == (192, 28, 28)
    assert size(stem) == 124_416
    x = np.random.default_rng(1).standard_normal((1, 3, 64, 48), dtype=np.float32)
    y = stem(x)
    assert y.shape == (1, 192, 8, 6)
    assert stem.backward(y) is None
    inside = googlenet_stem(5, rng=0, needs_dx=True)
    x = np.random.default_rng(1).standard_normal((1, 5, 32, 32), dtype=np.float32)
    assert inside.backward(inside(x)).shape == x.shape
