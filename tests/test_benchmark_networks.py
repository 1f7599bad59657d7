"""The benchmark of whole networks, and the reports on what benchmarks wrote."""

from __future__ import annotations

import json
import pickle
from argparse import Namespace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

import networks
import report
from contestants import Unsupported
from convolt import models
from convolt.layers import AvgPool2d, Conv2d, MaxPool2d, MinPool2d, Parallel, Sequential
from network_contestants.ours import ConvoltNetwork, ReferenceNetwork
from network_contestants.textbook import TextbookNetwork
from network_facts import describe
from network_problem import NETWORKS, TASKS, NetworkProblem, build, expectation
from results import LayerResult, NetworkResult, read_json, write_json

SMALL = [net for net in NETWORKS if net != "alexnet"]
IN_THE_TEXTBOOK = ["simple-convnet", "mnist-cnn", "lenet5"]


def test_every_network_is_known_to_the_benchmark():
    networks = {value for value in vars(models).values() if isinstance(value, type)}
    networks = {value.__name__ for value in networks if issubclass(value, Sequential)}
    assert {name for name, _ in NETWORKS.values()} == networks


@pytest.mark.parametrize("net", SMALL)
def test_facts_are_those_of_the_layers(net):
    problem, network = NetworkProblem(net, "inference", 1), build(net)
    assert problem.input_shape == network.input_shape
    shapes = [array.shape for array in problem.parameters()]
    assert shapes == [array.shape for array in network.parameters().values()]
    assert pickle.loads(pickle.dumps(problem)) == problem


def test_facts_keep_the_tree_and_the_options():
    facts = describe(
        Sequential(
            Conv2d(2, 4, (3, 5), stride=2, padding=1, activation="relu"),
            Parallel(AvgPool2d(3, stride=1, padding=1), MaxPool2d(3, stride=1, padding=1)),
        )
    )
    convolution, parallel = facts.children
    assert (convolution.kind, convolution.parameters["weight"]) == ("Conv2d", (4, 2, 3, 5))
    assert (convolution.options["stride"], convolution.options["activation"]) == ((2, 2), "relu")
    assert (facts.kind, parallel.kind) == ("Sequential", "Parallel")
    assert [child.kind for child in parallel.children] == ["AvgPool2d", "MaxPool2d"]
    assert parallel.children[0].options["kernel_size"] == (3, 3)
    assert [leaf.kind for leaf in facts.leaves()] == ["Conv2d", "AvgPool2d", "MaxPool2d"]
    with pytest.raises(ValueError, match=r"describe: layer must be one of .*, got a MinPool2d"):
        describe(Sequential(MinPool2d(2)))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("contestant", "net"),
    [
        *product([ConvoltNetwork, ReferenceNetwork], SMALL),
        *product([TextbookNetwork], IN_THE_TEXTBOOK),
    ],
)
def test_contestants_compute_what_the_reference_computes(net, task, contestant):
    problem = NetworkProblem(net, task, 4)
    expected = expectation(problem)
    mine = contestant(1)
    result = mine.as_array(mine.prepare(problem)())
    assert result.dtype == np.float32
    expected.check([result[sample] for sample in expected.samples], "mine")


@pytest.mark.parametrize("net", sorted(set(SMALL) - set(IN_THE_TEXTBOOK)))
def test_the_textbook_says_which_layers_it_lacks(net):
    with pytest.raises(Unsupported, match=f"{net} has layers not in the book: [A-Z]"):
        TextbookNetwork(1).prepare(NetworkProblem(net, "training", 1))


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


def test_batches_are_small_where_images_are_large():
    options = networks.parse_arguments(["--inference-batch", "2"])
    assert networks.batch_of("alexnet", "inference", options) == 2
    assert networks.batch_of("alexnet", "training", options) == 8
    assert networks.batch_of("lenet5", "training", options) == 100
    options = networks.parse_arguments(["--training-batch", "3"])
    assert networks.batch_of("alexnet", "training", options) == 3


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
