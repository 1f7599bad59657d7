"""An optimizer goes on where another one stood."""

from __future__ import annotations

import numpy as np
import pytest

from convolt.optim import SGD, AdaGrad, Adam

MAKERS = {
    "SGD": lambda lr=0.1: SGD(lr, 0.9, 0.01),
    "AdaGrad": lambda lr=0.1: AdaGrad(lr, 1e-3),
    "Adam": lambda lr=0.1: Adam(lr, (0.8, 0.95), 1e-3),
}
EVERY_OPTIMIZER = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
FRESH = {"SGD": SGD, "AdaGrad": AdaGrad, "Adam": Adam}


def parameters() -> dict[str, np.ndarray]:
    return {"0.weight": np.ones((2, 3)), "1.a.b": np.linspace(0, 1, 4, dtype=np.float32)}


def train(optimizer, params, steps, seed=0) -> dict[str, bytes]:
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        grads = {name: rng.standard_normal(p.shape).astype(p.dtype) for name, p in params.items()}
        optimizer.update(params, grads)
    return {name: array.tobytes() for name, array in params.items()}


@pytest.mark.parametrize("name", MAKERS)
def test_the_state_is_all_that_the_next_updates_depend_on(name):
    """Settings included: the optimizer that takes over was made with other ones."""
    first, params = MAKERS[name](), parameters()
    train(first, params, 3)
    state = first.state_dict()
    copies = {key: array.copy() for key, array in params.items()}
    expected = train(first, params, 3, seed=1)
    second = FRESH[name]()
    second.load_state_dict(state)
    assert train(second, copies, 3, seed=1) == expected
    assert first.state_dict().keys() == state.keys()


@EVERY_OPTIMIZER
def test_a_state_is_a_copy_both_ways(make):
    optimizer, params = make(), parameters()
    train(optimizer, params, 2)
    state = optimizer.state_dict()
    frozen = {name: array.tobytes() for name, array in state.items()}
    other = make()
    other.load_state_dict(state)
    train(optimizer, params, 2)
    train(other, params, 2)
    assert {name: array.tobytes() for name, array in state.items()} == frozen


@EVERY_OPTIMIZER
def test_a_state_before_the_first_update(make):
    other = make(0.5)
    other.load_state_dict(make().state_dict())
    assert train(other, parameters(), 2) == train(make(), parameters(), 2)


def test_the_names_of_a_state():
    optimizer = Adam()
    train(optimizer, {"0.weight": np.ones(2)}, 4)
    state = optimizer.state_dict()
    assert sorted(state) == ["betas", "eps", "lr", "m.0.weight", "updates", "v.0.weight"]
    assert state["updates"] == 4
    assert state["lr"] == 0.001
    optimizer.load_state_dict(state)
    assert (optimizer.lr, optimizer.betas, optimizer.updates) == (0.001, (0.9, 0.999), 4)


def changed(state, remove=(), **extra):
    return {name: array for name, array in state.items() if name not in remove} | extra


@pytest.mark.parametrize(
    ("make", "remove", "extra"),
    [
        (SGD, ["lr"], {}),
        (SGD, [], {"speed.w": np.ones(1)}),
        (SGD, [], {"velocity": np.ones(1)}),
        (Adam, ["updates"], {}),
        (Adam, ["v.w"], {}),
        (Adam, ["m.w"], {}),
        (AdaGrad, [], {"momentum": np.ones(1)}),
    ],
)
def test_a_state_of_something_else_is_refused(make, remove, extra):
    optimizer = make()
    optimizer.update({"w": np.ones(1)}, {"w": np.ones(1)})
    state = changed(optimizer.state_dict(), remove, **extra)
    other = make(lr=7.0)
    expected = rf"{make.__name__}\.load_state_dict: state must have the names lr, .*, got "
    with pytest.raises(ValueError, match=expected):
        other.load_state_dict(state)
    assert other.state_dict().keys() == make().state_dict().keys()
    assert other.lr == 7.0
