"""The command line, as a process of its own and called from here."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import convolt
from convolt import __main__ as cli
from idx_files import write_mnist

TIMES = r"one training step, N = {}: convolt \d+\.\d\d ms, pure NumPy \d+\.\d\d ms, ratio \d+\.\d\n"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "convolt", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=300,
    )


def test_train_reports_accuracy_and_ratio():
    result = run("train")
    assert result.returncode == 0, result.stderr
    accuracy = re.fullmatch(
        r"digits: 1437 training and 360 test images\ntest accuracy: (\d+\.\d\d)%\n"
        + TIMES.format(100),
        result.stdout,
    )
    assert accuracy, result.stdout
    assert float(accuracy[1]) >= 97
    lines = result.stderr.splitlines()
    assert len(lines) == 20
    assert all(re.match(r"epoch [ \d]\d/20  loss \d", line) for line in lines)


def test_info_prints_the_build():
    result = run("info")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(convolt.build_info())
    starts = {re.match(r"\S+ +", line).end() for line in lines}
    assert len(starts) == 1


def test_train_without_tqdm_shows_plain_progress(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert cli.main(["train", "--epochs", "1", "--batch-size", "500"]) == 0
    output = capsys.readouterr()
    assert output.err.startswith(
        "\repoch 1/1   0%\repoch 1/1  33%\repoch 1/1  67%\repoch 1/1  loss"
    )
    assert "test accuracy: " in output.out


def test_train_reads_mnist_from_a_folder(tmp_path):
    write_mnist(tmp_path)
    result = run(
        *("train", "--dataset", "mnist", "--data-dir", str(tmp_path), "--epochs", "1"),
        *("--batch-size", "5", "--optimizer", "sgd", "--lr", "0.1", "--seed", "3"),
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("mnist: 12 training and 5 test images\n")
    assert re.search(TIMES.format(5), result.stdout)


def test_train_finds_the_folder_by_the_environment_variable(tmp_path):
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    write_mnist(folder)
    result = run("train", "--dataset", "fashion-mnist", "--epochs", "1", CONVOLT_DATA=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("fashion-mnist: 12 training and 5 test images\n")


def test_options_reach_the_training(monkeypatch, capsys):
    seen = {}

    def record(model, dataset, optimizer, **options):
        seen.update(options, optimizer=optimizer)
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "fit", record)
    monkeypatch.setattr(convolt, "set_num_threads", lambda n: seen.update(threads=n))
    arguments = "--epochs 7 --batch-size 9 --seed 4 --threads 2 --optimizer sgd --lr 0.25"
    assert cli.main(["train", *arguments.split()]) == 130
    assert capsys.readouterr().err == "\nconvolt: interrupted\n"
    assert (seen["epochs"], seen["batch_size"], seen["seed"], seen["threads"]) == (7, 9, 4, 2)
    assert type(seen["optimizer"]).__name__ == "SGD"
    assert seen["optimizer"].lr == 0.25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--dataset", "mnist", "--data-dir", "nowhere"], "found neither nowhere"),
        (["train", "--data-dir", "nowhere"], "--data-dir is for mnist and fashion-mnist"),
    ],
)
def test_an_error_is_one_line(arguments, message):
    result = run(*arguments)
    assert result.returncode == 1
    assert result.stdout == ""
    assert re.fullmatch(f"convolt: error: .*{message}.*\n", result.stderr)


def test_mnist_without_a_folder_is_one_line(monkeypatch, capsys):
    monkeypatch.delenv("CONVOLT_DATA", raising=False)
    assert cli.main(["train", "--dataset", "mnist"]) == 1
    assert re.fullmatch("convolt: error: .*data_dir must be given.*\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: command"),
        (["fly"], "invalid choice: 'fly'"),
        (["train", "--dataset", "cifar"], "invalid choice: 'cifar'"),
        (["train", "--epochs", "0"], "argument --epochs: must be at least 1, got 0"),
        (["train", "--threads", "two"], "argument --threads: must be an integer, got two"),
        (["train", "--seed", "-1"], "argument --seed: must be at least 0, got -1"),
        (["train", "--lr", "inf"], "argument --lr: must be a positive number, got inf"),
        (["train", "--lr", "x"], "argument --lr: must be a positive number, got x"),
    ],
)
def test_a_bad_option_is_a_usage_error(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main(arguments)
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err
