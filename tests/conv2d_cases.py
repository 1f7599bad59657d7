"""Convolutions that lie where the engine changes course, and how results are compared."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings

from strategies import Conv2dCase, covered

DTYPES = [np.float32, np.float64]

DIRECT = ["auto", "gemm"]
"""Algorithms that add products of inputs and weights: exact integers stay exact in them. "auto" is
one of them for the parameters of a case, see `direct`."""

# The fixtures `isa` and `threads` hold for all examples of a test.
for_fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
thorough = settings(for_fixtures, max_examples=4 * for_fixtures.max_examples)


def assert_same(actual: Any, expected: Any) -> None:
    """Same dtype, shape and values."""
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    np.testing.assert_array_equal(actual, expected)


def assert_same_bits(actual: Any, expected: Any) -> None:
    assert_same(actual, expected)
    assert actual.tobytes() == expected.tobytes()


def normal(seed: int, *shapes: tuple[int, ...], dtype: Any = np.float32) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def direct(case: Conv2dCase, algorithm: str) -> dict[str, Any]:
    """Return the parameters of a case with one of DIRECT; "auto" where it is direct."""
    return case.parameters if algorithm == "auto" else {**case.parameters, "algorithm": algorithm}


def make_case(
    x_shape: Any,
    weight_shape: Any,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: Any = ((0, 0), (0, 0)),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    dtype: Any = np.float32,
) -> Conv2dCase:
    return Conv2dCase(
        x_shape, weight_shape, stride, padding, dilation, groups, bias=True, dtype=dtype
    )


def transposed_parameters(case: Conv2dCase) -> dict[str, Any]:
    """Return the arguments that lead back to the input, what the stride ignores included."""
    spans = (
        n + sum(sides) - covered(k, d)
        for n, sides, k, d in zip(
            case.x_shape[2:], case.padding, case.weight_shape[2:], case.dilation, strict=True
        )
    )
    ignored = tuple(span % s for span, s in zip(spans, case.stride, strict=True))
    return {**case.parameters, "output_padding": ignored}


def _sides(rows: int, columns: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (rows, rows), (columns, columns)


ONE, THREE = _sides(1, 1), _sides(3, 3)

CASES = {
    "reduction of 255": make_case((1, 255, 3, 5), (7, 255, 1, 1)),
    "reduction of 256": make_case((1, 256, 3, 5), (7, 256, 1, 1)),
    "reduction of 257": make_case((1, 257, 3, 5), (7, 257, 1, 1)),
    "reduction of 511": make_case((1, 73, 3, 9), (7, 73, 1, 7)),
    "reduction of 512": make_case((1, 128, 4, 5), (7, 128, 2, 2)),
    "reduction of 513": make_case((1, 57, 5, 6), (7, 57, 3, 3), padding=ONE),
    "reduction of 775": make_case((1, 31, 7, 9), (3, 31, 5, 5)),
    "several blocks of everything": make_case((1, 30, 35, 33), (241, 30, 3, 3), padding=ONE),
    "one tall block of output channels": make_case((1, 3, 4, 5), (241, 3, 2, 2)),
    "many input channels and few pixels": make_case((1, 130, 2, 2), (17, 130, 3, 3), padding=ONE),
    "one output channel": make_case((2, 5, 9, 9), (1, 5, 3, 3), padding=ONE),
    "one channel, one pixel": make_case((1, 1, 1, 1), (1, 1, 1, 1)),
    "wide rows": make_case((1, 2, 3, 1107), (7, 2, 2, 3), padding=ONE),
    "wider rows, strided": make_case((2, 1, 2, 2403), (3, 1, 2, 3), stride=(1, 2)),
    "wide plane of 1x1": make_case((2, 3, 2, 700), (5, 3, 1, 1)),
    "tall images": make_case((2, 2, 701, 1), (3, 2, 3, 1), padding=_sides(1, 0)),
    "tall and narrow": make_case((1, 3, 301, 3), (5, 3, 3, 3), padding=ONE),
    "1x1": make_case((3, 9, 7, 9), (13, 9, 1, 1)),
    "1x1, stride 2": make_case((3, 9, 7, 9), (13, 9, 1, 1), stride=(2, 2)),
    "1x1, padded": make_case((2, 4, 5, 6), (3, 4, 1, 1), padding=((1, 0), (2, 3))),
    "11x11, stride 4": make_case((1, 3, 35, 39), (16, 3, 11, 11), stride=(4, 4)),
    "7x7, stride 2": make_case((1, 3, 22, 23), (9, 3, 7, 7), stride=(2, 2), padding=THREE),
    "1x7": make_case((2, 5, 6, 17), (7, 5, 1, 7), padding=_sides(0, 3)),
    "7x1": make_case((2, 5, 17, 6), (7, 5, 7, 1), padding=_sides(3, 0)),
    "dilation beyond the image": make_case(
        (2, 3, 5, 6), (4, 3, 3, 3), padding=_sides(9, 9), dilation=(9, 9)
    ),
    "dilation and stride share a factor": make_case(
        (2, 3, 20, 21), (5, 3, 4, 3), stride=(4, 6), dilation=(6, 4), padding=_sides(5, 4)
    ),
    "stride and dilation alike": make_case(
        (1, 2, 17, 18), (3, 2, 3, 3), stride=(3, 3), dilation=(3, 3), padding=ONE
    ),
    "padding of the kernel": make_case((1, 3, 4, 5), (5, 3, 3, 3), padding=THREE),
    "padding beyond the kernel": make_case((2, 2, 3, 3), (3, 2, 2, 3), padding=_sides(5, 7)),
    "one side padded": make_case((1, 2, 4, 5), (3, 2, 3, 3), padding=((0, 4), (3, 0))),
    "kernel larger than the image": make_case((2, 2, 2, 3), (3, 2, 5, 5), padding=_sides(2, 1)),
    "stride beyond the kernel": make_case((2, 3, 13, 14), (5, 3, 2, 3), stride=(5, 4)),
    "stride beyond the image": make_case((2, 3, 4, 5), (5, 3, 2, 2), stride=(7, 9)),
    "ignored rows and columns": make_case((2, 3, 12, 13), (4, 3, 3, 3), stride=(4, 5)),
    "small maps, many images": make_case((40, 4, 7, 7), (9, 4, 3, 3), padding=ONE),
    "small maps, strided": make_case((40, 3, 7, 7), (9, 3, 3, 3), stride=(2, 2), padding=ONE),
    "single pixels, many images": make_case((300, 3, 1, 1), (9, 3, 1, 1)),
    "groups": make_case((2, 12, 7, 8), (21, 4, 3, 3), groups=3, padding=ONE),
    "groups, strided": make_case((2, 4, 9, 8), (30, 2, 3, 3), groups=2, stride=(2, 3)),
    "depthwise": make_case((2, 19, 9, 17), (19, 1, 3, 3), groups=19, padding=ONE),
    "depthwise, two filters each": make_case(
        (1, 5, 9, 9), (10, 1, 5, 5), groups=5, stride=(2, 2), padding=_sides(2, 2)
    ),
    "no image": make_case((0, 3, 5, 6), (4, 3, 3, 3)),
    "no output channel": make_case((2, 3, 5, 6), (0, 3, 3, 3)),
    "no channel": make_case((2, 0, 5, 6), (4, 0, 3, 3)),
    **{
        f"{columns} columns": make_case((1, 2, 1, columns), (3, 2, 1, 2), padding=((0, 0), (1, 0)))
        for columns in (119, 120, 121, 239, 240, 241, 255, 257, 479, 481, 511, 512, 513, 1025)
    },
    **{
        f"{rows * columns} columns in {rows} rows": make_case(
            (1, 1, rows, columns), (2, 1, 2, 2), padding=((0, 1), (1, 0))
        )
        for rows, columns in ((16, 15), (31, 33), (32, 32), (23, 45))
    },
    **{
        f"{channels} output channels": make_case((1, 2, 3, 11), (channels, 2, 2, 2))
        for channels in (5, 6, 7, 8, 9, 13, 14, 15, 28, 29)
    },
}  # fmt: skip

# Each does enough work for seven threads.
LARGE = {
    "3x3": make_case((2, 40, 40, 40), (24, 40, 3, 3), padding=ONE),
    "3x3, stride 2": make_case((3, 28, 41, 41), (36, 28, 3, 3), stride=(2, 2), padding=ONE),
    "1x1": make_case((2, 64, 32, 32), (64, 64, 1, 1)),
    "few pixels, many channels": make_case((1, 256, 3, 3), (256, 256, 3, 3), padding=ONE),
    "wide rows": make_case((1, 4, 4, 5000), (8, 4, 3, 3), padding=ONE),
    "groups": make_case((4, 32, 28, 28), (48, 8, 3, 3), groups=4, padding=ONE),
    "depthwise": make_case((4, 64, 48, 48), (64, 1, 3, 3), groups=64, padding=ONE),
}
