"""What "auto" and "winograd" choose, told by the bits of the results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from conv2d_cases import normal
from convolt import PreparedConv2d, functional

ALGORITHMS = ("gemm", "winograd_2x2", "winograd_4x4")


def operands(
    batch: int, channels: int, out_channels: int, size: int, dtype: Any = np.float32
) -> tuple[Any, Any]:
    x, weight = normal(
        3, (batch, channels, size, size), (out_channels, channels, 3, 3), dtype=dtype
    )
    return x, weight


def forward(x: Any, weight: Any, algorithm: str | None) -> Any:
    return functional.conv2d(x, weight, padding=1, algorithm=algorithm)


def prepared(x: Any, weight: Any, algorithm: str | None) -> Any:
    return PreparedConv2d(weight, padding=1, algorithm=algorithm)(x)


def gradient(x: Any, weight: Any, algorithm: str | None) -> Any:
    dy = np.ascontiguousarray(x[:, :1]).repeat(len(weight), 1)
    return functional.conv2d_backward(
        dy, x, weight, padding=1, algorithm=algorithm, needs=["dx"]
    ).dx


def chosen(call: Any, x: Any, weight: Any, algorithm: str = "auto") -> list[str]:
    """Return the named algorithms with the bits of this one."""
    result = call(x, weight, algorithm).tobytes()
    return [name for name in ALGORITHMS if call(x, weight, name).tobytes() == result]


CALLS = pytest.mark.parametrize("call", [forward, prepared, gradient])


@CALLS
@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 64, 64, 56), "winograd_4x4"),
        ((2, 128, 96, 28), "winograd_4x4"),
        ((1, 16, 16, 2), "gemm"),  # a few pixels do not pay for the transforms
        ((8, 64, 64, 6), "winograd_2x2"),
        ((1, 7, 64, 40), "gemm"),
    ],
)
def test_auto(isa: str, call: Any, shape: tuple[int, int, int, int], expected: str) -> None:
    assert chosen(call, *operands(*shape)) == [expected]


@CALLS
def test_auto_of_float64_is_direct(isa: str, call: Any) -> None:
    assert chosen(call, *operands(1, 32, 32, 28, np.float64)) == ["gemm"]


def test_new_filters_cost_more_than_prepared_ones(isa: str) -> None:
    x, weight = operands(1, 256, 256, 6)
    assert chosen(forward, x, weight) == ["gemm"]
    assert chosen(prepared, x, weight) != ["gemm"]


@CALLS
@pytest.mark.parametrize("batch", [1, 40])
@pytest.mark.parametrize(
    ("size", "expected"),
    [(2, "winograd_2x2"), (4, "winograd_4x4"), (6, "winograd_2x2"), (7, "winograd_4x4")],
)
def test_winograd_takes_the_tile_with_fewer_products(
    call: Any, batch: int, size: int, expected: str
) -> None:
    x, weight = operands(batch, 9, 10, size)
    assert chosen(call, x, weight, "winograd") == [expected]


def gradient_of_filters(x: Any, weight: Any, algorithm: str | None) -> Any:
    rng = np.random.default_rng(4)
    dy = rng.standard_normal((len(x), len(weight), *x.shape[2:])).astype(x.dtype)
    return functional.conv2d_backward(
        dy, x, weight, padding=1, algorithm=algorithm, needs=["dweight"]
    ).dweight


@pytest.mark.parametrize(
    ("shape", "by_winograd"),
    [
        ((1, 64, 64, 28), True),
        ((4, 96, 80, 14), True),
        ((1, 64, 64, 11), False),  # a tap in a corner meets 100 of 121 pixels
        ((1, 64, 64, 12), True),  # and here 121 of 144
        ((8, 8, 16, 6), False),  # a few channels do not pay for the transforms
        ((1, 7, 64, 40), False),
    ],
)
def test_auto_of_the_gradient_of_filters(
    isa: str, shape: tuple[int, int, int, int], by_winograd: bool
) -> None:
    expected = ["winograd_4x4"] if by_winograd else ["gemm", "winograd_2x2"]
    assert chosen(gradient_of_filters, *operands(*shape)) == expected


def test_auto_of_the_gradient_of_filters_in_float64(isa: str) -> None:
    assert "gemm" in chosen(gradient_of_filters, *operands(1, 32, 32, 28, np.float64))
