"""The benchmark of pooling and column matrices: right data, right results, right figures."""

from __future__ import annotations

import math
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pytest

import convolt
import memory_bound
import report
import worker
from convolt import reference
from memory_contestants.numpy_loops import NumPyLoops
from memory_contestants.ours import ConvoltMemory
from memory_problem import (
    COLUMN_MATRICES,
    OPERATIONS,
    POOLING,
    ColumnProblem,
    PoolProblem,
    expectation,
)
from results import MemoryResult, read_json, write_json
from shapes import COLUMNS, POOLS, Conv2dShape, Pool2dShape

PADDED = ((1, 0), (1, 0))
ROUNDED_UP = ((0, 1), (0, 1))
NO_PADDING = ((0, 0), (0, 0))
SMALL_POOLS = [
    Pool2dShape("max", "max", 1, 3, (9, 7), (4, 3), (3, 3), (2, 2), NO_PADDING),
    Pool2dShape("max padded", "max", 1, 7, (8, 8), (4, 4), (3, 3), (2, 2), PADDED),
    Pool2dShape("max rounded up", "max", 1, 2, (8, 10), (4, 5), (3, 3), (2, 2), ROUNDED_UP),
    Pool2dShape("average", "average", 1, 2, (6, 8), (3, 4), (2, 2), (2, 2), NO_PADDING),
    Pool2dShape("global", "average", 1, 8, (7, 7), (1, 1), (7, 7), (1, 1), NO_PADDING),
]
SMALL_COLUMNS = [
    Conv2dShape("plain", 1, 2, 4, (6, 7), (4, 5), (3, 3), (1, 1), NO_PADDING),
    Conv2dShape(
        "awkward", 1, 7, 6, (11, 9), (5, 7), (3, 2), (2, 1), ((2, 1), (0, 0)), dilation=(2, 2)
    ),
]
PROBLEMS = [
    PoolProblem(shape, 3, "float32", operation)
    for shape in SMALL_POOLS
    for operation in POOLING
    if shape.kind == "max" or operation != "pool_with_indices"
] + [
    ColumnProblem(shape, 3, "float32", operation)
    for shape in SMALL_COLUMNS
    for operation in COLUMN_MATRICES
]


def identify(problem):
    return f"{problem.name} {problem.operation}"


@pytest.mark.parametrize("contestant", [ConvoltMemory, NumPyLoops])
@pytest.mark.parametrize("problem", PROBLEMS, ids=identify)
def test_contestants_compute_what_the_reference_computes(problem, contestant):
    mine, expected = contestant(1), expectation(problem)
    compute = mine.prepare(problem)
    for _ in range(2):  # the buffers are as good for the second call
        result = mine.as_array(compute())
        assert result.dtype == np.float32
        expected.check([result[sample] for sample in expected.samples], contestant.__name__)


@pytest.mark.parametrize("problem", PROBLEMS, ids=identify)
def test_check_refuses_a_wrong_result(problem):
    expected = expectation(problem)
    (right,) = (value.astype(np.float32) for value in expected.values)
    expected.check([right], "right")
    for index in (0, -1):
        for wrong_value in (right.flat[index] + 1e-3, np.nan):
            wrong = right.copy()
            wrong.flat[index] = wrong_value
            with pytest.raises(ArithmeticError, match="wrong: wrong result"):
                expected.check([wrong], "wrong")
    with pytest.raises(ArithmeticError, match="short: shape"):
        expected.check([right[:-1]], "short")


def test_copies_must_be_exact():
    for problem in PROBLEMS:
        (bound,) = expectation(problem).bounds
        is_copy = problem.operation in ("im2col", "unfold", "pool_with_indices")
        is_copy |= problem.operation == "pool" and problem.shape.kind == "max"
        assert np.all(bound == 0) == is_copy


def test_bytes_are_those_of_the_arrays():
    for problem in PROBLEMS:
        if isinstance(problem, ColumnProblem):
            arrays = [problem.images(), problem.columns()]
        else:
            arrays = [problem.images(), problem.output_gradients()]
            if problem.operation != "pool" and problem.shape.kind == "max":
                x, arguments = arrays[0], problem.arguments()
                arrays.append(reference.max_pool2d(x, return_indices=True, **arguments)[1])
        assert problem.moved_bytes == sum(array.nbytes for array in arrays)


def test_columns_of_some_images_are_a_part_of_all():
    for operation in ("col2im", "fold"):
        problem = ColumnProblem(SMALL_COLUMNS[0], 3, "float32", operation)
        whole, last = problem.columns(), problem.columns([2])
        np.testing.assert_array_equal(last, whole[-len(last) :])


@pytest.mark.parametrize("net", POOLS)
def test_ceil_mode_gives_the_listed_output_size(net):
    for shape in POOLS[net]:
        size = convolt.pool_output_size(
            *(shape.input_size, shape.kernel_size, shape.stride, shape.padding_before),
            ceil_mode=shape.ceil_mode,
        )
        assert size == shape.output_size


def test_column_matrices_are_each_listed_once():
    for shapes in COLUMNS.values():
        matrices = [
            (shape.in_channels, shape.input_size, shape.kernel_size, shape.stride, shape.padding)
            for shape in shapes
        ]
        assert len(matrices) == len(set(matrices)) > 0
        assert all(math.prod(shape.kernel_size) > 1 for shape in shapes)


def memory_result(seconds, **others):
    seconds = {name: [value] for name, value in seconds.items()}
    arguments = {"net": "lenet", "layer": "pool", "operation": "pool", "moved_bytes": 6 * 10**9}
    return MemoryResult(seconds, **{**arguments, "copies": [3.0, 1.0], **others})


def test_figures_follow_from_the_timings():
    seconds = {"convolt": 2.0, "torch": 12.0, "torch-channels-last": 5.0, "onnxruntime": 1.0}
    result = memory_result(seconds, not_limited=["onnxruntime"])
    assert result.gigabytes("convolt") == 3.0
    assert result.share_of_copy == 0.5
    assert (result.best_rival, result.ratio, result.ratio_in_layout) == (
        *("torch-channels-last", 2.5),
        6.0,
    )
    alone = memory_result({"convolt": 2.0})
    assert (alone.best_rival, alone.ratio, alone.ratio_in_layout) == (None, None, None)


def test_a_copy_takes_time_and_answers():
    service = worker.Service()
    service.load(ConvoltMemory, 1)
    assert 0 < service.copy(1000) < worker.SECONDS_A_ROUND


@pytest.mark.parametrize("operation", ["all", "pooling", "columns", *OPERATIONS])
def test_every_operation_has_problems(operation):
    options = memory_bound.parse_arguments(["--operation", operation, "--net", "simple-convnet"])
    found = [problem.operation for _, problem in memory_bound.choose_problems(options)]
    wanted = memory_bound.GROUPS.get(operation, [operation])
    pools = {"pool": 2, "pool_with_indices": 1, "pool_backward": 2}
    assert found == [name for name in wanted for _ in range(pools.get(name, 1))]


def test_prints_the_table_and_writes_the_numbers(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(worker, "SECONDS_A_ROUND", 0.0)
    path = tmp_path / "memory.json"
    arguments = ["--net", "simple-convnet", "--operation", "all", "--rounds", "1"]
    memory_bound.main([*arguments, "--layer", "max", "--json", str(path)])
    printed = capsys.readouterr().out
    assert printed.count("simple-convnet:max_pool") == 3
    document = read_json(path)
    assert document["benchmark"] == "memory"
    assert [result.operation for result in document["results"]] == list(POOLING)
    for result in document["results"]:
        assert result.best_rival == "numpy"
        assert result.share_of_copy > 0


def test_refuses_a_choice_without_problems():
    with pytest.raises(SystemExit, match="no layer of lenet has '' in its name and pool"):
        memory_bound.main(["--net", "lenet", "--operation", "pool"])


def test_report_makes_a_table(tmp_path, capsys):
    path = tmp_path / "memory.json"
    options = Namespace(json=str(path), threads=1, dtype="float32", batch=2)
    details = {"convolt": {"isa_selected": "avx2"}}
    results = [
        memory_result({"convolt": 2.0, "torch": 4.0, "torch-channels-last": 3.0}),
        memory_result({"convolt": 1.0, "torch": 8.0}, layer="second"),
        memory_result({"convolt": 1.0}, operation="im2col"),
    ]
    write_json("memory", options, SimpleNamespace(details=details, left_out=[]), results)
    report.main([str(path), "--table"])
    _, _, *lines = capsys.readouterr().out.splitlines()
    start = "| float32 | 2 | 1 | avx2 | lenet |"
    # Means of 3 and 6 GB/s, of shares 1/2 and 1, of the ratios 1.5 and 8, 2 and 8.
    assert lines == [
        f"| pool {start} 3e+03 | 4.24 | 71% | 3.46 | 4.00 | 1.50 pool (torch-channels-last) |",
        f"| im2col {start} 1e+03 | 6 | 100% | - | - | - |",
    ]
