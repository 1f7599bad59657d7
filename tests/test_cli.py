"""The command line as a whole: help, exit status, errors in one line, and the small commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import convolt
from convolt import __main__ as cli
from convolt import functional, reference
from convolt._cli import bench
from convolt.models import LeNet5

COMMANDS = ("train", "evaluate", "summary", "visualize", "info", "bench")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "convolt", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=300,
    )


def test_help_names_every_command_in_one_line_each(capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main(["--help"])
    assert exit_info.value.code == 0
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert re.search(rf"^    {command} +\w", text, re.MULTILINE)
    assert "exit status: 0 after success" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help(command, capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main([command, "--help"])
    assert exit_info.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: python -m convolt {command} [-h]")
    assert max(map(len, text.splitlines())) < 100


def test_the_version(capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main(["--version"])
    assert exit_info.value.code == 0
    assert capsys.readouterr().out == f"convolt {convolt.__version__}\n"


def test_info_prints_the_build():
    result = run("info")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(convolt.build_info())
    starts = {re.match(r"\S+ +", line).end() for line in lines}
    assert len(starts) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train --dataset mnist --data-dir nowhere", "load_mnist: .* nowhere.*--download"),
        ("train --data-dir nowhere", "--data-dir is for mnist and fashion-mnist, got it with dig"),
        ("train --download", "--download is for mnist and fashion-mnist"),
        ("train --model lenet5", r"lenet5 does not take images of \(1, 8, 8\): 3 \(Conv2d\): "),
        ("train --resume", "train: --resume must come with --checkpoint, got it alone"),
        ("train --resume --checkpoint no.npz", "train: --resume must find no.npz"),
        ("evaluate nowhere.npz", "No such file or directory: 'nowhere.npz'"),
        ("evaluate model.pkl", "path must end in .npz or .safetensors, got 'model.pkl'"),
        ("summary lenet6", "summary: MODEL must be one of simple-convnet, .*, got lenet6"),
        (
            "summary lenet5 --input-shape 3,28,28",
            r"lenet5 does not take .* \(3, 28, 28\): 0 \(Conv2d\): input must have 1 channels",
        ),
    ],
)
def test_an_error_is_one_line(arguments, message, capsys):
    assert cli.main(arguments.split()) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert re.fullmatch(f"convolt: error: .*{message}.*\n", output.err)


def test_an_error_of_a_process_is_one_line_too():
    result = run("train", "--dataset", "mnist", "--data-dir", "nowhere")
    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch("convolt: error: .*\n", result.stderr)


def test_a_message_of_several_lines_becomes_one(monkeypatch, capsys):
    def fail():
        raise RuntimeError("first\n  second")

    monkeypatch.setattr(convolt, "build_info", fail)
    assert cli.main(["info"]) == 1
    assert capsys.readouterr().err == "convolt: error: first second\n"


def test_ctrl_c_has_a_status_of_its_own(monkeypatch, capsys):
    def press():
        raise KeyboardInterrupt

    monkeypatch.setattr(convolt, "build_info", press)
    assert cli.main(["info"]) == 130
    assert capsys.readouterr().err == "\nconvolt: interrupted\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "the following arguments are required: COMMAND"),
        ("fly", "invalid choice: 'fly'"),
        ("train --dataset cifar", "invalid choice: 'cifar'"),
        ("train --model alexnet", "invalid choice: 'alexnet'"),
        ("train --epochs 0", "argument --epochs: must be at least 1, got 0"),
        ("train --threads two", "argument --threads: must be an integer, got two"),
        ("train --device gpu", "argument --device: device must be 'cpu', 'cuda' or 'cuda:N' with"),
        ("train --seed -1", "argument --seed: must be at least 0, got -1"),
        ("train --lr inf", "argument --lr: must be a positive number, got inf"),
        ("train --lr x", "argument --lr: must be a positive number, got x"),
        ("train --save model.pkl", "argument --save: must end in .npz or .safetensors, got model"),
        ("train --save no/where.npz", "argument --save: must be in a folder that exists, got no/"),
        ("train --checkpoint run.pkl", "argument --checkpoint: must end in .npz, got run.pkl"),
        ("summary lenet5 --input-shape 28x28", "--input-shape: must be such as 3,227,227, got 28x"),
        ("summary lenet5 --input-shape 28,28", "--input-shape: must be such as 3,227,227, got 28,"),
        ("evaluate", "the following arguments are required: FILE"),
        ("visualize model.npz --what filters", "are required: -o/--output"),
        ("visualize model.npz --what cats -o x.png", "argument --what: invalid choice: 'cats'"),
        ("bench --repeats 0", "argument --repeats: must be at least 1, got 0"),
    ],
)
def test_a_bad_option_is_a_usage_error(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main(arguments.split())
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        ("train --plot history.png", "plot"),
        ("visualize model.npz --what filters -o filters.png", "plot"),
        ("train --save model.safetensors", "safetensors"),
    ],
)
def test_a_missing_extra_is_named_before_the_work(monkeypatch, capsys, arguments, extra):
    monkeypatch.setattr("convolt._cli.options.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as exit_info:
        cli.main(arguments.split())
    assert exit_info.value.code == 2
    assert f'pip install "convolt[{extra}]"' in capsys.readouterr().err


@pytest.mark.parametrize("name", ["history", "history.xyz"])
def test_a_picture_needs_a_kind(capsys, name):
    pytest.importorskip("matplotlib")
    with pytest.raises(SystemExit):
        cli.main(["train", "--plot", name])
    message = f"argument --plot: must end in .png, .pdf or .svg, got {name}\n"
    assert message in capsys.readouterr().err


def test_summary_of_a_name(capsys):
    assert cli.main(["summary", "lenet5"]) == 0
    assert capsys.readouterr().out == f"{convolt.summary(LeNet5(), (1, 28, 28))}\n"


@pytest.mark.parametrize("shape", ["1,28,28", "3,40,30"])
def test_summary_for_a_shape(capsys, shape):
    assert cli.main(["summary", "simple-convnet", "--input-shape", shape]) == 0
    title = f"SimpleConvNet for an input of ({shape.replace(',', ', ')})\n"
    assert capsys.readouterr().out.startswith(title)


# --- bench ----------------------------------------------------------------------------------------

ROW = re.compile(r"(\w+(?: dx| dweight)?) +(\S.*\S) +(\d+\.\d{3}) +(\d+\.\d\d) +(\d+\.\d)\n")


@pytest.fixture
def few_cases(monkeypatch):
    cases = list(bench._cases(2))[:4:2]
    monkeypatch.setattr(bench, "_cases", lambda batch: cases if batch == 2 else None)
    return cases


def test_bench_prints_a_row_for_each_operation(few_cases, capsys):
    assert cli.main(["bench", "--batch", "2", "--repeats", "1"]) == 0
    lines = capsys.readouterr().out.splitlines(keepends=True)
    assert lines[0].startswith("float32, N = 2, ")
    assert lines[1] == "milliseconds, the fastest of 1\n"
    assert lines[3].split() == ["operation", "input", "convolt", "NumPy", "ratio"]
    rows = [ROW.fullmatch(line) for line in lines[4:]]
    assert [row[1] for row in rows] == ["conv2d", "conv2d_backward dweight"]
    assert {row[2] for row in rows} == {"1x28x28, 30 5x5"}


def test_bench_has_every_pass_and_agrees_on_all():
    cases = list(bench._cases(1))
    operations = [case.operation for case in cases]
    assert operations[:3] == ["conv2d", "conv2d_backward dx", "conv2d_backward dweight"]
    assert {"max_pool2d", "avg_pool2d", "im2col"} <= {*operations}
    shapes = []
    for case in cases:
        ours, numpys = case.run(functional), case.run(reference)
        assert abs(ours - numpys).max() <= 1e-4 * abs(numpys).max()
        shapes.append(ours.shape)
    assert shapes[:3] == [(1, 30, 24, 24), (1, 1, 28, 28), (30, 1, 5, 5)]
    assert len({*shapes}) == len(cases) - 1, "the poolings alone have outputs of one shape"


@pytest.mark.parametrize("wrong", [1.01, float("nan")])
def test_bench_times_no_wrong_result(few_cases, monkeypatch, capsys, wrong):
    right = functional.conv2d
    monkeypatch.setattr(functional, "conv2d", lambda x, weight: right(x, weight) * wrong)
    assert cli.main(["bench", "--batch", "2"]) == 1
    message = "convolt: error: bench: conv2d of 1x28x28, 30 5x5 must agree with NumPy to .*\n"
    assert re.fullmatch(message, capsys.readouterr().err)
