"""The benchmark of the algorithms of 3x3 convolution against each other."""

from __future__ import annotations

import json

import numpy as np
import pytest

import algorithms
from algorithms import NAMED, TASKS, Grid, GridResult, calls, grid, main, measure
from convolt import functional

SMALL = Grid(2, 16, 17, 6)


def test_grid_has_some_200_shapes():
    shapes = list(grid())
    assert 200 <= len(set(shapes)) == len(shapes) <= 300


@pytest.mark.parametrize("task", TASKS)
def test_measures_each_algorithm_in_each_round(task):
    result = measure(SMALL, task, rounds=2)
    assert list(result.seconds) == [*NAMED[3], "auto"]
    assert all(len(seconds) == 2 for seconds in result.seconds.values())


def test_measures_5x5():
    result = measure(Grid(1, 8, 9, 7, kernel=5), "forward", rounds=1)
    assert list(result.seconds) == ["gemm", "winograd_2x2", "auto"]


def test_loss_is_against_the_fastest():
    seconds = {"gemm": [3.0], "winograd_2x2": [2.0], "winograd_4x4": [4.0], "auto": [3.0]}
    assert GridResult(seconds, shape=SMALL, task="forward").loss == 1.5


@pytest.mark.parametrize("task", ["forward", "backward_data"])
def test_a_wrong_result_is_not_timed(monkeypatch, task):
    def wrong(function):
        def call(*arguments, **keywords):
            result = function(*arguments, **keywords)
            if keywords["algorithm"] == "winograd_4x4":
                (result.dx if task == "backward_data" else result)[0, 0, 0, 0] += 1
            return result

        return call

    for name in "conv2d", "conv2d_backward":
        monkeypatch.setattr(f"convolt.{name}", wrong(getattr(functional, name)))
    with pytest.raises(ArithmeticError, match="winograd_4x4"):
        calls(SMALL, task)


def test_writes_what_it_measured(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(algorithms, "CHANNELS", [(16, 16)])
    monkeypatch.setattr(algorithms, "SIZES", [6])
    monkeypatch.setattr(algorithms, "CHANNELS_OF_5X5", [])
    path = tmp_path / "grid.json"
    main(["--rounds", "1", "--json", str(path)])
    document = json.loads(path.read_text(encoding="utf-8"))
    shapes = [result["shape"]["batch"] for result in document["results"]]
    assert shapes == list(algorithms.BATCHES) * len(TASKS)
    assert f"{len(shapes)} results" in capsys.readouterr().out
    assert np.isfinite(
        [t for r in document["results"] for v in r["seconds"].values() for t in v]
    ).all()
