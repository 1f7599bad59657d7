"""Training on a device: the same course as on the CPU, and what has to cross the bus for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convolt
from convolt.cuda import Array, asarray
from convolt.data import Dataset
from convolt.layers import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
)
from convolt.optim import SGD, AdaGrad, Adam, Optimizer, cosine
from convolt.training import EarlyStopping, evaluate, fit
from cuda_device import needs_device
from training_models import few_digits

pytestmark = [needs_device, pytest.mark.usefixtures("numpy_on_the_cpu")]

OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {
    "SGD": lambda: SGD(0.05),
    "momentum": lambda: SGD(0.05, 0.9, 1e-4),
    "AdaGrad": lambda: AdaGrad(0.05),
    "Adam": lambda: Adam(0.005),
}


def net(dtype: Any = np.float64) -> Sequential:
    # A bias in front of the normalization would have no gradient but rounding, which Adam enlarges.
    rng = np.random.default_rng(0)
    return Sequential(
        Conv2d(1, 6, 3, padding=1, bias=False, needs_dx=False, dtype=dtype, rng=rng),
        BatchNorm2d(6, dtype=dtype),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Dropout(0.2, rng=rng),
        Linear(None, 10, dtype=dtype, rng=rng),
    )


def digits(dtype: Any = np.float64) -> Dataset:
    data = few_digits()
    return Dataset(
        data.train_images.astype(dtype),
        data.train_labels,
        data.test_images.astype(dtype),
        data.test_labels,
    )


def same_state(one: Layer, other: Layer) -> None:
    expected = other.state_dict()
    for name, array in one.state_dict().items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_course_of_a_training(name: str) -> None:
    histories, models = [], []
    for device in ("cpu", "cuda"):
        model = net().to(device)
        optimizer = OPTIMIZERS[name]()
        schedule = cosine(optimizer.lr, epochs=3)
        histories.append(
            fit(model, digits(), optimizer, epochs=3, batch_size=32, schedule=schedule)
        )
        models.append(model)
    here, there = histories
    np.testing.assert_allclose(there.train_loss, here.train_loss, rtol=1e-9)
    np.testing.assert_allclose(there.test_loss, here.test_loss, rtol=1e-9)
    assert there.test_accuracy == here.test_accuracy
    assert here.train_loss[-1] < here.train_loss[0]
    assert all(type(array) is Array for array in models[1].parameters().values())
    expected = models[0].state_dict()
    for key, array in models[1].state_dict().items():
        np.testing.assert_allclose(array, expected[key], rtol=1e-7, atol=1e-9, err_msg=key)


def test_the_same_bits_from_run_to_run() -> None:
    models = [net(np.float32).to("cuda") for _ in range(2)]
    for model in models:
        fit(model, digits(np.float32), Adam(0.005), epochs=2, batch_size=32)
    same_state(*models)


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """The elements of each array that goes to the device or comes back."""
    cuda = convolt.cuda._load.module()
    made: dict[str, list[int]] = {"to device": [], "to host": []}
    from_host, to_host = cuda.from_host, Array.numpy

    def upload(array: Any, *device: int) -> Any:
        made["to device"].append(array.size)
        return from_host(array, *device)

    def download(self: Array) -> Any:
        made["to host"].append(self.size)
        return to_host(self)

    monkeypatch.setattr(cuda, "from_host", upload)
    monkeypatch.setattr(Array, "numpy", download)
    return made


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_is_copied_in_a_step(name: str, copies: dict[str, list[int]]) -> None:
    data, model = digits(np.float32), net(np.float32).to("cuda")
    optimizer = OPTIMIZERS[name]()
    options: dict[str, Any] = {"batch_size": 64, "epochs": 1}
    fit(model, data, optimizer, **options)
    before = model.parameters()
    for made in copies.values():
        made.clear()
    fit(model, data, optimizer, **options)
    assert all(array is before[key] for key, array in model.parameters().items())
    scores: list[int] = []
    expected: list[int] = [data.train_images[:1].size]
    for images, is_training in ((data.train_images, True), (data.test_images, False)):
        for start in range(0, len(images), 64 if is_training else 100):
            batch = images[start : start + (64 if is_training else 100)]
            expected.append(batch.size)
            scores.append(10 * len(batch))
            if is_training:
                kept = len(batch) * 6 * 4 * 4
                expected += [kept, 10 * len(batch)]  # the choice of the dropout, the gradient
    assert copies["to device"] == expected
    assert copies["to host"] == scores


def test_evaluate() -> None:
    data, model = digits(), net()
    fit(model, data, SGD(0.05), epochs=1)
    images, labels = data.test_images, data.test_labels
    here = evaluate(model, images, labels)
    there = evaluate(model.to("cuda"), images, labels, batch_size=17)
    assert there.accuracy == here.accuracy
    assert there.loss == pytest.approx(here.loss, rel=1e-12)


class Difference:
    """A loss of somebody's own, in NumPy."""

    def forward(self, x: Any, t: Any) -> float:
        assert type(x) is np.ndarray
        self.difference = x - np.eye(10)[t]
        return float((self.difference**2).sum() / len(x))

    def backward(self) -> Any:
        return 2 * self.difference / len(self.difference)


def test_a_loss_of_one_s_own() -> None:
    losses = []
    for device in ("cpu", "cuda"):
        history = fit(net().to(device), digits(), SGD(0.01), epochs=2, loss=Difference())
        losses.append(history.train_loss)
    np.testing.assert_allclose(*losses, rtol=1e-9)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("devices", [("cuda", "cuda"), ("cuda", "cpu"), ("cpu", "cuda")])
def test_checkpoints(tmp_path: Path, devices: tuple[str, str], name: str) -> None:
    data, options = digits(np.float32), {"batch_size": 64, "checkpoint": tmp_path / "run.npz"}
    fit(net(np.float32).to(devices[0]), data, OPTIMIZERS[name](), epochs=2, **options)
    resumed = net(np.float32).to(devices[1])
    history = fit(resumed, data, OPTIMIZERS[name](), epochs=4, **options)
    assert history.epochs == 4
    assert resumed.device == ("cpu" if devices[1] == "cpu" else "cuda:0")
    if devices == ("cuda", "cuda"):
        whole = net(np.float32).to("cuda")
        fit(whole, data, OPTIMIZERS[name](), epochs=4, batch_size=64)
        same_state(resumed, whole)


def test_early_stopping_brings_the_best_back() -> None:
    data, model = digits(), net().to("cuda")
    stop = EarlyStopping(1, monitor="test_accuracy")
    history = fit(model, data, SGD(0.2, 0.9), epochs=6, early_stopping=stop)
    best = evaluate(model, data.test_images, data.test_labels)
    assert best.accuracy == max(history.test_accuracy)
    assert all(type(array) is Array for array in model.parameters().values())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_goes_along_with_its_model(name: str) -> None:
    x, t = few_digits().train_images[:8].astype(np.float64), np.arange(8)
    states = []
    for devices in (["cpu"] * 4, ["cpu", "cuda", "cuda", "cpu"]):
        model, optimizer = net(), OPTIMIZERS[name]()
        model.build(x.shape[1:])
        for device in devices:
            model.to(device)
            loss = SoftmaxCrossEntropy()
            loss(model(x if device == "cpu" else asarray(x)), t)
            model.backward(loss.backward())
            optimizer.update(model.parameters(), model.gradients())
            assert all(type(array) is np.ndarray for array in optimizer.state_dict().values())
        states.append({**model.state_dict(), **optimizer.state_dict()})
    for key, array in states[0].items():
        np.testing.assert_allclose(states[1][key], array, rtol=1e-9, atol=1e-12, err_msg=key)


def test_numpy_arrays_are_not_moved_behind_the_back() -> None:
    model = net().to("cuda")
    model.build((1, 8, 8))
    with pytest.raises(TypeError, match=r"convolt\.cuda\.asarray\(x\)"):
        model(few_digits().train_images[:2].astype(np.float64))
