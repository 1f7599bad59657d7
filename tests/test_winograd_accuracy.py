"""The script that measures the accuracy of Winograd convolution."""

from __future__ import annotations

import numpy as np
import pytest

import winograd_accuracy
from convolt import reference
from convolt.data import Dataset, load_digits
from shapes import Conv2dShape
from strategies import exact_integers
from winograd_accuracy import ALGORITHMS, DATA, direct_sums, errors, main, running_sums

SHAPE = Conv2dShape("small", 1, 20, 3, (9, 8), (9, 8), (3, 3), (1, 1), ((1, 1), (1, 1)))


def test_sums_are_the_convolution():
    rng = np.random.default_rng(0)
    x, weight = (exact_integers(rng, s, np.float32) for s in ((2, 3, 5, 6), (4, 3, 3, 3)))
    expected = reference.conv2d(x, weight, padding=1)
    for sums in direct_sums, running_sums:
        np.testing.assert_array_equal(sums(x, weight), expected)


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_errors_are_those_of_rounding(dtype, kind):
    measured = errors(SHAPE, kind, dtype)
    assert list(measured) == ["running sum", *ALGORITHMS]
    for rms, largest in measured.values():
        assert 0.01 < rms < largest < 200


def test_tables(monkeypatch, capsys):
    monkeypatch.setattr(winograd_accuracy, "SMALL_LAYERS", [("net", SHAPE)])
    main(["--small"])
    main(["--small", "--markdown"])
    lines = capsys.readouterr().out.splitlines()
    assert sum("net small" in line for line in lines) == 4 * len(DATA)
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1


def test_training(monkeypatch, capsys):
    def few() -> Dataset:
        return Dataset(*(array[:40] for array in load_digits()))

    monkeypatch.setattr(winograd_accuracy, "training_data", lambda: ("forty digits", few()))
    main(["--train", "--epochs", "2", "--filters", "3"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-3:]] == list(ALGORITHMS)
