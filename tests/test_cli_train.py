"""The command train."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import numpy as np
import pytest

import convolt
from convolt import __main__ as cli
from convolt._cli import train as command
from convolt.data import Compose, Flip, Shift
from convolt.layers import load_arrays
from convolt.models import LeNet5, SimpleConvNet
from convolt.training import fit
from idx_files import write_mnist
from test_cli import run

TIMES = r"one training step, N = {}: convolt \d+\.\d\d ms, pure NumPy \d+\.\d\d ms, ratio \d+\.\d\n"
HEAD = "digits: 1437 training and 360 test images\n"


def test_train_reports_accuracy_and_ratio():
    result = run("train")
    assert result.returncode == 0, result.stderr
    accuracy = re.fullmatch(
        HEAD + r"test accuracy: (\d+\.\d\d)%\n" + TIMES.format(100), result.stdout
    )
    assert accuracy, result.stdout
    assert float(accuracy[1]) >= 97
    lines = result.stderr.splitlines()
    assert len(lines) == 20
    assert all(re.match(r"epoch [ \d]\d/20  loss \d", line) for line in lines)


@pytest.fixture
def noise(tmp_path):
    """Options for a data set of 12 and 5 images of noise."""
    write_mnist(tmp_path)
    return f"--dataset mnist --data-dir {tmp_path}"


def test_train_without_tqdm_shows_plain_progress(monkeypatch, capsys, noise):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert cli.main(f"train {noise} --epochs 1 --batch-size 5".split()) == 0
    output = capsys.readouterr()
    assert re.match(
        r"\repoch 1/1   0%\repoch 1/1  33%  loss .*\repoch 1/1  67%  loss .*", output.err
    )
    assert "test accuracy: " in output.out


def test_train_reads_mnist_from_a_folder(noise, capsys):
    options = "--epochs 1 --batch-size 5 --optimizer sgd --lr 0.1 --seed 3"
    assert cli.main(f"train {noise} {options}".split()) == 0
    output = capsys.readouterr().out
    assert output.startswith("mnist: 12 training and 5 test images\n")
    assert re.search(TIMES.format(5), output)


def test_train_finds_the_folder_by_the_environment_variable(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    write_mnist(folder)
    monkeypatch.setenv("CONVOLT_DATA", str(tmp_path))
    arguments = "train --dataset fashion-mnist --epochs 1 --model lenet5"
    assert cli.main(arguments.split()) == 0
    assert capsys.readouterr().out.startswith("fashion-mnist: 12 training and 5 test images\n")


# --- options --------------------------------------------------------------------------------------


@pytest.fixture
def seen(monkeypatch):
    """What reaches `fit`, and the number of threads; nothing is trained."""
    seen = {}

    def record(model, dataset, optimizer, **options):
        seen.update(options, model=model, optimizer=optimizer)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "fit", record)
    monkeypatch.setattr(convolt, "set_num_threads", lambda n: seen.update(threads=n))
    return seen


def interrupted(arguments: str) -> None:
    assert cli.main(["train", *arguments.split()]) == 130


def test_options_reach_the_training(seen, tmp_path, capsys):
    file = tmp_path / "run.npz"
    interrupted(
        "--epochs 7 --batch-size 9 --seed 4 --threads 2 --optimizer sgd --lr 0.25 "
        f"--checkpoint {file} --shift 2 --flip"
    )
    assert capsys.readouterr().err == "\nconvolt: interrupted\n"
    assert (seen["epochs"], seen["batch_size"], seen["seed"], seen["threads"]) == (7, 9, 4, 2)
    assert (seen["optimizer"].lr, seen["optimizer"].momentum) == (0.25, 0.9)
    assert seen["checkpoint"] == file
    assert isinstance(seen["augment"], Compose)
    assert seen["augment"].transforms == (Shift(2), Flip(0.5))
    expected = SimpleConvNet(
        (1, 8, 8), {"filter_size": 3, "pad": 1}, weight_init_std="he", seed=4
    ).state_dict()
    for name, array in seen["model"].state_dict().items():
        np.testing.assert_array_equal(array, expected[name])


def test_the_defaults(seen):
    interrupted("")
    assert (seen["epochs"], seen["batch_size"], seen["seed"]) == (20, 100, 0)
    assert seen["augment"] is None
    assert seen["checkpoint"] is None
    assert "threads" not in seen


@pytest.mark.parametrize(
    ("option", "kind", "lr"),
    [("adam", "Adam", 0.002), ("sgd", "SGD", 0.05), ("adagrad", "AdaGrad", 0.02)],
)
def test_each_optimizer_has_a_rate_that_suits(seen, option, kind, lr):
    interrupted(f"--optimizer {option}")
    assert (type(seen["optimizer"]).__name__, seen["optimizer"].lr) == (kind, lr)


@pytest.mark.parametrize(
    ("option", "rates"),
    [
        ("constant", [0.4, 0.4, 0.4]),
        ("cosine", [0.4, 0.2, 0.0]),
        ("step", [0.4, 0.04, 0.0004]),
    ],
)
def test_schedules(seen, option, rates):
    interrupted(f"--lr 0.4 --epochs 6 --schedule {option}")
    assert [seen["schedule"](progress) for progress in (0, 3, 6)] == pytest.approx(rates)


@pytest.mark.parametrize(("option", "kind"), [("lenet5-1998", LeNet5), ("lenet5", LeNet5)])
def test_a_model_is_made_by_its_name(seen, noise, option, kind):
    interrupted(f"{noise} --model {option}")
    layers = {type(layer).__name__ for layer in seen["model"].layers}
    assert isinstance(seen["model"], kind)
    assert ("Sigmoid" in layers) == (option == "lenet5-1998")


# --- what is left when it ends --------------------------------------------------------------------


def test_a_training_goes_on_from_its_checkpoint(tmp_path, capsys, noise):
    whole, parts, file = (str(tmp_path / name) for name in ("a.npz", "b.npz", "run.npz"))
    short = f"train {noise} --schedule constant --batch-size 5"
    assert cli.main(f"{short} --epochs 3 --save {whole}".split()) == 0
    assert cli.main(f"{short} --epochs 1 --checkpoint {file}".split()) == 0
    capsys.readouterr()
    resumed = f"{short} --epochs 3 --checkpoint {file} --resume --save {parts}"
    assert cli.main(resumed.split()) == 0
    assert capsys.readouterr().err.startswith(f"{file}: goes on after epoch 1\nepoch 2/3")
    (expected, _), (arrays, _) = load_arrays(whole), load_arrays(parts)
    assert {name: array.tobytes() for name, array in arrays.items()} == {
        name: array.tobytes() for name, array in expected.items()
    }


def test_a_checkpoint_is_not_gone_on_with_by_accident(tmp_path, capsys):
    file = tmp_path / "run.npz"
    file.write_bytes(b"precious")
    assert cli.main(["train", "--checkpoint", str(file)]) == 1
    assert "--resume goes on with the training in it\n" in capsys.readouterr().err
    assert file.read_bytes() == b"precious"


def test_ctrl_c_saves_what_was_learned(tmp_path, monkeypatch, capsys):
    calls = iter(range(100))

    def press(images, rng):
        if next(calls) == 6:
            raise KeyboardInterrupt
        return images

    monkeypatch.setattr(command, "fit", lambda *a, **k: fit(*a, **(k | {"augment": press})))
    file = tmp_path / "model.npz"
    arguments = f"train --epochs 9 --batch-size 500 --save {file}"
    assert cli.main(arguments.split()) == 130
    output = capsys.readouterr()
    assert re.fullmatch(HEAD + r"test accuracy: \d+\.\d\d%\n", output.out)
    assert output.err.endswith("\nconvolt: interrupted\n")
    assert cli.main(["evaluate", str(file)]) == 0


def test_ctrl_c_in_the_first_epoch_has_no_accuracy(tmp_path, monkeypatch, capsys):
    def press(images, rng):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "fit", lambda *a, **k: fit(*a, **(k | {"augment": press})))
    assert cli.main(["train"]) == 130
    assert capsys.readouterr().out == HEAD


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_a_real_ctrl_c(tmp_path):
    file = tmp_path / "model.npz"
    process = subprocess.Popen(
        [sys.executable, "-m", "convolt", "train", "--epochs", "100000", "--save", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr.readline().startswith("epoch ")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert errors.endswith("\nconvolt: interrupted\n")
    assert "Traceback" not in errors
    assert re.fullmatch(HEAD + r"test accuracy: \d+\.\d\d%\n", output)
    assert file.exists()


def test_a_loss_that_is_no_number_is_one_line(capsys):
    assert cli.main(["train", "--lr", "1e30"]) == 1
    message = "convolt: error: fit: the loss must stay finite, got .* learning rate may help\n"
    assert re.fullmatch(message, capsys.readouterr().err)
