"""The gradient of x by products for all taps, folded: where it is cut, and its promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convolt
from convolt import functional, reference

# x, weight, stride, padding, dilation, groups. A block is 768 pixels of dy and 640 KiB of columns.
CASES = {
    "images, the last block with fewer": ((23, 3, 14, 14), (8, 3, 5, 5), 1, 0, 1, 1),
    "rows of an image": ((2, 3, 70, 61), (9, 3, 3, 3), 1, 1, 1, 1),
    "rows of an image with a stride": ((1, 4, 117, 90), (8, 4, 5, 3), (2, 1), 2, 1, 1),
    "channels, the last block with fewer": ((1, 101, 30, 31), (17, 101, 3, 3), 2, 1, 1, 1),
    "groups": ((3, 14, 23, 21), (24, 7, 3, 3), 2, 1, 1, 2),
    "taps that leave out pixels": ((2, 5, 33, 36), (8, 5, 2, 2), 3, 0, 1, 1),
    "dilation": ((2, 3, 40, 37), (8, 3, 3, 3), 2, 3, (3, 2), 1),
    "dilation beyond the image": ((1, 2, 1, 3), (8, 2, 1, 2), 1, ((0, 1), (0, 0)), (1, 2), 1),
    "windows in the padding": ((1, 2, 3, 4), (8, 2, 2, 2), 1, 4, 1, 1),
    "a long row": ((1, 2, 5, 512), (8, 2, 3, 3), 1, 1, 1, 1),
    "a row too long": ((1, 2, 5, 515), (8, 2, 3, 3), 1, 1, 1, 1),
}


def operands(name: str, dtype: Any, seed: int = 0) -> tuple[list[np.ndarray], dict[str, Any]]:
    x_shape, weight_shape, stride, padding, dilation, groups = CASES[name]
    window = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, x_shape).astype(dtype)
    weight = rng.integers(-2, 3, weight_shape).astype(dtype)
    dy = rng.integers(-2, 3, functional.conv2d(x, weight, **window).shape).astype(dtype)
    return [dy, x, weight], {**window, "needs": ("dx",)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_integers_are_exact(isa: str, name: str, dtype: Any) -> None:
    arrays, parameters = operands(name, dtype)
    expected = reference.conv2d_backward(*arrays, **parameters).dx
    for algorithm in ("auto", "gemm"):
        dx = functional.conv2d_backward(*arrays, algorithm=algorithm, **parameters).dx
        np.testing.assert_array_equal(dx, expected)


@pytest.mark.parametrize("name", CASES)
def test_same_bits_for_threads_and_for_an_image_alone(threads: int, name: str) -> None:
    (dy, x, weight), parameters = operands(name, np.float32)
    dy += np.random.default_rng(1).random(dy.shape, np.float32)
    with convolt.num_threads(1):
        expected = functional.conv2d_backward(dy, x, weight, algorithm="gemm", **parameters).dx
    dx = functional.conv2d_backward(dy, x, weight, algorithm="gemm", **parameters).dx
    assert dx.tobytes() == expected.tobytes()
    for n in range(len(x)):
        alone = functional.conv2d_backward(
            dy[n : n + 1], x[n : n + 1], weight, algorithm="gemm", **parameters
        )
        assert alone.dx.tobytes() == dx[n : n + 1].tobytes()


def test_nothing_but_real_windows_is_multiplied() -> None:
    """An infinite weight makes no NaN of the padding, for there is none."""
    weight = np.zeros((8, 1, 3, 3), np.float32)
    weight[:, :, 0, 0] = np.inf
    x, dy = np.zeros((1, 1, 4, 4), np.float32), np.ones((1, 8, 2, 2), np.float32)
    dx = functional.conv2d_backward(dy, x, weight, needs=("dx",)).dx
    expected = reference.conv2d_backward(dy, x, weight, needs=("dx",)).dx
    np.testing.assert_array_equal(dx, expected)
