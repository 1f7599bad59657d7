"""The tools of the other tests hold what they promise."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given

import bounds
from convolt import reference
from memory_layouts import LAYOUTS
from strategies import (
    Conv2dCase,
    Pool2dCase,
    conv2d_cases,
    conv2d_operands,
    exact_integers,
    pool2d_cases,
    seeds,
)


@given(conv2d_cases(), seeds)
def test_convolutions_are_valid_and_exact(case: Conv2dCase, seed: int) -> None:
    x, weight, bias, dy = conv2d_operands(case, seed)
    assert reference.conv2d(x, weight, bias, **case.parameters).shape == case.y_shape
    magnitude = reference.conv2d(abs(x), abs(weight), **case.parameters)
    gradients = reference.conv2d_backward(abs(dy), abs(x), abs(weight), **case.parameters)
    for array in (magnitude, *gradients):
        assert array is not None
        assert array.max(initial=0) < 2**24


@given(pool2d_cases())
def test_poolings_are_valid(case: Pool2dCase) -> None:
    x = np.zeros(case.x_shape, case.dtype)
    assert reference.max_pool2d(x, **case.parameters).shape == case.y_shape


@pytest.mark.parametrize("terms", [1, 600, 10**6, 2**24 - 1])
def test_exact_integers(terms: int) -> None:
    values = exact_integers(np.random.default_rng(0), (1000,), np.float32, terms=terms)
    assert terms * float(np.abs(values).max()) ** 2 < 2**24
    assert np.all(values == np.rint(values))
    assert 0.2 < np.mean(values == 0) < 0.6


def test_exact_integers_refuse_endless_sums() -> None:
    with pytest.raises(ValueError, match=r"terms must be below 2\*\*24"):
        exact_integers(np.random.default_rng(0), (1,), np.float32, terms=2**24)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 1, 1), (0, 3, 4, 5), (7,), (6, 4)])
def test_layouts_keep_shape_and_values(name: str, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    relaid = LAYOUTS[name](array)
    assert not np.shares_memory(array, relaid)
    assert relaid.dtype.newbyteorder("=") == np.float32
    np.testing.assert_array_equal(relaid, array)
    assert relaid.shape == array.shape


def test_layouts_are_what_they_are_called() -> None:
    array = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    laid = {name: relay(array) for name, relay in LAYOUTS.items()}
    assert laid["fortran"].flags.f_contiguous
    assert laid["channels_last"].transpose(0, 2, 3, 1).flags.c_contiguous
    assert max(laid["reversed"].strides) < 0
    assert laid["stepped"].strides[-1] == 3 * array.itemsize
    assert not laid["misaligned"].flags.aligned
    assert not laid["byte_swapped"].dtype.isnative
    assert not laid["read_only"].flags.writeable
    assert LAYOUTS["zero_stride"](array[:1].repeat(2, axis=0)).strides[0] == 0


@given(conv2d_cases(), seeds)
def test_random_sums_stay_within_the_bound(case: Conv2dCase, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(case.x_shape).astype(np.float32)
    weight = rng.standard_normal(case.weight_shape).astype(np.float32)
    x64, weight64 = x.astype(np.float64), weight.astype(np.float64)
    error = reference.conv2d(x, weight, **case.parameters) - reference.conv2d(
        x64, weight64, **case.parameters
    )
    magnitude = reference.conv2d(abs(x64), abs(weight64), **case.parameters)
    terms = int(np.prod(case.weight_shape[1:]))
    assert np.all(abs(error) <= bounds.bound(magnitude, terms, np.float32))


def test_examples_of_the_bounds() -> None:
    assert doctest.testmod(bounds) == (0, 1)
