"""Every kernel for convolutions on a device, by name: each tile, each grid, columns in parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import convolt
from conv2d_cases import DTYPES, assert_same, assert_same_bits, make_case, normal
from convolt import functional, reference
from convolt.cuda import asarray
from strategies import Conv2dCase, conv2d_cases, conv2d_operands, exact_integers, seeds

pytestmark = pytest.mark.skipif(
    not convolt.cuda.is_available(), reason=f"no device: {convolt.cuda.unavailable_reason()}"
)

# What computes: kernels, tile, most blocks of a grid, bytes of columns at a time.
WAYS = [
    ("implicit_gemm", 0, 1, 1 << 26),
    ("implicit_gemm", 1, 3, 1 << 26),
    ("implicit_gemm", 2, 2, 1 << 26),
    ("columns", -1, 1 << 20, 1),
    ("columns", -1, 2, 2048),
    ("direct", -1, 1, 1 << 26),
]


@pytest.fixture(params=WAYS, ids=lambda way: "-".join(map(str, way)))
def way(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Have all calls computed in one way."""
    from convolt import _cuda

    kernels, tile, blocks, scratch = request.param
    _cuda.set_kernels(kernels)
    _cuda.set_tile_shape(tile)
    _cuda.set_most_blocks(blocks)
    _cuda.set_column_scratch(scratch)
    yield request.param
    _cuda.set_kernels("auto")
    _cuda.set_tile_shape(-1)
    _cuda.set_most_blocks(1 << 20)
    _cuda.set_column_scratch(1 << 26)


for_way = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@for_way
@given(conv2d_cases(), seeds, st.sampled_from([None, "relu"]))
def test_forward(way: Any, case: Conv2dCase, seed: int, activation: str | None) -> None:
    x, weight, bias, _ = conv2d_operands(case, seed)
    expected = reference.conv2d(x, weight, bias, activation=activation, **case.parameters)
    operands = (None if a is None else asarray(a) for a in (x, weight, bias))
    y = functional.conv2d(*operands, activation=activation, **case.parameters)
    assert_same(y.numpy(), expected)


@for_way
@given(conv2d_cases(), seeds)
def test_gradients(way: Any, case: Conv2dCase, seed: int) -> None:
    x, weight, _, dy = conv2d_operands(case, seed)
    expected = reference.conv2d_backward(dy, x, weight, **case.parameters)
    gradients = functional.conv2d_backward(*map(asarray, (dy, x, weight)), **case.parameters)
    for name, gradient in gradients._asdict().items():
        assert_same(gradient.numpy(), getattr(expected, name))


# Sums over pixels in several parts, and tiles of which there are several in each direction. What
# looks like a product of matrices, and is none.
LONG = {
    "many pixels": make_case((3, 3, 21, 22), (5, 3, 3, 3), padding=((1, 1), (1, 1))),
    "in groups": make_case((2, 4, 25, 23), (6, 2, 2, 3), groups=2),
    "many channels": make_case((1, 40, 6, 7), (150, 40, 1, 1)),
    "one tap, padded behind": make_case((2, 4, 5, 6), (3, 4, 1, 1), padding=((0, 1), (0, 2))),
    "many taps": make_case((2, 30, 9, 9), (9, 30, 3, 3), stride=(2, 2)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LONG)
def test_large_cases(way: Any, name: str, dtype: Any) -> None:
    case = LONG[name]
    rng = np.random.default_rng(1)
    x, weight = (exact_integers(rng, s, dtype) for s in (case.x_shape, case.weight_shape))
    y = reference.conv2d(x, weight, **case.parameters)
    dy = exact_integers(rng, y.shape, dtype)
    expected = reference.conv2d_backward(dy, x, weight, **case.parameters)
    on_device = [asarray(a) for a in (x, weight, dy)]
    assert_same(functional.conv2d(*on_device[:2], **case.parameters).numpy(), y)
    gradients = functional.conv2d_backward(
        on_device[2], on_device[0], on_device[1], **case.parameters
    )
    for gradient, right in zip(gradients, expected, strict=True):
        assert_same(gradient.numpy(), right)


@pytest.mark.parametrize("name", LONG)
def test_gemm_by_name_gives_an_image_the_same_bits_alone_and_in_a_batch(name: str) -> None:
    case = LONG[name]
    x, weight = normal(2, (3, *case.x_shape[1:]), case.weight_shape)
    parameters = {**case.parameters, "algorithm": "gemm"}
    together = functional.conv2d(asarray(x), asarray(weight), **parameters).numpy()
    for image, y in zip(x, together, strict=True):
        alone = functional.conv2d(asarray(image[np.newaxis]), asarray(weight), **parameters)
        assert_same_bits(alone.numpy()[0], y)


@pytest.mark.parametrize("name", LONG)
def test_the_same_bits_for_every_grid(name: str) -> None:
    from convolt import _cuda

    case = LONG[name]
    x, weight = normal(3, case.x_shape, case.weight_shape)
    (dy,) = normal(4, reference.conv2d(x, weight, **case.parameters).shape)
    operands = [asarray(a) for a in (dy, x, weight)]
    results = []
    for blocks in (1 << 20, 1, 3):
        _cuda.set_most_blocks(blocks)
        try:
            gradients = functional.conv2d_backward(*operands, **case.parameters)
            results.append([gradient.numpy() for gradient in gradients])
        finally:
            _cuda.set_most_blocks(1 << 20)
    for other in results[1:]:
        for first, again in zip(results[0], other, strict=True):
            assert_same_bits(again, first)
