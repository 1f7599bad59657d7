"""The option --device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convolt import reference, training
from convolt.__main__ import main
from convolt._cli import train as command
from convolt.layers import Sequential, load_arrays
from convolt.optim import Adam
from convolt.training import benchmark_step
from cuda_device import needs_device
from idx_files import write_mnist
from training_models import few_digits, small_net

pytestmark = [needs_device, pytest.mark.usefixtures("numpy_on_the_cpu")]


@pytest.fixture
def noise(tmp_path: Path) -> str:
    """Options for a data set of 12 and 5 images of noise."""
    write_mnist(tmp_path)
    return f"--dataset mnist --data-dir {tmp_path}"


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> list[Sequential]:
    """What `train` makes: the model, and both of the timed step."""
    made: list[Sequential] = []

    def record(*arguments: Any) -> Sequential:
        made.append(make(*arguments))
        return made[-1]

    make = command.make_model
    monkeypatch.setattr(command, "make_model", record)
    return made


@pytest.mark.parametrize(("device", "full_name"), [("cpu", "cpu"), ("cuda", "cuda:0")])
def test_train(
    device: str, full_name: str, noise: str, models: list[Sequential], capsys: Any
) -> None:
    arguments = f"train {noise} --epochs 1 --batch-size 6 --model lenet5 --device {device}"
    assert main(arguments.split()) == 0
    assert "one training step, N = 6: convolt " in capsys.readouterr().out
    assert [model.device for model in models] == [full_name, full_name, "cpu"]


@pytest.fixture
def evaluated_on(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The device of each model that is evaluated."""
    devices: list[str] = []

    def record(model: Sequential, *arguments: Any) -> Any:
        devices.append(model.device)
        return evaluate(model, *arguments)

    evaluate = training.evaluate
    monkeypatch.setattr(training, "evaluate", record)
    return devices


def test_a_file_does_not_depend_on_the_device(
    tmp_path: Path, noise: str, evaluated_on: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arrays, outputs = [], []
    for device in ("cpu", "cuda"):
        file = tmp_path / f"{device}.npz"
        options = f"--epochs 1 --optimizer sgd --device {device} --save {file}"
        assert main(f"train {noise} {options}".split()) == 0
        arrays.append(load_arrays(file)[0])
        capsys.readouterr()
        other = "cuda" if device == "cpu" else "cpu"
        evaluate = f"evaluate {file} --data-dir {tmp_path} --device"
        assert main([*evaluate.split(), other]) == 0
        outputs.append(capsys.readouterr().out)
    assert evaluated_on == ["cuda:0", "cpu"]
    assert outputs[0] == outputs[1]
    for name, array in arrays[0].items():
        np.testing.assert_allclose(arrays[1][name], array, rtol=1e-4, atol=1e-6, err_msg=name)


def test_gradients_of_the_timed_step_are_compared() -> None:
    x, t = few_digits(10).train_images, few_digits(10).train_labels

    def make(backend: Any) -> Sequential:
        model = small_net(backend)
        if backend is reference:
            model.parameters()["0.weight"][...] *= 1.1
        return model.to("cpu" if backend is reference else "cuda")

    with pytest.raises(RuntimeError, match=r"benchmark_step: the gradient of .* must agree"):
        benchmark_step(make, Adam, x, t)
