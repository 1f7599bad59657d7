"""The optimizers against their formulas, written out step by step."""

from __future__ import annotations

import numpy as np
import pytest

from convolt.optim import SGD, AdaGrad, Adam

GRADIENTS = np.random.default_rng(0).standard_normal((5, 2, 3))


def updated(optimizer, dtype=np.float64) -> np.ndarray:
    """Return a parameter after five updates."""
    params = {"w": np.ones((2, 3), dtype), "b": np.zeros(1, dtype)}
    w = params["w"]
    for gradient in GRADIENTS.astype(dtype):
        optimizer.update(params, {"b": np.zeros(1, dtype), "w": gradient})
    assert params["w"] is w
    assert w.dtype == dtype
    assert params["b"] == 0
    return w


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_its_formula(momentum):
    w, v = np.ones((2, 3)), np.zeros((2, 3))
    for gradient in GRADIENTS:
        v = momentum * v - 0.1 * gradient
        w = w + v
    np.testing.assert_allclose(updated(SGD(0.1, momentum)), w, rtol=1e-13)


def test_adam_is_its_formula():
    # A large eps, so that a mistake in how the corrections scale it shows.
    lr, (beta1, beta2), eps = 0.1, (0.8, 0.95), 0.3
    w, m, v = np.ones((2, 3)), np.zeros((2, 3)), np.zeros((2, 3))
    for t, gradient in enumerate(GRADIENTS, 1):
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
        w = w - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
    np.testing.assert_allclose(updated(Adam(lr, (beta1, beta2), eps)), w, rtol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_weight_decay_is_a_part_of_the_gradient(momentum):
    w, v = np.ones((2, 3)), np.zeros((2, 3))
    for gradient in GRADIENTS:
        v = momentum * v - 0.1 * (gradient + 0.3 * w)
        w = w + v
    np.testing.assert_allclose(updated(SGD(0.1, momentum, 0.3)), w, rtol=1e-13)


def test_adagrad_is_its_formula():
    w, h = np.ones((2, 3)), np.zeros((2, 3))
    for gradient in GRADIENTS:
        h = h + gradient**2
        w = w - 0.1 * gradient / (np.sqrt(h) + 0.3)
    np.testing.assert_allclose(updated(AdaGrad(0.1, eps=0.3)), w, rtol=1e-12)


def test_the_first_step_of_adam_is_lr_whatever_the_scale():
    params = {"w": np.zeros(3)}
    Adam(lr=0.01).update(params, {"w": np.array([1e-3, -5.0, 1e6])})
    np.testing.assert_allclose(params["w"], [-0.01, 0.01, -0.01], rtol=1e-4)


@pytest.mark.parametrize("make", [SGD, AdaGrad, Adam])
def test_float32_stays_float32_and_near_float64(make):
    np.testing.assert_allclose(updated(make(0.1), np.float32), updated(make(0.1)), rtol=1e-5)


@pytest.mark.parametrize("make", [SGD, AdaGrad, Adam])
def test_gradients_are_left_unchanged(make):
    gradient = np.ones(3)
    gradient.flags.writeable = False
    optimizer = make()
    for _ in range(2):
        optimizer.update({"w": np.zeros(3)}, {"w": gradient})
    assert (gradient == 1).all()


@pytest.mark.parametrize("make", [SGD, AdaGrad, Adam])
def test_a_changed_learning_rate_holds_from_the_next_update_on(make):
    optimizer, params = make(lr=1.0), {"w": np.zeros(1)}
    optimizer.lr = 0.5
    optimizer.update(params, {"w": np.ones(1)})
    assert params["w"] == pytest.approx(-0.5)


@pytest.mark.parametrize("make", [SGD, AdaGrad, Adam])
def test_other_names_are_refused_before_anything_changes(make):
    params = {"w": np.zeros(1), "b": np.zeros(1)}
    with pytest.raises(ValueError, match=r"update: grads must .* \['b', 'w'\], got \['w'\]"):
        make().update(params, {"w": np.ones(1)})
    assert params["w"] == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(lr=0), "SGD: lr must be a positive number, got 0"),
        (lambda: SGD(momentum=1), "SGD: momentum must be at least 0 and less than 1, got 1"),
        (lambda: SGD(weight_decay=-1), "SGD: weight_decay must be a number .* at least 0, got -1"),
        (lambda: AdaGrad(lr=-1), "AdaGrad: lr must be a positive number, got -1"),
        (lambda: AdaGrad(eps=0), "AdaGrad: eps must be a positive number, got 0"),
        (lambda: Adam(lr=float("nan")), "Adam: lr must be a positive number, got nan"),
        (lambda: Adam(betas=(0.9, 1.5)), r"Adam: betas\[1\] must be .* got 1\.5"),
        (lambda: Adam(eps=-1), "Adam: eps must be a positive number, got -1"),
    ],
)
def test_bad_hyperparameters_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --- the engine's pass over an array, and NumPy's -----------------------------------------------

OPTIMIZERS = {
    "SGD": lambda: SGD(0.1),
    "momentum": lambda: SGD(0.1, 0.9),
    "decay": lambda: SGD(0.1, 0.9, 0.01),
    "AdaGrad": lambda: AdaGrad(0.1),
    "Adam": lambda: Adam(0.1, (0.8, 0.95), 1e-3),
}


def three_updates(make, parameter, gradients):
    optimizer = make()
    for gradient in gradients:
        optimizer.update({"w": parameter}, {"w": gradient})
    return np.array(parameter, order="C")


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1,), (3, 5), (1, 67), (130, 301)])
def test_numpy_has_the_same_bits(isa, threads, make, dtype, shape):
    """It updates arrays that are not contiguous."""
    rng = np.random.default_rng(2)
    start, *gradients = rng.standard_normal((4, *shape)).astype(dtype)
    gradients[1][...] = 0
    apart = np.zeros((*shape, 2), dtype)[..., 0]
    apart[...] = start
    expected = three_updates(make, apart, gradients)
    actual = three_updates(make, np.array(start), gradients)
    assert actual.dtype == dtype
    assert actual.tobytes() == expected.tobytes()


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_gradient_that_does_not_fit(make):
    parameter = np.ones((2, 3))
    for gradient in (np.ones((3, 2)), np.ones(6)):
        with pytest.raises(ValueError, match="broadcast"):
            make().update({"w": parameter}, {"w": gradient})
    assert (parameter == 1).all()
    before = parameter.copy()
    make().update({"w": parameter}, {"w": np.ones(3, np.float32)})  # the same for every row
    assert (parameter < before).all()


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_parameter_that_may_not_be_written(make):
    parameter = np.ones(4)
    parameter.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        make().update({"w": parameter}, {"w": np.ones(4)})


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_gradient_in_the_memory_of_the_parameter(make):
    """As if it had been copied first."""
    memory = np.linspace(-1, 1, 40, dtype=np.float32)
    expected = three_updates(make, memory[10:].copy(), [memory[:30].copy()])
    optimizer = make()
    optimizer.update({"w": memory[10:]}, {"w": memory[:30]})
    np.testing.assert_array_equal(memory[10:], expected)
