"""The comparison of trainings with PyTorch's: what needs no PyTorch, and a short one with it."""

from __future__ import annotations

import math

import numpy as np
import pytest

import agreement
from agreement import Comparison, batches, convolt_losses
from network_problem import build


def test_batches_are_different_pictures_of_digits():
    data = batches((3, 29, 30), "float32", steps=2, size=4)
    assert [x.shape for x, _ in data] == [(4, 3, 29, 30)] * 2
    assert {x.dtype.name for x, _ in data} == {"float32"}
    x, labels = data[0]
    assert (x != data[1][0]).all()
    assert labels.dtype.kind == "i"
    # A picture of 8 x 8 pixels, each 3 x 3 here, in the middle.
    middle = x[:, 0, 2 : 2 + 24, 3 : 3 + 24].reshape(4, 8, 3, 8, 3)
    assert np.std(middle, axis=(2, 4)).max() < 3 * agreement.NOISE
    assert abs(x[:, :, :2]).max() < 6 * agreement.NOISE
    again = batches((3, 29, 30), "float64", steps=1, size=4)[0][0]
    np.testing.assert_array_equal(again.astype(np.float32), x)


@pytest.mark.parametrize("optimizer", agreement.OPTIMIZERS)
def test_convolt_learns_while_it_is_compared(optimizer):
    model = build("mnist-cnn", seed=0)
    data = batches(model.input_shape, "float32", steps=30, size=16)
    losses = convolt_losses(model, optimizer, agreement.OPTIMIZERS[optimizer], data)
    assert len(losses) == 30
    assert np.mean(losses[-5:]) < 0.8 * losses[0]


@pytest.mark.parametrize(
    ("dtype", "other", "agrees"),
    [
        ("float32", 1.00009, True),
        ("float32", 1.00011, False),
        ("float64", 1 + 0.9e-9, True),
        ("float64", 1 + 1.1e-9, False),
        ("float64", math.nan, False),
    ],
)
def test_losses_that_are_apart_are_seen(dtype, other, agrees):
    theirs = [2.0, other, 1.0]
    comparison = Comparison("lenet5", "adam", dtype, [2.0, 1.0, 1.0], theirs, [1.5, other, 1.0])
    assert comparison.agrees is agrees
    assert comparison.rounding == 0.5 or math.isnan(other)
    assert ("too far" in comparison.row()) is not agrees


def test_the_command_fails_when_losses_are_apart(monkeypatch, capsys):
    def compare(net, optimizer, dtype, steps):
        theirs = [1.0 + (net == "lenet5")] * steps
        return Comparison(net, optimizer, dtype, [1.0] * steps, theirs, theirs)

    monkeypatch.setattr(agreement, "compare", compare)
    assert agreement.main(["--net", "mnist-cnn", "--dtype", "float64"]) == 0
    assert agreement.main(["--net", "lenet5", "mnist-cnn"]) == 1
    assert capsys.readouterr().out.count("**too far**") == 4


@pytest.mark.parametrize("optimizer", agreement.OPTIMIZERS)
@pytest.mark.parametrize("net", ["lenet5-1998", "mnist-inception", "fashion-net"])
def test_losses_are_those_of_pytorch(net, optimizer):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    comparison = agreement.compare(net, optimizer, "float64", steps=3)
    assert comparison.agrees, comparison.row()
