"""Winograd convolution: the same bits, non-finite numbers, training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convolt
from conv2d_cases import assert_same_bits, make_case, normal
from convolt import functional, reference
from convolt.data import load_digits
from convolt.layers import SoftmaxCrossEntropy
from convolt.optim import Adam
from convolt.training import fit
from strategies import Conv2dCase
from winograd_accuracy import Net3x3
from winograd_model import METHODS, TILES, operands, same, with_filters

NAN, INF = np.nan, np.inf
SIDES = ((2, 1), (1, 3))

# --- the same bits ------------------------------------------------------------------------------

BATCHES = {
    "tiles of many images": same(13, 19, 7, 6, out_channels=21),
    "an image is several blocks": same(3, 70, 29, 30, out_channels=37),
    "blocks of channels": same(13, 300, 7, 6, out_channels=20),
    "groups": same(5, 24, 11, 12, out_channels=30, groups=3),
    "padded": make_case((4, 17, 9, 20), (18, 17, 3, 3), padding=SIDES),
}


def passes(case: Conv2dCase, arrays: list[Any], algorithm: str) -> list[Any]:
    """Return y and dx."""
    x, weight, bias, dy = arrays
    parameters = {**case.parameters, "algorithm": algorithm}
    y = functional.conv2d(x, weight, bias, activation="relu", **parameters)
    return [y, functional.conv2d_backward(dy, x, weight, **parameters, needs=["dx"]).dx]


NAMES = pytest.mark.parametrize(
    ("algorithm", "taps"), [("winograd", 3), ("winograd", 5), *METHODS.values()]
)


@NAMES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", BATCHES)
def test_an_image_alone_or_in_a_batch(
    isa: str, name: str, dtype: Any, algorithm: str, taps: int
) -> None:
    case = with_filters(BATCHES[name], taps)
    x, weight, bias, dy = operands(case, 1, dtype)
    together = passes(case, [x, weight, bias, dy], algorithm)
    for n in (0, 1, len(x) - 1):
        image = slice(n, n + 1)
        alone = passes(case, [x[image], weight, bias, dy[image]], algorithm)
        for one, many in zip(alone, together, strict=True):
            assert_same_bits(one, many[image])


LARGE = {
    "28x28": same(2, 48, 28, 28, out_channels=40),
    "many channels, few tiles": same(1, 200, 7, 7, out_channels=220),
    "small images": same(64, 16, 4, 4, out_channels=64),
    "wide": same(1, 16, 9, 400, out_channels=24),
    "groups": same(2, 64, 20, 21, out_channels=64, groups=4),
    "strips": same(3, 96, 40, 41, out_channels=24),
    "strips in groups": same(2, 160, 36, 41, out_channels=10, groups=2),
}


@NAMES
@pytest.mark.parametrize("name", LARGE)
def test_any_number_of_threads(
    isa: str, threads: int, name: str, algorithm: str, taps: int
) -> None:
    case = with_filters(LARGE[name], taps)
    arrays = operands(case, 2, np.float32)
    shared = passes(case, arrays, algorithm)
    parameters = {**case.parameters, "activation": "relu", "algorithm": algorithm}
    prepared = functional.PreparedConv2d(*arrays[1:3], **parameters)
    assert_same_bits(prepared(arrays[0]), shared[0])
    with convolt.num_threads(1):
        for one, many in zip(passes(case, arrays, algorithm), shared, strict=True):
            assert_same_bits(one, many)


# --- non-finite numbers -------------------------------------------------------------------------


def touched(case: Conv2dCase, row: int, column: int, taps: int, tile: int) -> tuple[Any, Any]:
    """Return which outputs have a pixel in their window, and which in their tile's window."""
    windows, tiles = [], []
    for at, outputs, (before, _) in zip((row, column), case.output_size, case.padding, strict=True):
        offset = at + before - np.arange(outputs)
        windows.append((offset >= 0) & (offset < taps))
        offset = at + before - np.arange(outputs) // tile * tile
        tiles.append((offset >= 0) & (offset < tile + taps - 1))
    return np.logical_and.outer(*windows), np.logical_and.outer(*tiles)


@pytest.mark.parametrize(("algorithm", "taps"), [("gemm", 3), *METHODS.values()])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("at", [(0, 0), (4, 10), (6, 17), (8, 19)])
def test_non_finite_pixel(
    isa: str, at: tuple[int, int], value: float, algorithm: str, taps: int
) -> None:
    """It reaches every window that holds it; Winograd may spread it over the tiles of these."""
    case = with_filters(BATCHES["padded"], taps)
    x, weight, bias, _ = operands(case, 3, np.float32)
    weight[:, :, 1] = 0  # also where a tap is zero
    parameters = {**case.parameters, "algorithm": algorithm}
    clean = functional.conv2d(x, weight, bias, **parameters)
    x[2, 5][at] = value
    y = functional.conv2d(x, weight, bias, **parameters)
    windows, tiles = touched(case, *at, taps, TILES.get(algorithm, 1))
    assert not np.isfinite(y[2, :, windows]).any()
    y[2, :, tiles] = clean[2, :, tiles]
    assert_same_bits(y, clean)


@pytest.mark.parametrize("algorithm", TILES)
def test_nan_passes_a_relu(isa: str, algorithm: str) -> None:
    x, weight = normal(4, (1, 3, 6, 6), (4, 3, 3, 3))
    x[0, 1, 2, 2] = NAN
    y = functional.conv2d(x, weight, padding=1, activation="relu", algorithm=algorithm)
    assert np.isnan(y[:, :, 1:4, 1:4]).all()


@pytest.mark.parametrize("algorithm", TILES)
@pytest.mark.parametrize("value", [NAN, INF])
@pytest.mark.parametrize("tap", [(0, 0), (1, 1), (2, 1)])
def test_non_finite_tap(isa: str, tap: tuple[int, int], value: float, algorithm: str) -> None:
    """It reaches all outputs of its channel, whose windows hold at least padding."""
    case = BATCHES["padded"]
    x, weight, bias, _ = operands(case, 5, np.float32)
    parameters = {**case.parameters, "algorithm": algorithm}
    clean = functional.conv2d(x, weight, bias, **parameters)
    weight[(7, 3, *tap)] = value
    y = functional.conv2d(x, weight, bias, **parameters)
    assert not np.isfinite(y[:, 7]).any()
    y[:, 7] = clean[:, 7]
    assert_same_bits(y, clean)


# --- training -----------------------------------------------------------------------------------


class Recorder(SoftmaxCrossEntropy):
    """A loss that keeps its values."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def forward(self, x: Any, t: Any) -> float:
        self.values.append(super().forward(x, t))
        return self.values[-1]


def test_training_ends_at_the_same_accuracy() -> None:
    digits = load_digits()
    histories, losses = {}, {}
    for algorithm in ("gemm", *TILES):
        net, loss = Net3x3((1, 8, 8), filters=12, seed=0, algorithm=algorithm), Recorder()
        options = {"epochs": 4, "batch_size": 50, "loss": loss}
        histories[algorithm] = fit(net, digits, Adam(lr=0.003), **options)
        losses[algorithm] = loss.values[:10]
    expected = histories["gemm"]
    assert expected.test_accuracy[-1] >= 0.95
    for algorithm, history in histories.items():
        np.testing.assert_allclose(losses[algorithm], losses["gemm"], rtol=1e-3)
        # three of 360 images
        assert history.test_accuracy[-1] == pytest.approx(expected.test_accuracy[-1], abs=0.0084)


def test_reference_agrees_with_a_trained_layer() -> None:
    net = Net3x3((1, 8, 8), filters=12, seed=0, algorithm="winograd")
    digits = load_digits()
    fit(net, digits, Adam(lr=0.003), epochs=1, batch_size=50, seed=0)
    plain = Net3x3((1, 8, 8), filters=12, seed=0, algorithm=None, backend=reference)
    plain.load_state_dict(net.state_dict())
    x = digits.test_images[:20]
    np.testing.assert_allclose(net(x), plain(x), rtol=0, atol=1e-4)
