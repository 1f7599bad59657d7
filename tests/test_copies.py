"""Copies and pickles of layers."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from convolt import functional
from convolt.layers import Conv2d, Dropout, Linear, Sequential
from layer_cases import BACKENDS, DOUBLE, EVERY_LAYER, image


def pickled(value):
    return pickle.loads(pickle.dumps(value))


COPIES = pytest.mark.parametrize("duplicate", [copy.deepcopy, pickled])


@COPIES
@BACKENDS
@EVERY_LAYER
def test_a_copy_does_the_same_on_its_own(make_layer, backend, duplicate):
    layer = make_layer(backend)
    layer.prepare()
    y = layer(image())
    other = duplicate(layer)
    dx = layer.backward(y.copy())
    assert other.backward(y.copy()).tobytes() == dx.tobytes()
    for name, array in layer.parameters().items():
        assert not np.shares_memory(array, other.parameters()[name])
        assert other.gradients()[name].tobytes() == layer.gradients()[name].tobytes()
        array[:] = np.nan
    assert other(image()).tobytes() == y.tobytes()
    assert getattr(other, "backend", None) is getattr(layer, "backend", None)


@EVERY_LAYER
def test_a_shallow_copy_shares_the_parameters(make_layer):
    layer = make_layer(functional)
    y = layer(image())
    other = copy.copy(layer)
    assert type(other) is type(layer)
    assert other(image()).tobytes() == y.tobytes()
    for name, array in layer.parameters().items():
        assert other.parameters()[name] is array


@COPIES
def test_a_copy_has_random_states_of_its_own(duplicate):
    layer = Sequential(Dropout(rng=3), Sequential(Dropout(rng=4)))
    other = duplicate(layer)
    assert other.random_state() == layer.random_state()
    y = layer(image())
    assert other.random_state() != layer.random_state()
    assert other(image()).tobytes() == y.tobytes()


@COPIES
def test_a_copy_of_a_layer_to_be_built_can_be_built(duplicate):
    layer = Sequential(Linear(None, 3, **DOUBLE))
    other = duplicate(layer)
    x = image().reshape(2, -1)
    assert other(x).tobytes() == layer(x).tobytes()


@COPIES
def test_a_copy_of_a_prepared_layer_is_prepared(duplicate):
    layer = Conv2d(4, 3, 3, activation="relu", **DOUBLE)
    y = layer(image())
    layer.prepare()
    layer.weight[:] = 0
    assert duplicate(layer)(image()).tobytes() == y.tobytes()
