"""Trainings that stop and go on, to the same bits."""

from __future__ import annotations

import json

import numpy as np
import pytest

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
    files,
    load_arrays,
)
from convolt.optim import SGD, AdaGrad, Adam, cosine
from convolt.training import EarlyStopping, History, fit
from training_models import (
    BatchLength,
    Counter,
    Scripted,
    Unchanging,
    few_digits,
    numbers,
    small_net,
    weights,
)

OPTIMIZERS = {
    "SGD": lambda: SGD(0.1, 0.9, 1e-4),
    "AdaGrad": lambda: AdaGrad(0.05),
    "Adam": lambda: Adam(0.01),
}
EPOCHS = 5


class Switch:
    """Random noise on the images, during which somebody may press Ctrl-C."""

    batches_left = 10**9

    def __call__(self, images, rng):
        self.batches_left -= 1
        if self.batches_left == 0:
            raise KeyboardInterrupt
        return images + rng.standard_normal(images.shape, dtype=np.float32) / 10


def net() -> Sequential:
    """A network with random numbers and running statistics of its own."""
    rng = np.random.default_rng(0)
    return Sequential(
        Conv2d(1, 8, 3, padding=1, rng=rng),
        BatchNorm2d(8),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Dropout(0.3, rng=7),
        Linear(128, 10, rng=rng),
    )


def train(model: Layer, optimizer, file=None, augment=None, epochs=EPOCHS, **options) -> History:
    return fit(
        model,
        few_digits(),
        optimizer,
        epochs=epochs,
        batch_size=25,
        augment=augment or Switch(),
        schedule=cosine(0.05, EPOCHS) if isinstance(optimizer, SGD) else None,
        seed=5,
        checkpoint=file,
        **options,
    )


def without_times(history: History) -> dict[str, list[float]]:
    values = history.to_dict()
    assert len(values.pop("seconds")) == history.epochs
    return values


@pytest.fixture(params=OPTIMIZERS.values(), ids=OPTIMIZERS)
def make_optimizer(request):
    return request.param


def uninterrupted(make_optimizer, **options):
    model, optimizer = net(), make_optimizer()
    history = train(model, optimizer, **options)
    return weights(model), without_times(history), model.random_state(), optimizer.state_dict()


def assert_same(model, history, optimizer, expected):
    bits, values, random_state, state = expected
    assert without_times(history) == values
    assert weights(model) == bits
    assert model.random_state() == random_state
    assert {k: v.tobytes() for k, v in optimizer.state_dict().items()} == {
        k: v.tobytes() for k, v in state.items()
    }


@pytest.mark.parametrize("first", [1, 3])
def test_a_training_in_two_parts_has_the_bits_of_one(make_optimizer, tmp_path, first):
    """With a new model and a new optimizer, as in another process."""
    expected = uninterrupted(make_optimizer)
    train(net(), make_optimizer(), tmp_path / "run.npz", epochs=first)
    model, optimizer = net(), make_optimizer()
    history = train(model, optimizer, tmp_path / "run.npz")
    assert_same(model, history, optimizer, expected)


@pytest.mark.parametrize("batch", [1, 2, 3, 8])
@pytest.mark.parametrize("same_objects", [True, False])
def test_ctrl_c_amid_an_epoch_goes_on_from_the_last_whole_one(
    make_optimizer, tmp_path, batch, same_objects
):
    """There are three batches in an epoch."""
    expected = uninterrupted(make_optimizer)
    file, switch = tmp_path / "run.npz", Switch()
    switch.batches_left = batch
    model, optimizer = net(), make_optimizer()
    history = train(model, optimizer, file, switch)
    assert history.interrupted
    assert history.epochs == (batch - 1) // 3
    if not same_objects:
        model, optimizer = net(), make_optimizer()
    assert_same(model, train(model, optimizer, file), optimizer, expected)


def test_ctrl_c_in_an_evaluation_repeats_the_epoch(tmp_path):
    class Pressed(BatchLength):
        evaluations = 0

        def forward(self, x, t):
            self.evaluations += len(x) == 2
            if self.evaluations == 2 and len(x) == 2:
                raise KeyboardInterrupt
            return super().forward(x, t)

    file = tmp_path / "run.npz"
    options = {"epochs": 3, "batch_size": 5, "checkpoint": file}
    history = fit(Counter(), numbers(), SGD(lr=1), loss=Pressed(), **options)
    assert (history.interrupted, history.epochs) == (True, 1)
    model = Counter()
    history = fit(model, numbers(), SGD(lr=1), loss=BatchLength(), **options)
    assert (history.interrupted, history.epochs) == (False, 3)
    assert model.w == -3


def test_scalars_of_numpy_are_as_good_as_numbers(tmp_path):
    class Single(BatchLength):
        def forward(self, x, t):
            return np.float32(super().forward(x, t))

    options = {"loss": Single(), "checkpoint": tmp_path / "run.npz"}
    options |= {"seed": np.int64(3), "batch_size": np.int32(5), "schedule": np.float32}
    for epochs in (1, 2):
        history = fit(Counter(), numbers(), SGD(), epochs=epochs, **options)
    assert history.lr == [0, 1]
    assert history.test_loss == [2, 2]


def test_a_finished_training_is_not_repeated(tmp_path):
    file = tmp_path / "run.npz"
    first = net()
    history = train(first, Adam(), file, epochs=2)
    content = file.read_bytes()
    again = net()
    assert train(again, Adam(), file, epochs=2) == history
    assert weights(again) == weights(first)
    assert file.read_bytes() == content
    assert train(again, Adam(), file, epochs=1).epochs == 2


def test_a_checkpoint_changes_nothing(tmp_path):
    expected = uninterrupted(OPTIMIZERS["Adam"])
    model, optimizer = net(), Adam(0.01)
    assert_same(model, train(model, optimizer, tmp_path / "run.npz"), optimizer, expected)


def test_a_width_that_the_images_decide(tmp_path):
    file = tmp_path / "run.npz"
    first, again = (Sequential(Flatten(), Linear(None, 10, rng=seed)) for seed in (0, 1))
    train(first, Adam(), file, epochs=1)
    train(again, Adam(), file, epochs=1)
    assert weights(first) == weights(again)


def stopped_early(file, test_losses, epochs):
    model = Counter()
    history = fit(
        model,
        numbers(),
        SGD(lr=1),
        epochs=epochs,
        batch_size=5,
        loss=Scripted(*test_losses),
        early_stopping=EarlyStopping(3),
        checkpoint=file,
    )
    return model.w.tolist(), history.test_loss


@pytest.mark.parametrize("first", [1, 2, 3, 4])
def test_early_stopping_remembers_its_best_weights(tmp_path, first):
    losses, file = [3, 1, 2, 4, 5, 6], tmp_path / "run.npz"
    stopped_early(file, losses[:first], first)
    assert stopped_early(file, losses[first:], 9) == ([-2.0], [3, 1, 2, 4, 5])
    assert stopped_early(file, [], 9) == ([-2.0], [3, 1, 2, 4, 5])


# --- the file -------------------------------------------------------------------------------------


def test_what_a_checkpoint_holds(tmp_path):
    file = tmp_path / "run.npz"
    train(net(), SGD(0.1, 0.9), file, epochs=2, early_stopping=EarlyStopping(1))
    arrays, metadata = load_arrays(file)
    text = json.loads(metadata["training"])
    assert {name.partition("/")[0] for name in arrays} == {"model", "optimizer", "best"}
    assert {"model/0.weight", "optimizer/velocity.0.weight"} <= arrays.keys()
    assert arrays["best/0.weight"].shape == (8, 1, 3, 3)
    assert len(text["history"]["train_loss"]) == 2
    assert text["settings"] == {"seed": 5, "batch_size": 25, "early_stopping": "test_loss"}
    assert list(tmp_path.iterdir()) == [file]


def test_a_failed_write_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    file = tmp_path / "run.npz"
    train(net(), Adam(), file, epochs=2)
    content = file.read_bytes()

    def half_a_file(stream, arrays):
        stream.write(content[:1000])
        raise OSError("disk full")

    monkeypatch.setattr(files, "_write_npz", half_a_file)
    with pytest.raises(OSError, match="disk full"):
        train(net(), Adam(), file, epochs=3)
    assert file.read_bytes() == content
    assert list(tmp_path.iterdir()) == [file]


def test_a_checkpoint_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"fit: checkpoint must end in \.npz, got .*run\.pkl"):
        fit(Counter(), numbers(), SGD(), checkpoint=tmp_path / "run.pkl")


def test_a_checkpoint_that_cannot_be_written_is_noticed_before_the_training(tmp_path):
    model = Counter()
    with pytest.raises(FileNotFoundError):
        fit(model, numbers(), SGD(), checkpoint=tmp_path / "nowhere" / "run.npz")
    assert model.seen == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 1}, "fit: seed must be 0 as in the checkpoint .*run.npz, got 1"),
        ({"batch_size": 3}, "fit: batch_size must be 5 as in the checkpoint .*, got 3"),
        (
            {"early_stopping": EarlyStopping(1)},
            "fit: early_stopping must be None as in the checkpoint .*, got 'test_loss'",
        ),
    ],
)
def test_other_settings_are_refused(tmp_path, options, message):
    file = tmp_path / "run.npz"
    fit(Counter(), numbers(), SGD(), batch_size=5, checkpoint=file)
    model = Counter()
    with pytest.raises(ValueError, match=message):
        fit(model, numbers(), SGD(), checkpoint=file, **{"batch_size": 5, **options})
    assert (model.w, model.seen) == (0, [])


def test_another_optimizer_is_refused(tmp_path):
    file = tmp_path / "run.npz"
    fit(Counter(), numbers(), SGD(), checkpoint=file)
    with pytest.raises(ValueError, match=r"Adam\.load_state_dict: state must have the names"):
        fit(Counter(), numbers(), Adam(), checkpoint=file)


def test_another_model_is_refused(tmp_path):
    file = tmp_path / "run.npz"
    train(net(), SGD(), file, epochs=1)
    for other in (small_net(filters=4), Sequential(Conv2d(1, 1, 1), ReLU(), Flatten())):
        before = weights(other)
        with pytest.raises(ValueError, match=r"load_(state_dict|random_state): "):
            train(other, SGD(), file)
        assert weights(other) == before


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 neither"])
def test_a_file_that_is_none_is_refused(tmp_path, content):
    file = tmp_path / "run.npz"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"fit: checkpoint must be a file that .*, got .*run\.npz"):
        fit(Counter(), numbers(), SGD(), checkpoint=file)
    assert file.read_bytes() == content


def test_half_a_checkpoint_is_refused(tmp_path):
    file = tmp_path / "run.npz"
    train(net(), Adam(), file, epochs=1)
    whole = file.read_bytes()
    for length in (100, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="fit: checkpoint must be a file that fit wrote, got"):
            train(net(), Adam(), file)


def test_arrays_of_somebody_else_are_refused(tmp_path):
    file = tmp_path / "run.npz"
    np.savez(file, w=np.zeros(1))
    with pytest.raises(ValueError, match="fit: checkpoint must be a file that fit wrote, got "):
        fit(Counter(), numbers(), SGD(), checkpoint=file)


def test_a_checkpoint_is_of_the_optimizer_too(tmp_path):
    """Also its learning rate, without what a schedule had made of it."""
    file = tmp_path / "run.npz"
    options = {"epochs": 1, "batch_size": 5, "checkpoint": file}
    fit(Counter(), numbers(), Unchanging(0.5), schedule=lambda progress: 9.0, **options)
    optimizer = Unchanging(0.25)
    fit(Counter(), numbers(), optimizer, **(options | {"epochs": 2}))
    assert optimizer.rates == [0.5]
