"""Copies and pickles of layers."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from convolt.layers import Conv2d
from test_layers import BACKENDS, DOUBLE, EVERY_LAYER, image


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


@COPIES
def test_a_copy_of_a_prepared_layer_is_prepared(duplicate):
    layer = Conv2d(4, 3, 3, activation="relu", **DOUBLE)
    y = layer(image())
    layer.prepare()
    layer.weight[:] = 0
    assert duplicate(layer)(image()).tobytes() == y.tobytes()
