"""Batch normalization by the engine: against the definition, for every ISA and thread count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convolt
from convolt import functional, reference

SHAPES = [(2, 3, 5, 7), (1, 2, 1, 9), (5, 4, 1, 1), (3, 2, 16, 17), (2, 1, 70, 67), (40, 3, 2, 2)]


def operands(shape: tuple[int, ...], dtype: Any = np.float32) -> list[np.ndarray]:
    rng = np.random.default_rng(sum(shape))
    images = (rng.standard_normal(shape) * 3 + 5 for _ in range(2))
    channels = (rng.standard_normal(shape[1]) for _ in range(2))
    return [array.astype(dtype) for array in (*images, *channels)]


def both_passes(operators: Any, dy: Any, x: Any, weight: Any, bias: Any) -> list[np.ndarray]:
    y, mean, var = operators.batch_norm2d(x, weight, bias)
    gradients = operators.batch_norm2d_backward(dy, x, weight, mean, var)
    fixed = operators.batch_norm2d_backward(dy, x, weight, mean, var, training=False)
    return [y, mean, var, *gradients, *fixed]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_results_of_the_definition(isa: str, shape: tuple[int, ...], dtype: Any) -> None:
    """Each result within some roundings of its terms: thousands of units where they cancel."""
    arrays = operands(shape, dtype)
    exact = both_passes(reference, *(array.astype(np.longdouble).astype(float) for array in arrays))
    for found, expected in zip(both_passes(functional, *arrays), exact, strict=True):
        assert found.dtype == dtype
        size = max(float(abs(expected).max()), float(abs(arrays[0]).max()))
        elements = arrays[0][:, 0].size
        limit = (16 + np.sqrt(elements)) * np.finfo(dtype).eps * size * 8
        np.testing.assert_allclose(found, expected, rtol=0, atol=limit)


@pytest.mark.parametrize("shape", [(8, 6, 61, 67), (64, 32, 7, 7)])
def test_same_bits_for_any_number_of_threads(threads: int, shape: tuple[int, ...]) -> None:
    arrays = operands(shape)
    with convolt.num_threads(1):
        expected = both_passes(functional, *arrays)
    for found, wanted in zip(both_passes(functional, *arrays), expected, strict=True):
        assert found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize(
    "view",
    [
        np.asfortranarray,
        lambda a: a[..., ::-1][..., ::-1],
        lambda a: a.astype(a.dtype.newbyteorder()),
        lambda a: np.repeat(a, 2, axis=0)[::2],
    ],
)
def test_any_layout_gives_the_same_bits_and_stays_as_it_was(view: Any) -> None:
    arrays = operands((3, 4, 6, 5))
    given = [view(array) for array in arrays]
    for array in given:
        array.flags.writeable = False
    expected = both_passes(functional, *arrays)
    for found, wanted in zip(both_passes(functional, *given), expected, strict=True):
        assert found.tobytes() == wanted.tobytes()
    for array, original in zip(given, arrays, strict=True):
        np.testing.assert_array_equal(array, original)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_bad_value_stays_in_its_channel(value: float) -> None:
    dy, x, weight, bias = operands((2, 3, 4, 5))
    x[1, 1, 2, 2] = value
    found, expected = (both_passes(o, dy, x, weight, bias) for o in (functional, reference))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        clean = a if a.ndim == 1 else a.swapaxes(0, 1)
        assert np.isfinite(clean[[0, 2]]).all()


def test_an_empty_batch() -> None:
    x = np.zeros((0, 3, 4, 5), np.float32)
    y, mean, var = functional.batch_norm2d(x)
    gradients = functional.batch_norm2d_backward(x, x, None, mean, var)
    assert y.shape == gradients.dx.shape == x.shape
    for array in (mean, var, gradients.dweight, gradients.dbias):
        np.testing.assert_array_equal(array, np.zeros(3, np.float32))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.zeros((2, 3, 4))}, "x "),
        ({"x": np.zeros((2, 3, 4, 5), int)}, "x must be float32 or float64, got int64"),
        ({"weight": np.zeros(4)}, r"weight must have shape \(C,\) = \(3,\), got \(4,\)"),
        ({"bias": np.zeros(3, np.float32)}, "bias must be float64 as the other operand is"),
        ({"mean": np.zeros(3)}, "mean and var must come together, got mean alone"),
        ({"eps": 0}, "eps must be a positive number, got 0"),
        ({"x": np.zeros((1, 3, 1, 1))}, "x must have more than one value in each channel"),
    ],
)
def test_bad_arguments(changes: dict[str, Any], message: str) -> None:
    arguments = {"x": np.zeros((2, 3, 4, 5)), **changes}
    errors = []
    for operators in (functional, reference):
        with pytest.raises((TypeError, ValueError), match=message) as caught:
            operators.batch_norm2d(**arguments)
        errors.append((caught.type, str(caught.value)))
    assert errors[0] == errors[1]
