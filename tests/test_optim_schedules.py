"""Learning rates over the epochs."""

from __future__ import annotations

import numpy as np
import pytest

from convolt.optim import constant, cosine, step


def test_constant():
    assert [constant(0.3)(progress) for progress in (0, 0.5, 100)] == [0.3] * 3


def test_cosine_falls_in_half_a_wave_and_stays():
    rate = cosine(0.4, epochs=6)
    assert rate(0) == 0.4
    np.testing.assert_allclose([rate(2), rate(3), rate(4)], [0.3, 0.2, 0.1])
    assert rate(6) == rate(6.5) == rate(100) == 0


def test_step_falls_at_whole_multiples():
    rate = step(8.0, every=2, gamma=0.5)
    assert [rate(p) for p in (0, 1.99, 2, 3.99, 4, 7)] == [8, 8, 4, 4, 2, 1]
    assert step(1.0, every=0.5)(0.75) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: constant(0), "constant: lr must be a positive number, got 0"),
        (lambda: cosine(-1, 2), "cosine: lr must be a positive number, got -1"),
        (lambda: cosine(1, 0), "cosine: epochs must be a positive number, got 0"),
        (lambda: step(float("inf"), 2), "step: lr must be a positive number, got inf"),
        (lambda: step(1, 0), "step: every must be a positive number, got 0"),
        (lambda: step(1, 2, gamma=0), "step: gamma must be a positive number, got 0"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
