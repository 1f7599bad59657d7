"""What a training writes, to a terminal and elsewhere."""

from __future__ import annotations

import io
import re
import sys

import pytest

from convolt.optim import SGD
from convolt.training import EarlyStopping, fit
from training_models import BatchLength, Counter, numbers


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def train(stream, **options) -> None:
    fit(
        Counter(),
        numbers(),
        SGD(),
        epochs=2,
        batch_size=2,
        loss=BatchLength(),
        progress=stream,
        **options,
    )


LINES = [rf"epoch {i}/2  loss 1\.8000  test loss 2\.0000  test accuracy 50\.00%" for i in (1, 2)]
SECONDS = r"  \d+\.\d\d s"


def is_lines(text: str) -> bool:
    return bool(re.fullmatch("".join(f"{line}{SECONDS}\n" for line in LINES), text))


@pytest.mark.parametrize("progress", [True, False])
def test_nothing_is_written_without_a_terminal(progress, capsys):
    train(progress)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_is_written_to_unless_unwanted(monkeypatch):
    for progress, silent in ((True, False), (False, True)):
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        train(progress)
        assert (stream.getvalue() == "") == silent


def test_there_may_be_no_standard_error(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    train(True)


def test_a_file_gets_one_line_for_each_epoch():
    stream = io.StringIO()
    train(stream)
    assert is_lines(stream.getvalue())


def test_a_terminal_without_tqdm_gets_plain_progress(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    stream = Terminal()
    train(stream)
    shown = stream.getvalue().replace("\n", "\r").split("\r")
    steps = [shown[1:5], shown[8:12]]
    for i, texts in enumerate(steps, 1):
        assert texts == [
            f"epoch {i}/2   0%",
            f"epoch {i}/2  33%  loss 2.0000",
            f"epoch {i}/2  67%  loss 2.0000",
            f"epoch {i}/2 100%  loss 1.0000",
        ]
    assert shown[5] == shown[12] == " " * len("epoch 1/2 100%  loss 1.0000")
    assert is_lines(f"{shown[6]}\n{shown[13]}\n")
    assert shown[14:] == [""]


def test_plain_progress_writes_once_for_each_percent(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    from convolt.training.progress import Reporter

    stream = Terminal()
    with Reporter(stream, 1).bar(1, 1000) as advance:
        for _ in range(1000):
            advance(0.5)
    assert stream.getvalue().count("%") == 101


def test_a_terminal_with_tqdm_gets_its_bar():
    pytest.importorskip("tqdm")
    stream = Terminal()
    train(stream)
    assert "| 0/3 [" in stream.getvalue()
    for line in LINES:
        assert re.search(f"\r{line}{SECONDS}\n", stream.getvalue())


def test_early_stopping_says_which_epoch_the_model_is_of():
    stream = io.StringIO()
    train(stream, early_stopping=EarlyStopping(1))
    assert stream.getvalue().endswith("the model is that of epoch 1, the best by test_loss\n")


def test_a_checkpoint_says_where_the_training_goes_on(tmp_path):
    file = tmp_path / "run.npz"
    for expected in ("epoch 1/2", f"{file}: goes on after epoch 2\n"):
        stream = io.StringIO()
        train(stream, checkpoint=file)
        assert stream.getvalue().startswith(expected)
