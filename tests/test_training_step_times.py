"""The timed step."""

from __future__ import annotations

import numpy as np
import pytest

from convolt import functional
from convolt.layers import Sequential
from convolt.optim import Adam
from convolt.training import StepTimes, benchmark_step
from training_models import few_digits, small_net


def batch() -> tuple[np.ndarray, np.ndarray]:
    digits = few_digits(10)
    return digits.train_images, digits.train_labels


def test_a_step_is_timed_on_both():
    times = benchmark_step(small_net, Adam, *batch(), repeats=2)
    assert times.convolt > 0
    assert times.reference > 0
    assert StepTimes(2.0, 7.0).ratio == 3.5


class Spy(Sequential):
    """A network that does something with its gradients."""

    def __init__(self, network: Sequential, on_gradients) -> None:
        super().__init__(*network.layers)
        self.on_gradients = on_gradients

    def gradients(self):
        return self.on_gradients(self, super().gradients())


def test_both_train_alike_and_in_turns():
    steps = []

    def note(model, gradients):
        steps.append(model)
        return gradients

    benchmark_step(lambda backend: Spy(small_net(backend), note), Adam, *batch(), repeats=3)
    ours, numpys = steps[:2]
    assert ours is not numpys
    assert steps == [ours, numpys] * 4
    for name, array in numpys.parameters().items():
        np.testing.assert_allclose(ours.parameters()[name], array, rtol=1e-3, atol=1e-3)
        assert not np.array_equal(array, small_net().parameters()[name])


@pytest.mark.parametrize("wrong", [1.1, np.nan])
def test_wrong_gradients_are_not_timed(wrong):
    def falsify(model, gradients):
        return gradients | {"0.weight": gradients["0.weight"] * wrong}

    def make(backend):
        network = small_net(backend)
        return Spy(network, falsify) if backend is functional else network

    with pytest.raises(RuntimeError, match=r"benchmark_step: the gradient of 0\.weight must agree"):
        benchmark_step(make, Adam, *batch())
