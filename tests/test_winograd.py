"""Winograd convolution: its geometry, with operands of which F(2x2, 3x3) is exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convolt
from conv2d_cases import (
    DTYPES,
    assert_same,
    assert_same_bits,
    for_fixtures,
    make_case,
    transposed_parameters,
)
from convolt import functional, reference
from memory_layouts import LAYOUTS, layouts
from strategies import Conv2dCase, seeds, winograd_cases
from winograd_model import (
    ALGORITHMS,
    CASES,
    EVERY_METHOD,
    TILES,
    assert_gradient_within,
    assert_within,
    exact_operands,
    magnitude,
    transposed,
    with_filters,
)

activations = st.sampled_from([None, "relu"])


def assert_result(actual: Any, expected: Any, operands: Any, case: Conv2dCase, name: str) -> None:
    """Check a result of exact operands: equal for F(2x2, 3x3), else within a certain bound."""
    x, weight, bias, padding = operands
    if (name, *weight.shape[2:]) == ("winograd_2x2", 3, 3):
        assert_same(actual, expected)
        return
    size = magnitude(x, weight, padding, TILES[name], case.groups)
    if bias is not None:
        size += abs(bias)[:, np.newaxis, np.newaxis]
    assert actual.dtype == expected.dtype
    assert_within(actual, expected, size, weight, certain=True)


def assert_gradient(
    actual: Any, expected: Any, dy: Any, x: Any, case: Conv2dCase, name: str
) -> None:
    """Check dweight of exact operands: equal by the direct sum, else within a certain bound."""
    if (name, *case.weight_shape[2:]) == ("winograd_2x2", 3, 3):
        assert_same(actual, expected)
        return
    assert actual.dtype == expected.dtype
    assert_gradient_within(actual, expected, dy, x, case, certain=True)


def check(case: Conv2dCase, seed: int, dtype: Any, name: str, activation: str | None) -> None:
    """Compare y, the gradients and the transposed convolution with the reference."""
    x, weight, bias, dy = exact_operands(case, seed, dtype)
    parameters = {**case.parameters, "algorithm": name}
    y = functional.conv2d(x, weight, bias, activation=activation, **parameters)
    expected = reference.conv2d(x, weight, bias, activation=activation, **parameters)
    assert_result(y, expected, (x, weight, bias, case.padding), case, name)

    turned, padding = transposed(weight, case.padding, case.groups)
    expected = reference.conv2d_backward(dy, x, weight, **parameters)
    gradients = functional.conv2d_backward(dy, x, weight, **parameters)
    assert gradients.dx is not None
    assert_result(gradients.dx, expected.dx, (dy, turned, None, padding), case, name)
    assert_gradient(gradients.dweight, expected.dweight, dy, x, case, name)
    assert_same(gradients.dbias, expected.dbias)

    shift = np.arange(case.x_shape[1]).astype(dtype)
    parameters = {**transposed_parameters(case), "algorithm": name}
    y = functional.conv_transpose2d(dy, weight, shift, **parameters)
    expected = reference.conv_transpose2d(dy, weight, shift, **parameters)
    assert_result(y, expected, (dy, turned, shift, padding), case, name)


@EVERY_METHOD
@for_fixtures
@given(winograd_cases(), seeds, activations)
def test_random_cases(
    isa: str, algorithm: str, taps: int, case: Conv2dCase, seed: int, activation: str | None
) -> None:
    check(with_filters(case, taps), seed, case.dtype, algorithm, activation)


@EVERY_METHOD
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_fixed_cases(isa: str, name: str, dtype: Any, algorithm: str, taps: int) -> None:
    case = with_filters(CASES[name], taps)
    check(case, 1, dtype, algorithm, "relu" if len(name) % 2 else None)


@pytest.mark.parametrize("name", CASES)
def test_the_shape_of_an_image_chooses_the_tile(isa: str, name: str) -> None:
    case = CASES[name]
    x, weight, bias, _ = exact_operands(case, 1, np.float32)
    results = []
    for algorithm in ALGORITHMS:
        parameters = {**case.parameters, "algorithm": algorithm}
        results.append(functional.conv2d(x, weight / 3, bias, **parameters).tobytes())
    assert results[0] in results[1:]


@EVERY_METHOD
def test_every_tap_meets_every_pixel(isa: str, algorithm: str, taps: int) -> None:
    """A single pixel and a single tap make one output: the others stay as small as rounding."""
    size, batch = 9, 9 * 9
    x = np.eye(batch, dtype=np.float32).reshape(batch, 1, size, size)
    weight = np.eye(taps**2, dtype=np.float32).reshape(taps**2, 1, taps, taps)
    y = functional.conv2d(x, weight, padding=1, algorithm=algorithm)
    expected = reference.conv2d(x, weight, padding=1)
    exact = (algorithm, taps) == ("winograd_2x2", 3)
    np.testing.assert_allclose(y, expected, rtol=0, atol=0 if exact else 1e-6)


# --- arguments ----------------------------------------------------------------------------------

CASE = make_case((2, 6, 11, 13), (10, 3, 3, 3), padding=((2, 1), (0, 3)), groups=2)


@pytest.mark.parametrize("algorithm", TILES)
@pytest.mark.parametrize("argument", [0, 1, 2], ids=["x", "weight", "bias"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_does_not_matter(layout: str, argument: int, algorithm: str) -> None:
    arrays = [array / 3 for array in exact_operands(CASE, 2)[:3]]
    parameters = {**CASE.parameters, "algorithm": algorithm}
    expected = functional.conv2d(*arrays, **parameters)
    arrays[argument] = LAYOUTS[layout](arrays[argument])
    before = arrays[argument].tobytes()
    assert_same_bits(functional.conv2d(*arrays, **parameters), expected)
    assert arrays[argument].tobytes() == before


@pytest.mark.parametrize("algorithm", TILES)
@given(layouts)
def test_layout_of_dy_does_not_matter(algorithm: str, layout: str) -> None:
    x, weight, _, dy = (array / 3 for array in exact_operands(CASE, 2))
    parameters = {**CASE.parameters, "algorithm": algorithm, "needs": ["dx"]}
    expected = functional.conv2d_backward(dy, x, weight, **parameters)
    actual = functional.conv2d_backward(LAYOUTS[layout](dy), x, weight, **parameters)
    assert_same_bits(actual.dx, expected.dx)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_out(isa: str, algorithm: str) -> None:
    """What `out` held before does not matter."""
    x, weight, bias, _ = (array / 3 for array in exact_operands(CASE, 3))
    parameters = {**CASE.parameters, "algorithm": algorithm}
    out = np.full(CASE.y_shape, np.nan, np.float32)
    assert functional.conv2d(x, weight, bias, **parameters, out=out) is out
    assert_same_bits(out, functional.conv2d(x, weight, bias, **parameters))


@pytest.mark.parametrize("activation", [None, "relu"])
@EVERY_METHOD
@pytest.mark.parametrize("name", CASES)
def test_prepared_weights(
    isa: str, name: str, algorithm: str, taps: int, activation: str | None
) -> None:
    case = with_filters(CASES[name], taps)
    x, weight, bias, _ = (array / 3 for array in exact_operands(case, 4))
    parameters = {**case.parameters, "algorithm": algorithm, "activation": activation}
    prepared = functional.PreparedConv2d(weight, bias, **parameters)
    expected = functional.conv2d(x, weight, bias, **parameters)
    for _ in range(2):
        assert_same_bits(prepared(x), expected)


def test_prepared_for_images_of_many_sizes() -> None:
    """The size of an image may choose another tile for the same weight."""
    weight, bias = (array / 3 for array in exact_operands(CASE, 5)[1:3])
    parameters: dict[str, Any] = {"padding": 1, "groups": 2, "algorithm": "winograd"}
    prepared = functional.PreparedConv2d(weight, bias, **parameters)
    for size in (1, 40, 2, 7, 1, 64, 3):
        x = np.random.default_rng(size).standard_normal((2, 6, size, size + 1), np.float32)
        assert_same_bits(prepared(x), functional.conv2d(x, weight, bias, **parameters))


def test_prepared_for_instruction_sets_in_turn() -> None:
    x, weight, bias, _ = (array / 3 for array in exact_operands(CASE, 6))
    parameters = {**CASE.parameters, "algorithm": "winograd_4x4"}
    prepared = functional.PreparedConv2d(weight, bias, **parameters)
    try:
        for isa in 2 * convolt.build_info()["isas_supported"]:
            convolt.set_isa(isa)
            assert_same_bits(prepared(x), functional.conv2d(x, weight, bias, **parameters))
    finally:
        convolt.set_isa(None)
