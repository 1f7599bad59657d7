"""The benchmark of whole networks, and the reports on what benchmarks wrote."""

from __future__ import annotations

import json
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pytest

import networks
import report
from convolt.models import SimpleConvNet
from network_contestants.ours import ConvoltNetwork
from network_contestants.textbook import TextbookNetwork
from network_problem import NETWORKS, TASKS, NetworkProblem, expectation
from results import LayerResult, NetworkResult, read_json, write_json


def parameter_shapes(net):
    layers = NetworkProblem(net, "inference", 1).layers()
    return [array.shape for _, _, parameters in layers for array in parameters]


def test_networks_are_those_of_the_literature():
    book = SimpleConvNet().params.values()
    assert parameter_shapes("simple-convnet") == [array.shape for array in book]
    # LeNet-5 with a full second convolution: 156 + 2416 + 48120 + 10164 + 850 parameters.
    assert sum(np.prod(shape) for shape in parameter_shapes("lenet5")) == 61706


@pytest.mark.parametrize("contestant", [ConvoltNetwork, TextbookNetwork])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("net", NETWORKS)
def test_contestants_compute_what_the_reference_computes(net, task, contestant):
    problem = NetworkProblem(net, task, 4)
    expected = expectation(problem)
    mine = contestant(1)
    result = mine.as_array(mine.prepare(problem)())
    assert result.dtype == np.float32
    expected.check([result[sample] for sample in expected.samples], "mine")


def test_both_optimizers_go_the_same_way():
    problem = NetworkProblem("lenet5", "training", 4)
    descents = []
    for contestant in (ConvoltNetwork, TextbookNetwork):
        mine = contestant(1)
        step = mine.prepare(problem)
        losses = [float(step()[0]) for _ in range(40)]
        descents.append(losses[0] - losses[-1])
    ours, textbook = descents
    assert ours > 0
    assert ours == pytest.approx(textbook, rel=1e-3)


@pytest.mark.parametrize("task", TASKS)
def test_check_refuses_each_wrong_array(task):
    expected = expectation(NetworkProblem("simple-convnet", task, 2))
    assert len(expected.values) == (1 if task == "inference" else 7)
    for number in range(len(expected.values)):
        for factor in (1.02, np.nan):
            wrong = [value.copy() for value in expected.values]
            expected.check(wrong, "right")
            wrong[number] *= factor
            with pytest.raises(ArithmeticError, match="wrong: wrong result"):
                expected.check(wrong, "wrong")
    with pytest.raises(ArithmeticError, match="short: shape"):
        expected.check([value[:-1] for value in expected.values], "short")


def test_networks_prints_the_table_and_writes_the_numbers(tmp_path, capsys):
    path = tmp_path / "networks.json"
    arguments = ["--net", "lenet5", "--rounds", "1", "--training-batch", "3", "--json", str(path)]
    networks.main(arguments)
    assert "lenet5 training" in capsys.readouterr().out
    document = read_json(path)
    assert document["benchmark"] == "networks"
    inference, training = document["results"]
    assert (inference.task, inference.batch) == ("inference", 1)
    assert (training.task, training.batch) == ("training", 3)
    assert set(training.ratios) == {"textbook"}


def written(path, benchmark, results, **settings):
    options = Namespace(json=str(path), rivals_python="python", threads=2, **settings)
    details = {"convolt": {"isa_selected": "avx2"}, "torch": {}, "onnxruntime": {}}
    write_json(benchmark, options, SimpleNamespace(details=details, left_out=[]), results)
    return str(path)


@pytest.fixture
def layers_file(tmp_path):
    def layer(name, **seconds):
        seconds = {key: [value] for key, value in seconds.items()}
        return LayerResult(seconds, "mobilenet", name, 10**9, [2.0])

    results = [
        layer("conv1", convolt=1.0, torch=4.0, onnxruntime=2.0),
        layer("conv2_1/dw", convolt=5.0, torch=2.0),
        layer("conv2", convolt=1.0),
    ]
    settings = {"direction": "forward", "dtype": "float32", "batch": 1}
    return written(tmp_path / "layers.json", "layers", results, **settings)


@pytest.fixture
def networks_file(tmp_path):
    seconds = {"convolt": [0.001], "torch": [0.004]}
    return written(
        tmp_path / "nets.json", "networks", [NetworkResult(seconds, "lenet5", "training", 100)]
    )


def test_table_by_net(layers_file, networks_file, capsys):
    report.main([layers_file, networks_file, "--table"])
    lines = capsys.readouterr().out.splitlines()
    # Geometric means of 1, 1/5, 1 GFLOP/s, of that by a peak of 2, and of the ratios 2 and 2/5.
    assert lines[2] == (
        "| forward | float32 | 1 | 2 | avx2 | mobilenet | 0.585 | 29% | 0.89 "
        "| 0.40 conv2_1/dw (torch) |"
    )
    assert lines[3] == ""
    assert lines[6] == "| lenet5 | training | 100 | 2 | avx2 | 1 | torch 4, 4.00 |"
    assert len(lines) == 7


def test_table_by_kind(layers_file, capsys):
    report.main([layers_file, "--table", "--by", "kind"])
    _, _, other, depthwise = capsys.readouterr().out.splitlines()
    assert other.endswith("| other | 1 | 50% | 2.00 | 2.00 conv1 (onnxruntime) |")
    assert depthwise.endswith("| depthwise | 0.2 | 10% | 0.40 | 0.40 conv2_1/dw (torch) |")


def test_totals_count_every_layer(layers_file, capsys):
    """Only convolt has all of them: 3 of one second, 1 of five, 4 of one; see shapes.py."""
    report.main([layers_file, "--totals"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:] == ["| forward | float32 | 1 | 2 | avx2 | mobilenet | convolt 1.2e+04 |"]


def test_json_names_no_path(layers_file):
    with open(layers_file, encoding="utf-8") as file:
        assert not {"json", "rivals_python"} & set(json.load(file)["settings"])


def test_picture(layers_file, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    monkeypatch.setenv("MPLBACKEND", "agg")
    path = tmp_path / "layers.svg"
    report.main([layers_file, "--picture", str(path)])
    assert "</svg>" in path.read_text(encoding="utf-8")


def test_picture_needs_layers(networks_file, tmp_path, capsys):
    with pytest.raises(SystemExit):
        report.main([networks_file, "--picture", str(tmp_path / "none.svg")])
    assert "--picture needs a file of run.py" in capsys.readouterr().err
