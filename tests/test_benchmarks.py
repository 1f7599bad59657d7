"""The benchmarks: the shapes are what they claim, and a wrong result never gets to be timed."""

from __future__ import annotations

import json

import numpy as np
import pytest

import convolt
import run
from contestants.numpy_convolution import NumPyConvolution
from convolt import reference
from problem import PASSES, Problem, expectation
from shapes import CONVOLUTIONS, POOLS, Conv2dShape

CONV_LAYERS = [shape for net in CONVOLUTIONS.values() for shape in net]
POOL_LAYERS = [shape for net in POOLS.values() for shape in net]

AWKWARD = Conv2dShape(
    "awkward", 1, 4, 6, (11, 9), (5, 7), (3, 2), (2, 1), ((2, 1), (0, 0)), (2, 2), 2
)
SQUARE = Conv2dShape("square", 1, 3, 2, (8, 8), (8, 8), (3, 3), (1, 1), ((1, 1), (1, 1)))
POINTWISE = Conv2dShape("pointwise", 1, 4, 3, (17, 17), (17, 17), (1, 1), (1, 1), ((0, 0), (0, 0)))
SMALL_LAYERS = [AWKWARD, SQUARE, POINTWISE]


@pytest.mark.parametrize("shape", CONV_LAYERS, ids=lambda shape: shape.name)
def test_padding_gives_the_listed_output_size(shape):
    size = convolt.conv_output_size(
        shape.input_size, shape.kernel_size, shape.stride, shape.padding, shape.dilation
    )
    assert size == shape.output_size


@pytest.mark.parametrize("shape", POOL_LAYERS, ids=lambda shape: shape.name)
def test_padding_gives_the_listed_pool_output_size(shape):
    size = convolt.pool_output_size(
        shape.input_size, shape.kernel_size, shape.stride, shape.padding
    )
    assert size == shape.output_size


def test_networks_have_their_known_size():
    # Multiply-adds with the padding counted, as the papers give them: VGG-19 19.6 G with its linear
    # layers (He et al. 2015); AlexNet's convolutions 666 M.
    def multiply_adds(net):
        return sum(
            shape.count * np.prod(shape.weight_shape) * np.prod(shape.output_size)
            for shape in CONVOLUTIONS[net]
        )

    assert multiply_adds("vgg19") / 1e9 == pytest.approx(19.5, abs=0.05)
    assert multiply_adds("alexnet") / 1e6 == pytest.approx(665.8, abs=0.1)


@pytest.mark.parametrize("shape", SMALL_LAYERS, ids=lambda shape: shape.name)
def test_flops_count_every_tap(shape):
    # Of ones convolved with ones, padded with ones, each output is its number of products.
    padding = Problem(shape, 1, "float64", "forward").arguments()
    (top, bottom), (left, right) = padding.pop("padding")
    height, width = shape.input_size
    x = np.ones((1, shape.in_channels, height + top + bottom, width + left + right))
    y = reference.conv2d(x, np.ones(shape.weight_shape), **padding)
    assert shape.flops == 2 * y.sum()


@pytest.mark.parametrize("direction", PASSES)
@pytest.mark.parametrize("shape", SMALL_LAYERS, ids=lambda shape: shape.name)
def test_numpy_contestant_equals_reference(shape, direction):
    problem = Problem(shape, 4, "float64", direction)
    x, weight, dy = (
        np.rint(8 * array)
        for array in (problem.images(), problem.weight(), problem.output_gradients())
    )
    arguments = problem.arguments()
    rival = NumPyConvolution(problem)
    if direction == "forward":
        result, expected = rival.forward(x, weight), reference.conv2d(x, weight, **arguments)
    else:
        gradients = reference.conv2d_backward(dy, x, weight, **arguments)
        if direction == "backward_data":
            result, expected = rival.backward_data(dy, weight), gradients.dx
        else:
            result, expected = rival.backward_weights(dy, x), gradients.dweight
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("direction", PASSES)
def test_check_refuses_a_wrong_result(direction):
    problem = Problem(AWKWARD, 3, "float32", direction)
    expected = expectation(problem)
    right = [value.astype(np.float32) for value in expected.values]
    expected.check(right, "right")

    wrong = [value.copy() for value in right]
    wrong[-1].flat[-1] += 1e-3
    with pytest.raises(ArithmeticError, match="wrong: wrong result"):
        expected.check(wrong, "wrong")
    wrong[-1].flat[-1] = np.nan
    with pytest.raises(ArithmeticError, match="wrong: wrong result"):
        expected.check(wrong, "wrong")
    with pytest.raises(ArithmeticError, match="short: shape"):
        expected.check([value[:-1] for value in right], "short")


def test_run_prints_the_table_and_writes_the_numbers(tmp_path, capsys):
    path = tmp_path / "result.json"
    run.main(["--net", "lenet", "--layer", "conv2", "--rounds", "1", "--json", str(path)])
    printed = capsys.readouterr().out
    assert "lenet:conv2" in printed
    assert "geometric mean" in printed
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["settings"]["threads"] == 1
    (result,) = document["results"]
    assert {"convolt", "numpy"} <= set(result["seconds"])
    assert result["best_rival"] == "numpy"
    assert result["gflops"]["convolt"] > 0
