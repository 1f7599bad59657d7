"""The benchmarks: the shapes are what they claim, and a wrong result never gets to be timed."""

from __future__ import annotations

import importlib
import math
import os
import sys
from dataclasses import replace

import numpy as np
import pytest

import convolt
import run
import worker
from contestants import RIVALS
from contestants.numpy_convolution import NumPyConvolution
from convolt import reference
from problem import PASSES, Problem, expectation
from results import LayerResult, read_json
from shapes import CONVOLUTIONS, POOLS, Conv2dShape

CONV_LAYERS = [shape for net in CONVOLUTIONS.values() for shape in net]
POOL_LAYERS = [shape for net in POOLS.values() for shape in net]

AWKWARD = Conv2dShape(
    "awkward", 1, 4, 6, (11, 9), (5, 7), (3, 2), (2, 1), ((2, 1), (0, 0)), (2, 2), 2
)
NO_PADDING = ((0, 0), (0, 0))
SQUARE = Conv2dShape("square", 1, 3, 2, (8, 8), (8, 8), (3, 3), (1, 1), ((1, 1), (1, 1)))
POINTWISE = Conv2dShape("pointwise", 1, 4, 3, (17, 17), (17, 17), (1, 1), (1, 1), NO_PADDING)
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


@pytest.mark.parametrize("shape", CONV_LAYERS, ids=lambda shape: shape.name)
def test_symmetric_padding_gives_the_listed_output_size(shape):
    size = convolt.conv_output_size(
        shape.input_size, shape.kernel_size, shape.stride, shape.symmetric_padding, shape.dilation
    )
    assert size == shape.output_size


def test_symmetric_padding_gives_the_same_values():
    padding = ((1, 0), (1, 0))
    shape = Conv2dShape("strided", 1, 2, 3, (8, 8), (4, 4), (3, 3), (2, 2), padding)
    problem = Problem(shape, 1, "float64", "forward")
    x, weight = problem.images(), problem.weight()
    symmetric = reference.conv2d(x, weight, stride=2, padding=shape.symmetric_padding)
    np.testing.assert_array_equal(symmetric, reference.conv2d(x, weight, stride=2, padding=padding))
    assert AWKWARD.symmetric_padding is None


def test_kinds_of_layers():
    kinds = {net: {shape.kind for shape in CONVOLUTIONS[net]} for net in CONVOLUTIONS}
    assert kinds["vgg19"] == {"3x3 stride 1"}
    assert kinds["lenet"] == {"other"}
    assert kinds["mobilenet"] == {"depthwise", "other"}
    multiplied = Conv2dShape("twice", 1, 4, 8, (9, 9), (7, 7), (3, 3), (1, 1), NO_PADDING, groups=4)
    assert multiplied.kind == "depthwise"
    assert replace(multiplied, groups=2).kind == "3x3 stride 1"
    assert replace(multiplied, groups=1, stride=(1, 2)).kind == "other"


def layer_result(seconds, **others):
    return LayerResult(
        {name: [value] for name, value in seconds.items()}, "lenet", "conv1", 10**9, [1.0], **others
    )


def test_ratio_compares_like_for_like():
    # Seconds of a GFLOP. A rival meets us with prepared weights if it prepares its own.
    seconds = {"convolt": 4.0, "convolt-prepared": 2.0}
    result = layer_result(seconds | {"numpy": 8.0, "torch": 6.0, "onnxruntime": 2.5})
    assert result.ratios == {"numpy": 2.0, "torch": 1.5, "onnxruntime": 1.25}
    assert (result.best_rival, result.ratio) == ("onnxruntime", 1.25)
    assert result.share_of_peak(result.ours) == 0.5

    unprepared = layer_result({"convolt": 4.0, "torch": 6.0, "openvino": 2.0})
    assert unprepared.ratios == {"torch": 1.5, "openvino": 0.5}

    unlimited = layer_result(
        seconds | {"torch": 6.0, "onnxruntime": 1.0}, not_limited=["onnxruntime"]
    )
    assert (unlimited.best_rival, unlimited.ratio) == ("torch", 1.5)

    alone = layer_result({"convolt": 1.0})
    assert (alone.best_rival, alone.ratio) == (None, None)


def test_median_and_spread_are_those_of_the_rounds():
    result = LayerResult({"convolt": [3.0, 1.0, 2.0, 4.0, 10.0]}, "n", "l", 6 * 10**9, [3.0, 4.0])
    assert result.gflops("convolt") == 2.0
    assert result.spread("convolt") == pytest.approx(1 / 3)
    assert result.share_of_peak("convolt") == 0.5


FAKES = """
from contestants import Unsupported
from contestants.numpy_blas import NumPy

class Right(NumPy):
    isa_variables = ("FAKE_ISA",)

class Wrong(NumPy):
    def as_array(self, result):
        result.flat[0] += 1e-3
        return result

class Unable(NumPy):
    isa_variables = ()
    def prepare(self, problem):
        raise Unsupported("too hard")

class Missing(NumPy):
    def __init__(self, threads):
        import a_library_that_nobody_has
"""


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    """Fake rivals under the names of their classes, importable in the processes too."""
    (tmp_path / "fake_rivals.py").write_text(FAKES, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    module = importlib.import_module("fake_rivals")
    for name in ("Right", "Wrong", "Unable", "Missing"):
        monkeypatch.setitem(RIVALS, name.lower(), getattr(module, name))
    yield
    del sys.modules["fake_rivals"]


def test_run_prints_the_table_and_writes_the_numbers(tmp_path, capsys):
    path = tmp_path / "result.json"
    run.main(["--net", "lenet", "--layer", "conv2", "--rounds", "1", "--json", str(path)])
    printed = capsys.readouterr().out
    assert "lenet:conv2" in printed
    assert "geometric mean" in printed
    document = read_json(path)
    assert document["settings"]["threads"] == 1
    assert document["contestants"]["convolt"]["isa_selected"]
    (result,) = document["results"]
    assert {"convolt", "numpy"} <= set(result.seconds)
    assert result.best_rival == "numpy"
    assert result.share_of_peak("convolt") > 0


@pytest.mark.usefixtures("fakes")
def test_who_cannot_take_part_is_left_out_with_a_reason(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(worker.ISA_LIMITS, "low", {"FAKE_ISA": "1"})
    path = tmp_path / "result.json"
    arguments = ["--net", "lenet", "--rounds", "1", "--rivals", "right,unable,missing"]
    run.main([*arguments, "--isa", "low", "--json", str(path)])
    printed = capsys.readouterr().out
    assert printed.count("unable is left out: too hard") == 1
    assert printed.count("missing is left out: not installed: ") == 1
    assert "unable cannot be limited to low" in printed
    assert "right cannot be limited" not in printed
    document = read_json(path)
    assert "unable is left out: too hard" in document["left_out"]
    for result in document["results"]:
        assert "right" in result.seconds
        assert not {"unable", "missing"} & set(result.seconds)
        assert result.best_rival == "right"


@pytest.mark.usefixtures("fakes")
def test_a_wrong_rival_ends_the_run():
    with pytest.raises(ArithmeticError, match="wrong, conv2: wrong result"):
        run.main(["--net", "lenet", "--layer", "conv2", "--rivals", "wrong"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rivals", "numpy,nobody"], "--rivals must be among .*, got nobody"),
        (["--layer", "nothing"], "no layer of resnet50 has 'nothing' in its name"),
    ],
)
def test_run_refuses_unknown_names(arguments, message):
    with pytest.raises(SystemExit, match=message):
        run.main(arguments)


@pytest.mark.parametrize("count", ["0", "-1", "1.5", "x"])
def test_run_refuses_a_wrong_count(count, capsys):
    with pytest.raises(SystemExit):
        run.main(["--threads", count])
    assert f"must be an integer of at least 1, got {count}" in capsys.readouterr().err


class Clock:
    """A process whose threads are busy, all the time, until a moment."""

    def __init__(self, busy_until):
        self.now, self.busy_until = 0.0, busy_until

    def replace_that_of(self, module, monkeypatch):
        for name in ("sleep", "perf_counter", "process_time"):
            monkeypatch.setattr(module, name, getattr(self, name))

    def sleep(self, seconds):
        self.now += seconds

    def perf_counter(self):
        return self.now

    def process_time(self):
        return min(self.now, self.busy_until)


@pytest.mark.parametrize("busy_until", [0.0, 0.123])
def test_an_answer_waits_for_idle_threads(monkeypatch, busy_until):
    clock = Clock(busy_until)
    clock.replace_that_of(worker, monkeypatch)
    worker.wait_until_idle()
    assert busy_until < clock.now < busy_until + 0.05


def test_threads_that_never_rest_end_the_run(monkeypatch):
    clock = Clock(math.inf)
    clock.replace_that_of(worker, monkeypatch)
    with pytest.raises(RuntimeError, match="threads are still busy 10 s after the last call"):
        worker.wait_until_idle()
