"""The table of a model: what it counts, how it looks, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import convolt
from convolt.layers import (
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Parallel,
    ReLU,
    Sequential,
)


class Net(Sequential):
    """An Inception module in a model of its own class."""

    def __init__(self) -> None:
        super().__init__(
            Conv2d(1, 8, 3, padding="same"),
            BatchNorm2d(8),
            Parallel(Conv2d(8, 4, 1), Sequential(MaxPool2d(3, 1, 1), Conv2d(8, 1200, 1))),
            *(Flatten(), Linear(None, 10, bias=False)),
        )


def test_the_table_is_indented_and_aligned():
    lines = str(convolt.summary(Net(), (1, 8, 6))).split("\n")
    assert lines == [
        "Net for an input of (1, 8, 6)",
        "",
        "layer                output shape  parameters  MFLOPs",
        "-----------------------------------------------------",
        "0 Conv2d             (8, 8, 6)             80    0.01",
        "1 BatchNorm2d        (8, 8, 6)             16",
        "2 Parallel           (1204, 8, 6)",
        "  2.0 Conv2d         (4, 8, 6)             36    0.00",
        "  2.1 Sequential     (1200, 8, 6)",
        "    2.1.0 MaxPool2d  (8, 8, 6)",
        "    2.1.1 Conv2d     (1200, 8, 6)      10,800    0.92",
        "3 Flatten            (57792,)",
        "4 Linear             (10,)            577,920    1.16",
        "-----------------------------------------------------",
        "total                                 588,852    2.09",
    ]


def test_the_numbers_are_those_of_the_model():
    net = Net()
    result = convolt.summary(net, (1, 8, 6))
    assert result.parameters == sum(array.size for array in net.parameters().values())
    assert result.flops == net.flops((1, 8, 6)) == sum(layer.flops for layer in result.layers)
    assert (result.input_shape, result.output_shape) == ((1, 8, 6), (10,))
    parallel = result.layers[2]
    assert (parallel.name, parallel.kind) == ("2", "Parallel")
    assert [child.name for child in parallel.children] == ["2.0", "2.1"]
    assert parallel.parameters == 36 + 10_800
    assert parallel.children[1].children[1].name == "2.1.1"
    assert parallel.children[1].children[1].output_shape == (1200, 8, 6)
    assert repr(result) == str(result)
    x = np.zeros((2, 1, 8, 6), np.float32)
    for layer, line in zip(net.layers, result.layers, strict=True):
        x = layer(x)
        assert x.shape[1:] == line.output_shape


def test_a_layer_alone_is_its_own_line():
    result = convolt.summary(Conv2d(3, 6, 16), [3, 227, 227])
    assert result.parameters == 4614
    assert str(result).split("\n")[4] == "Conv2d  (6, 212, 212)       4,614  414.20"
    assert [line.kind for line in result.layers] == ["Conv2d"]
    assert convolt.summary(ReLU(), (5,)).parameters == 0


def test_a_model_is_built():
    model = Sequential(Flatten(), Linear(None, 3))
    assert convolt.summary(model, (2, 3, 4)).parameters == 75
    assert model.parameters()["1.weight"].shape == (24, 3)


@pytest.mark.parametrize(
    ("model", "shape", "error", "message"),
    [
        (
            Sequential(ReLU(), Parallel(ReLU(), Sequential(ReLU(), Conv2d(3, 4, 5)))),
            (3, 4, 9),
            ValueError,
            r"^1\.1\.1 \(Conv2d\): kernel_size must fit into the padded input, got a kernel that "
            "covers 5 and a padded input of 4$",
        ),
        (Linear(3, 2), (4,), ValueError, r"^Linear: input must have shape \(3,\), got \(4,\)$"),
        (ReLU(), (3, 0, 4), ValueError, "^summary: input_shape must hold sizes of at least 1, got"),
        (ReLU(), 784, TypeError, "^summary: input_shape must be ints, .* got 784$"),
        (ReLU(), (), TypeError, r"^summary: input_shape must be ints, .* got \(\)$"),
        (ReLU(), (3, 4.0, 4), TypeError, r"^summary: input_shape must be ints, .* got \(3, 4.0"),
        (ReLU, (3, 4, 4), TypeError, "^summary: model must be a layer, got type$"),
        ([ReLU()], (3, 4, 4), TypeError, "^summary: model must be a layer, got list$"),
    ],
)
def test_refusals(model, shape, error, message):
    with pytest.raises(error, match=message):
        convolt.summary(model, shape)
