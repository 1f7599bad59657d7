"""Layers and models on a device: the same numbers as on the CPU, and where everything is."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convolt
from convolt import functional
from convolt.cuda import Array, asarray
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
    load,
    save,
)
from convolt.models import FashionNet, LeNet5, MnistCNN, MnistInception, SimpleConvNet
from cuda_device import needs_device, needs_stand_in
from layer_cases import LAYERS

pytestmark = [needs_device, pytest.mark.usefixtures("numpy_on_the_cpu")]

# Of float64, through a few layers: different orders of the same sums.
CLOSE = {"rtol": 1e-11, "atol": 1e-11}


def images(dtype: Any = np.float64, shape: tuple[int, ...] = (2, 4, 6, 5)) -> np.ndarray:
    return np.random.default_rng(5).standard_normal(shape).astype(dtype)


def on_device(arrays: dict[str, Any]) -> bool:
    return all(type(array) is Array for array in arrays.values())


def agree(arrays: dict[str, Any], expected: dict[str, np.ndarray], **tolerance: float) -> None:
    assert arrays.keys() == expected.keys()
    for name, array in arrays.items():
        np.testing.assert_allclose(
            array.numpy(), expected[name], err_msg=name, **(tolerance or CLOSE)
        )


# --- every layer ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
def test_forward_and_backward(name: str) -> None:
    here, there = LAYERS[name](functional), LAYERS[name](functional).to("cuda")
    x = images()
    y, result = here(x), there(asarray(x))
    assert type(result) is Array
    np.testing.assert_allclose(result.numpy(), y, **CLOSE)
    dy = np.random.default_rng(6).standard_normal(y.shape)
    dx, gradient = here.backward(dy.copy()), there.backward(asarray(dy))
    assert type(gradient) is Array
    np.testing.assert_allclose(gradient.numpy(), dx, **CLOSE)
    assert on_device(there.parameters())
    assert on_device(there.gradients())
    agree(there.gradients(), here.gradients())
    agree(there.buffers(), here.buffers())


@pytest.mark.parametrize("name", LAYERS)
def test_an_empty_batch(name: str) -> None:
    here, there = LAYERS[name](functional), LAYERS[name](functional).to("cuda")
    x = images()[:0]
    y, result = here(x), there(asarray(x))
    assert result.shape == y.shape
    assert there.backward(result.copy()).shape == x.shape
    agree(there.gradients(), {name: np.zeros_like(a) for name, a in here.parameters().items()})


MODELS = {
    "SimpleConvNet": lambda: SimpleConvNet(seed=0, dtype=np.float64),
    "MnistCNN": lambda: MnistCNN(seed=0, dtype=np.float64),
    "LeNet5": lambda: LeNet5(seed=0, dtype=np.float64),
    "MnistInception": lambda: MnistInception(seed=0, dtype=np.float64),
    "FashionNet": lambda: FashionNet(seed=0, dtype=np.float64),
}


@pytest.mark.parametrize("name", MODELS)
def test_models(name: str) -> None:
    here, there = MODELS[name](), MODELS[name]().to("cuda")
    x = images(np.float64, (2, *here.input_shape))
    t = np.array([3, 7])
    losses = []
    for model, put in ((here, lambda a: a), (there, asarray)):
        loss = SoftmaxCrossEntropy()
        losses.append(loss(model(put(x)), t))
        model.backward(loss.backward())
    assert losses[1] == pytest.approx(losses[0], rel=1e-12)
    agree(there.gradients(), here.gradients(), rtol=1e-9, atol=1e-12)
    text = str(convolt.summary(there, here.input_shape))
    assert text == str(convolt.summary(here, here.input_shape))


# --- to() -----------------------------------------------------------------------------------------


def net(**options: Any) -> Sequential:
    rng = np.random.default_rng(0)
    return Sequential(
        Conv2d(1, 4, 3, padding=1, rng=rng, **options),
        BatchNorm2d(4),
        ReLU(inplace=True),
        MaxPool2d(2),
        Flatten(),
        Dropout(0.3, rng=rng),
        Linear(None, 3, rng=rng),
    )


def steps(model: Layer, count: int = 2) -> None:
    for _ in range(count):
        x = images(np.float32, (6, 1, 8, 8))
        loss = SoftmaxCrossEntropy()
        loss(model(x if model.device == "cpu" else asarray(x)), np.arange(6) % 3)
        model.backward(loss.backward())


def test_to_moves_all_of_a_tree() -> None:
    model = net()
    assert model.device == "cpu"
    steps(model)
    state = {**model.state_dict(), **{f"d{n}": a for n, a in model.gradients().items()}}
    assert model.to("cuda") is model
    for layer in (model, *model.children().values()):
        assert layer.device == "cuda:0"
    for arrays in (model.parameters(), model.buffers(), model.gradients()):
        assert on_device(arrays)
    there = {**model.state_dict(), **{f"d{n}": a.numpy() for n, a in model.gradients().items()}}
    before = model.parameters()
    assert all(a is before[n] for n, a in model.to("cuda:0").parameters().items())
    model.to("cpu")
    assert model.children()["0"].device == "cpu"
    back = {**model.parameters(), **model.buffers()}
    back.update({f"d{n}": a for n, a in model.gradients().items()})
    for name, array in state.items():
        assert type(back[name]) is np.ndarray
        for other in (there[name], back[name]):
            np.testing.assert_array_equal(other, array)


@needs_stand_in
def test_to_a_device_without_room_moves_nothing() -> None:
    host, model = convolt.cuda._load.module().host, net()
    steps(model)
    before = {**model.parameters(), **model.gradients(), **model.buffers()}
    used, total = host.live_objects()["bytes"], convolt.cuda.memory_info()["total"]
    host.set_memory_limit(used + 600)
    try:
        with pytest.raises(MemoryError):
            model.to("cuda")
    finally:
        host.set_memory_limit(total)
    for layer in (model, *model.children().values()):
        assert layer.device == "cpu"
    for name, array in {**model.parameters(), **model.gradients(), **model.buffers()}.items():
        assert array is before[name]


def test_to_drops_what_forward_kept() -> None:
    model = net()
    model(images(np.float32, (2, 1, 8, 8)))
    model.to("cuda")
    with pytest.raises(RuntimeError, match="forward must be called before"):
        model.backward(asarray(np.ones((2, 3), np.float32)))


def test_a_layer_that_gets_its_weight_later() -> None:
    weights = []
    for device in ("cpu", "cuda"):
        layer = Linear(None, 3, rng=4).to(device)
        layer.build((7,))
        assert layer.device == ("cpu" if device == "cpu" else "cuda:0")
        weights.append(layer.state_dict()["weight"])
    np.testing.assert_array_equal(*weights)


def test_state_in_and_out() -> None:
    here, there = net(), net().to("cuda")
    for model in (here, there):
        model.build((1, 8, 8))
    steps(here)
    state = here.state_dict()
    there.load_state_dict(state)
    assert on_device(there.parameters())
    for name, array in there.state_dict().items():
        assert type(array) is np.ndarray
        np.testing.assert_array_equal(array, state[name])
    with pytest.raises(ValueError, match=r"load_state_dict: 0\.bias must have shape"):
        there.load_state_dict({**state, "0.bias": np.zeros(5, np.float32)})


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_files(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("safetensors")
    model = net().to("cuda")
    steps(model)
    save(model, tmp_path / f"model{suffix}")
    for other in (net(), net().to("cuda")):
        other.build((1, 8, 8))
        load(other, tmp_path / f"model{suffix}")
        for name, array in other.state_dict().items():
            np.testing.assert_array_equal(array, model.state_dict()[name])


def test_copies_and_pickles_stay_on_the_device() -> None:
    model = net().to("cuda")
    steps(model)
    x = asarray(images(np.float32, (2, 1, 8, 8)))
    expected = model.eval()(x).numpy()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.device == "cuda:0"
        assert on_device(other.parameters())
        np.testing.assert_array_equal(other(x).numpy(), expected)
        other.parameters()["0.weight"][...] = 0
    np.testing.assert_array_equal(model(x).numpy(), expected)


def test_prepared_layers() -> None:
    model = net(activation="relu").to("cuda").eval()
    x = asarray(images(np.float32, (2, 1, 8, 8)))
    expected = model(x).numpy()
    model.prepare()
    model.parameters()["0.weight"][...] = 0
    np.testing.assert_allclose(model(x).numpy(), expected, rtol=1e-5, atol=1e-5)
    model.to("cpu").to("cuda")
    assert not np.allclose(model(x).numpy(), expected)


def test_a_dropout_chooses_as_on_the_cpu() -> None:
    x = np.ones((4, 50), np.float32)
    here, there = Dropout(0.5, rng=3), Dropout(0.5, rng=3).to("cuda")
    for _ in range(2):
        np.testing.assert_array_equal(there(asarray(x)).numpy(), here(x))
    assert here.random_state() == there.random_state()


def test_the_names_of_the_book_stay_the_parameters() -> None:
    model = SimpleConvNet(seed=0).to("cuda")
    assert model.params["W1"] is model.parameters()["0.weight"]
    x = images(np.float32, (5, 1, 28, 28))
    labels = np.arange(5)
    expected = SimpleConvNet(seed=0).accuracy(x, labels, batch_size=2)
    assert model.accuracy(asarray(x), labels, batch_size=2) == expected
    assert model.to("cpu").params["W1"] is model.parameters()["0.weight"]


# --- what does not fit together -------------------------------------------------------------------


@pytest.mark.parametrize(
    "layer",
    [Conv2d(4, 2, 3), Linear(5, 2), BatchNorm2d(4), Sequential(ReLU(), Conv2d(4, 2, 3))],
    ids=lambda layer: type(layer).__name__,
)
def test_numpy_arrays_for_a_layer_on_a_device(layer: Layer) -> None:
    x = images(np.float32, (3, 5) if isinstance(layer, Linear) else (2, 4, 6, 5))
    with pytest.raises(TypeError, match=r"convolt\.cuda\.asarray\(x\)"):
        copy.deepcopy(layer).to("cuda")(x)


@pytest.mark.parametrize("layer", [Conv2d(4, 2, 3), Linear(5, 2), BatchNorm2d(4)])
def test_arrays_on_a_device_for_a_layer_on_the_cpu(layer: Layer) -> None:
    x = images(np.float32, (3, 5) if isinstance(layer, Linear) else (2, 4, 6, 5))
    with pytest.raises(TypeError, match=r"on the CUDA device as|operands of matmul must be"):
        copy.deepcopy(layer)(asarray(x))


def test_a_layer_in_pure_numpy_is_for_the_cpu() -> None:
    layer = Conv2d(4, 2, 3, backend=convolt.reference).to("cuda")
    with pytest.raises(TypeError, match=r"use x\.numpy\(\)"):
        layer(asarray(images(np.float32)))


# --- the loss -------------------------------------------------------------------------------------


def test_the_loss_takes_scores_from_a_device() -> None:
    scores, t = images(np.float32, (6, 4)), np.arange(6) % 4
    here, there = SoftmaxCrossEntropy(), SoftmaxCrossEntropy()
    assert there(asarray(scores), t) == here(scores, t)
    gradient = there.backward()
    assert type(gradient) is Array
    np.testing.assert_array_equal(gradient.numpy(), here.backward())
    assert there(scores, t) == here(scores, t)
    assert type(there.backward()) is np.ndarray
