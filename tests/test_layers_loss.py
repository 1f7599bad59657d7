"""The loss: its definition, its gradient, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from convolt.layers import SoftmaxCrossEntropy
from gradcheck import numerical_gradient

LABELS = np.array([2, 0, 1, 2])


def scores() -> np.ndarray:
    return np.random.default_rng(5).standard_normal((4, 3))


def test_cross_entropy_is_its_definition():
    softmax = np.exp(scores()) / np.exp(scores()).sum(axis=1, keepdims=True)
    expected = -np.log(softmax[range(4), LABELS]).mean()
    assert SoftmaxCrossEntropy()(scores(), LABELS) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("t", [LABELS, np.eye(3)[LABELS], LABELS.astype(np.uint8)])
def test_cross_entropy_gradient_is_that_of_central_differences(t):
    loss, x = SoftmaxCrossEntropy(), scores()
    loss(x, t)
    dx = loss.backward()
    expected = numerical_gradient(lambda: loss(x, t), x)
    np.testing.assert_allclose(dx, expected, rtol=1e-6, atol=1e-9)
    loss(x, t)
    np.testing.assert_allclose(loss.backward(3.0), 3 * dx, rtol=1e-12)


def test_cross_entropy_of_huge_scores_is_finite():
    loss = SoftmaxCrossEntropy()
    x = np.array([[1e4, 0, -np.inf], [-1e4, 1e4, 0]])
    assert loss(x, np.array([0, 0])) == pytest.approx(1e4)
    np.testing.assert_allclose(loss.backward(), [[0, 0, 0], [-0.5, 0.5, 0]])


def test_cross_entropy_of_an_empty_batch_is_zero():
    loss = SoftmaxCrossEntropy()
    assert loss(np.zeros((0, 3)), np.zeros(0, int)) == 0
    assert loss.backward().shape == (0, 3)


@pytest.mark.parametrize(
    ("x", "t", "error", "message"),
    [
        (scores()[0], LABELS, ValueError, r"x must have shape \(N, classes\), got \(3,\)"),
        (scores(), LABELS[:3], ValueError, r"t must have shape \(4,\) or \(4, 3\), got \(3,\)"),
        (scores(), LABELS + 1, ValueError, "labels from 0 to 2, got 1 to 3"),
        (scores(), LABELS - 1, ValueError, "labels from 0 to 2, got -1 to 1"),
        (scores(), LABELS * 1.0, TypeError, "integer labels, got float64"),
        (scores(), np.full((4, 3), 1 / 3), ValueError, "t must be one-hot"),
        (scores(), np.ones((4, 3)), ValueError, "t must be one-hot"),
    ],
)
def test_cross_entropy_refuses_what_is_no_label(x, t, error, message):
    with pytest.raises(error, match=f"SoftmaxCrossEntropy: .*{message}"):
        SoftmaxCrossEntropy()(x, t)


def test_cross_entropy_backward_before_forward_is_refused():
    with pytest.raises(RuntimeError, match=r"SoftmaxCrossEntropy\.backward: forward must be"):
        SoftmaxCrossEntropy().backward()
