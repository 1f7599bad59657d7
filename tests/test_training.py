"""Training on the digits, its progress, and the timed step."""

from __future__ import annotations

import io
import sys
from itertools import chain

import numpy as np
import pytest

from convolt import functional, reference
from convolt.data import Dataset, load_digits
from convolt.models import SimpleConvNet
from convolt.optim import SGD, Adam
from convolt.training import StepTimes, benchmark_step, fit


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Counter:
    """A model that counts what it is shown."""

    def __init__(self) -> None:
        self.params = {"w": np.zeros(1)}
        self.batches: list[list[int]] = []

    def loss_and_gradient(self, x, t):
        assert x.ravel().tolist() == t.tolist()
        self.batches.append(t.tolist())
        return float(len(t)), {"w": np.ones(1)}

    def accuracy(self, x, t, batch_size=100):
        assert x.ravel().tolist() == t.tolist() == [7, 8]
        return 0.5


def numbers() -> Dataset:
    train, test = np.arange(5), np.array([7, 8])
    return Dataset(train.reshape(5, 1, 1, 1), train, test.reshape(2, 1, 1, 1), test)


def small_net(backend=functional, filters=8, hidden_size=32) -> SimpleConvNet:
    conv_param = {"filter_num": filters, "filter_size": 3, "pad": 1}
    return SimpleConvNet(
        (1, 8, 8), conv_param, hidden_size, weight_init_std="he", seed=0, backend=backend
    )


@pytest.mark.parametrize("backend", [functional, reference], ids=["convolt", "reference"])
def test_training_learns_the_digits(backend):
    model = small_net(backend, hidden_size=100, filters=30)
    history = fit(model, load_digits(), Adam(lr=0.003), epochs=5, batch_size=50, seed=0)
    assert len(history.loss) == 5 * 29
    assert history.test_accuracy[-1] >= 0.96
    assert np.mean(history.loss[-29:]) < 0.1 < 2 < history.loss[0]


def test_a_seed_gives_the_same_training():
    first, again, other = (
        fit(small_net(), load_digits(), SGD(0.1, 0.9), epochs=1, seed=seed).loss
        for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_each_epoch_shows_every_image_once_in_a_new_order():
    model = Counter()
    history = fit(model, numbers(), SGD(lr=1), epochs=3, batch_size=2, seed=0)
    assert [len(batch) for batch in model.batches] == [2, 2, 1] * 3
    epochs = [[*chain(*model.batches[i : i + 3])] for i in (0, 3, 6)]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert history.loss == [2, 2, 1] * 3
    assert history.test_accuracy == [0.5] * 3
    assert model.params["w"] == -9


@pytest.mark.parametrize(
    ("anneal", "rates"), [(False, [3.0] * 6), (True, [3.0, 2.5, 2.0, 1.5, 1.0, 0.5])]
)
def test_annealing_lets_the_learning_rate_fall_linearly(anneal, rates):
    seen = []

    class Recorder(SGD):
        def update(self, params, grads):
            seen.append(self.lr)

    optimizer = Recorder(lr=3.0)
    fit(Counter(), numbers(), optimizer, epochs=2, batch_size=2, anneal=anneal)
    assert seen == pytest.approx(rates)
    assert optimizer.lr == 3.0


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
def test_counts_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"fit: {name} must be at least 1, got 0"):
        fit(Counter(), numbers(), SGD(), **{name: 0})


LINES = [f"epoch {i}/2  loss 1.6667  test accuracy 50.00%" for i in (1, 2)]


def test_nothing_is_written_unless_asked_for(capsys):
    fit(Counter(), numbers(), SGD())
    assert capsys.readouterr() == ("", "")


def test_a_file_gets_one_line_for_each_epoch():
    stream = io.StringIO()
    fit(Counter(), numbers(), SGD(), epochs=2, batch_size=2, progress=stream)
    assert stream.getvalue().splitlines() == LINES


def test_a_terminal_without_tqdm_gets_plain_progress(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    stream = Terminal()
    fit(Counter(), numbers(), SGD(), epochs=2, batch_size=2, progress=stream)
    shown = stream.getvalue().replace("\n", "\r").split("\r")
    steps = [["", *(f"epoch {i}/2 {share:4.0%}" for share in (0, 1 / 3, 2 / 3))] for i in (1, 2)]
    assert shown == [*steps[0], LINES[0], *steps[1], LINES[1], ""]


def test_a_terminal_with_tqdm_gets_its_bar():
    pytest.importorskip("tqdm")
    stream = Terminal()
    fit(Counter(), numbers(), SGD(), epochs=2, batch_size=2, progress=stream)
    assert "| 0/3 [" in stream.getvalue()
    for line in LINES:
        assert f"\r{line}\n" in stream.getvalue()


def batch() -> tuple[np.ndarray, np.ndarray]:
    digits = load_digits()
    return digits.train_images[:10], digits.train_labels[:10]


def test_a_step_is_timed_on_both():
    times = benchmark_step(small_net, Adam, *batch(), repeats=2)
    assert times.convolt > 0
    assert times.reference > 0
    assert StepTimes(2.0, 7.0).ratio == 3.5


def test_both_train_alike_and_in_turns():
    steps = []

    class Recorder(SimpleConvNet):
        def loss_and_gradient(self, x, t):
            steps.append(self)
            return super().loss_and_gradient(x, t)

    def make(backend):
        return Recorder((1, 8, 8), seed=0, backend=backend)

    benchmark_step(make, Adam, *batch(), repeats=3)
    ours, numpys = steps[:2]
    assert ours is not numpys
    assert steps == [ours, numpys] * 4
    for name, array in numpys.params.items():
        np.testing.assert_allclose(ours.params[name], array, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("wrong", [1.1, np.nan])
def test_wrong_gradients_are_not_timed(wrong):
    class Wrong(SimpleConvNet):
        def loss_and_gradient(self, x, t):
            loss, gradients = super().loss_and_gradient(x, t)
            gradients["W1"] = gradients["W1"] * wrong
            return loss, gradients

    def make(backend):
        kind = Wrong if backend is functional else SimpleConvNet
        return kind((1, 8, 8), seed=0, backend=backend)

    with pytest.raises(RuntimeError, match="benchmark_step: the gradient of W1 must agree"):
        benchmark_step(make, Adam, *batch())
