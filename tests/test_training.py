"""What `fit` and `evaluate` do: order, rates, modes, history, and how a training ends."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

import convolt
from convolt import functional, reference
from convolt.data import Dataset, load_digits
from convolt.layers import Flatten, Linear, Sequential
from convolt.optim import SGD, Adam, cosine, step
from convolt.training import EarlyStopping, History, evaluate, fit
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


@pytest.mark.cpu_only  # too long for a stand-in of a device
@pytest.mark.parametrize("backend", [functional, reference], ids=["convolt", "reference"])
def test_training_learns_the_digits(backend):
    model, digits = small_net(backend, filters=30, hidden=100), load_digits()
    history = fit(model, digits, Adam(lr=0.003), epochs=5, batch_size=50)
    assert history.epochs == 5
    assert history.test_accuracy[-1] >= 0.96
    assert history.train_loss[-1] < 0.1 < 0.5 < history.train_loss[0]
    assert history.test_loss[-1] < history.test_loss[0]
    result = evaluate(model, digits.test_images, digits.test_labels)
    assert result == (history.test_loss[-1], history.test_accuracy[-1])


def test_a_seed_gives_the_same_bits_with_one_thread_and_two():
    trained = []
    for threads, seed in ((1, 3), (2, 3), (1, 3), (1, 4)):
        with convolt.num_threads(threads):
            model = small_net()
            fit(model, few_digits(200), SGD(0.1, 0.9), epochs=2, batch_size=30, seed=seed)
            trained.append(weights(model))
    assert trained[0] == trained[1] == trained[2]
    assert trained[0] != trained[3]


def test_each_epoch_shows_every_image_once_in_a_new_order():
    model = Counter()
    history = fit(model, numbers(), SGD(lr=1), epochs=3, batch_size=2, loss=BatchLength())
    assert [len(batch) for batch in model.batches] == [2, 2, 1] * 3
    epochs = [[*chain(*model.batches[i : i + 3])] for i in (0, 3, 6)]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert model.w == -9
    assert (model.dy == 1).all()
    assert history.train_loss == [(2 * 2 + 2 * 2 + 1) / 5] * 3
    assert history.test_loss == [2] * 3
    assert history.train_accuracy == [0.8] * 3
    assert history.test_accuracy == [0.5] * 3


def test_images_keep_their_labels():
    data = numbers()
    shown = []

    class Pairs(BatchLength):
        def forward(self, x, t):
            shown.append(t.tolist())
            return super().forward(x, t)

    model = Counter()
    fit(model, data, SGD(), epochs=2, batch_size=2, loss=Pairs())
    pairs = zip(chain(*(images for _, images in model.seen)), chain(*shown), strict=True)
    labels = dict(zip(range(5), data.train_labels, strict=True)) | {7: 0, 8: 1}
    assert all(labels[image] == label for image, label in pairs)


def test_the_order_is_that_of_the_generator_of_the_epoch():
    model = Counter()
    fit(model, numbers(), SGD(), epochs=2, batch_size=5, seed=8)
    expected = [np.random.default_rng((8, epoch)).permutation(5).tolist() for epoch in (0, 1)]
    assert model.batches == expected


def test_a_model_trains_in_its_training_mode_and_ends_in_the_other():
    model = Counter().eval()
    fit(model, numbers(), SGD(), epochs=2, batch_size=5)
    assert [training for training, _ in model.seen] == [True, False] * 2
    assert not model.training


@pytest.mark.parametrize(
    ("schedule", "rates", "firsts"),
    [
        (None, [3.0] * 6, [3.0, 3.0]),
        (lambda progress: 6 - 3 * progress, [6, 5, 4, 3, 2, 1], [6, 3]),
        (step(8.0, every=1, gamma=0.5), [8.0, 8.0, 8.0, 4.0, 4.0, 4.0], [8.0, 4.0]),
    ],
)
def test_a_schedule_holds_for_each_batch(schedule, rates, firsts):
    optimizer = Unchanging(3.0)
    history = fit(Counter(), numbers(), optimizer, epochs=2, batch_size=2, schedule=schedule)
    assert optimizer.rates == pytest.approx(rates)
    assert history.lr == firsts
    assert optimizer.lr == 3.0


def test_augmentation_changes_what_is_learned_from_and_nothing_else():
    drawn = []

    def add_ten(images, rng):
        drawn.append(rng.random())
        return images + 10

    model, data = Counter(), numbers()
    fit(model, data, SGD(), epochs=2, batch_size=3, augment=add_ten)
    assert all(10 <= number <= 14 for batch in model.batches for number in batch)
    assert [images for training, images in model.seen if not training] == [[7, 8]] * 2
    assert data.train_images.ravel().tolist() == [0, 1, 2, 3, 4]
    assert len({*drawn}) == 4
    again = list(drawn)
    drawn.clear()
    fit(Counter(), data, SGD(), epochs=2, batch_size=3, augment=add_ten)
    assert drawn == again


def test_a_layer_without_a_width_gets_it_from_the_images():
    model = Sequential(Flatten(), Linear(None, 10, rng=0))
    fit(model, few_digits(), Adam(), epochs=1)
    assert model.parameters()["1.weight"].shape == (64, 10)


@pytest.mark.parametrize(("name", "least"), [("epochs", 1), ("batch_size", 1), ("seed", 0)])
def test_numbers_that_are_too_low_are_refused(name, least):
    with pytest.raises(ValueError, match=f"fit: {name} must be at least {least}, got {least - 1}"):
        fit(Counter(), numbers(), SGD(), **{name: least - 1})


def test_an_evaluation_by_less_than_one_image_is_refused():
    data = numbers()
    with pytest.raises(ValueError, match="evaluate: batch_size must be at least 1, got 0"):
        evaluate(Counter(), data.test_images, data.test_labels, batch_size=0)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"train_labels": np.zeros(4, int)}, "got 5 images and 4 labels"),
        ({"test_labels": np.zeros(3, int)}, "got 2 images and 3 labels"),
        ({"train_images": np.zeros((0, 1, 1, 1)), "train_labels": np.zeros(0, int)}, "got 0 im"),
    ],
)
def test_images_without_labels_are_refused(part, message):
    with pytest.raises(ValueError, match=f"fit: images and labels must be .* {message}"):
        fit(Counter(), numbers()._replace(**part), SGD())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_training(value):
    class Growing(BatchLength):
        calls = 0

        def forward(self, x, t):
            self.calls += 1
            return value if self.calls == 6 else super().forward(x, t)

    optimizer, model = Unchanging(0.25), Counter()
    message = rf"loss must stay finite, got {value} in batch 2 of epoch 2, lr = 0\.25; .* may help"
    with pytest.raises(FloatingPointError, match=message):
        fit(model, numbers(), optimizer, epochs=2, batch_size=2, loss=Growing())
    assert len(optimizer.rates) == 4
    assert not model.training


def test_a_test_loss_that_is_no_number_ends_the_training_too(tmp_path):
    file, model = tmp_path / "run.npz", Counter()
    options = {"batch_size": 5, "epochs": 3, "checkpoint": file}
    message = "got nan on the test images after epoch 2; a lower"
    with pytest.raises(FloatingPointError, match=message):
        fit(model, numbers(), SGD(), loss=Scripted(1.0, float("nan")), **options)
    assert not model.training
    history = fit(Counter(), numbers(), SGD(), loss=Scripted(2.0, 3.0), **options)
    assert history.test_loss == [1, 2, 3]


def test_a_learning_rate_that_is_too_high_is_reported():
    """And not by warnings of NumPy, which here would be errors."""
    with pytest.raises(FloatingPointError, match=r"fit: the loss must .*, got (nan|inf)"):
        fit(small_net(), few_digits(), SGD(lr=1e30), epochs=3)


# --- Ctrl-C ---------------------------------------------------------------------------------------


class InterruptedAt:
    """An augmentation during which somebody presses Ctrl-C, in a certain batch."""

    def __init__(self, batch: int) -> None:
        self.left = batch

    def __call__(self, images, rng):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return images


def test_ctrl_c_leaves_the_history_and_a_model_that_predicts():
    model, data, optimizer = small_net(), few_digits(), Adam()
    schedule = cosine(0.01, epochs=9)
    options = {"epochs": 9, "batch_size": 20, "schedule": schedule, "augment": InterruptedAt(8)}
    history = fit(model, data, optimizer, **options)
    assert history.interrupted
    assert history.epochs == 2
    assert {len(values) for values in history.to_dict().values() if values is not True} == {2}
    assert not model.training
    assert optimizer.lr == 0.001
    loss, accuracy = evaluate(model, data.test_images, data.test_labels)
    assert np.isfinite(loss)
    assert accuracy > 0.2


def test_a_model_goes_on_after_ctrl_c():
    model, data = small_net(), few_digits()
    fit(model, data, Adam(0.01), augment=InterruptedAt(1))
    history = fit(model, data, Adam(0.01), epochs=4, batch_size=20)
    assert not history.interrupted
    assert history.train_loss[-1] < history.train_loss[0]


# --- early stopping -------------------------------------------------------------------------------


def stopped(early_stopping, *test_losses: float, epochs: int = 9) -> tuple[Counter, History]:
    model = Counter()
    history = fit(
        model,
        numbers(),
        SGD(lr=1),
        epochs=epochs,
        batch_size=5,
        loss=Scripted(*test_losses),
        early_stopping=early_stopping,
    )
    return model, history


def test_training_stops_when_nothing_has_improved_for_so_long():
    model, history = stopped(EarlyStopping(2), 5, 3, 4, 2, 2, 3, 1)
    assert history.test_loss == [5, 3, 4, 2, 2, 3]
    assert model.w == -4, "one step an epoch: the weights after the fourth, the best"
    assert not history.interrupted


def test_the_best_weights_come_back_when_the_epochs_run_out():
    model, history = stopped(EarlyStopping(5), 5, 1, 2, epochs=3)
    assert history.epochs == 3
    assert model.w == -2


def test_without_early_stopping_the_last_weights_stay():
    model, history = stopped(None, 1, 2, 3, epochs=3)
    assert history.epochs == 3
    assert model.w == -3


def test_accuracy_improves_by_rising():
    history = History(test_loss=[3, 2, 1], test_accuracy=[0.5, 0.7, 0.6], train_loss=[1, 1, 1])
    by_accuracy, by_loss = EarlyStopping(1, "test_accuracy"), EarlyStopping(1)
    assert by_accuracy.best_epoch(history) == 1
    assert by_accuracy.is_due(history)
    assert by_loss.best_epoch(history) == 2
    assert not by_loss.is_due(history)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "EarlyStopping: patience must be at least 1, got 0"),
        ((1, "train_loss"), "EarlyStopping: monitor must be .*, got 'train_loss'"),
    ],
)
def test_bad_early_stopping_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        EarlyStopping(*arguments)


# --- evaluation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_returns_to_the_mode_before(training):
    model, data = Counter().train(training), numbers()
    evaluate(model, data.test_images, data.test_labels)
    assert model.training is training
    assert [mode for mode, _ in model.seen] == [False]


def test_evaluation_returns_to_the_mode_before_also_from_an_error():
    model = small_net()
    with pytest.raises(ValueError, match="0 \\(Conv2d\\)"):
        evaluate(model, np.zeros((1, 3, 8, 8), np.float32), np.zeros(1, int))
    assert model.training


@pytest.mark.parametrize("batch_size", [1, 7, 30, 1000])
def test_evaluation_is_the_mean_over_the_images(batch_size):
    data, model = few_digits(), small_net()
    whole = evaluate(model, data.test_images, data.test_labels, batch_size=len(data.test_images))
    loss, accuracy = evaluate(model, data.test_images, data.test_labels, batch_size=batch_size)
    assert loss == pytest.approx(whole.loss, rel=1e-6)
    assert accuracy == whole.accuracy


def test_labels_may_be_one_hot():
    data = few_digits()
    rows = np.eye(10)
    one_hot = Dataset(
        data.train_images, rows[data.train_labels], data.test_images, rows[data.test_labels]
    )
    histories = [fit(small_net(), part, SGD(0.1), epochs=2).to_dict() for part in (data, one_hot)]
    for history in histories:
        del history["seconds"]
    assert histories[0] == histories[1]
