"""Compare convolt with its rivals on what memory limits: pooling, im2col, col2im, unfold, fold.

As in ``run.py`` every contestant has a process of its own and each result is checked before it is
timed. The yardstick is a copy that reads and writes as many bytes. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import report
from contest import Contest, add_options, choose_rivals, positive
from memory_contestants import OURS, RIVALS
from memory_problem import (
    COLUMN_MATRICES,
    OPERATIONS,
    POOLING,
    ColumnProblem,
    PoolProblem,
    expectation,
)
from results import FUNCTION, MemoryResult, write_json
from shapes import COLUMNS, POOLS

GROUPS = {"pooling": POOLING, "columns": COLUMN_MATRICES, "all": OPERATIONS}


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--operation", choices=[*OPERATIONS, *GROUPS], default="pool")
    nets = [*dict.fromkeys([*POOLS, *COLUMNS]), "all"]
    parser.add_argument("--net", choices=nets, default="googlenet")
    parser.add_argument("--layer", default="", metavar="SUBSTRING", help="only layers named so")
    parser.add_argument("--batch", type=positive, default=1, metavar="N", help="images in a batch")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    add_options(parser, RIVALS, default="numpy")
    return parser.parse_args(arguments)


def choose_problems(
    options: argparse.Namespace,
) -> Iterator[tuple[str, PoolProblem | ColumnProblem]]:
    """Yield the problems that the options name, each with its network."""
    for operation in GROUPS.get(options.operation, [options.operation]):
        layers, problem = (POOLS, PoolProblem) if operation in POOLING else (COLUMNS, ColumnProblem)
        for net in layers:
            for shape in layers[net] if options.net in (net, "all") else ():
                has_indices = shape.kind == "max" or operation != "pool_with_indices"
                if options.layer in shape.name and has_indices:
                    yield net, problem(shape, options.batch, options.dtype, operation)


def measure(
    net: str, problem: PoolProblem | ColumnProblem, contest: Contest, rounds: int
) -> MemoryResult:
    """Time the contestants in turns, and with them the copy in the process of convolt."""
    able = contest.prepare(problem, expectation(problem))
    ours = next(worker for worker in able if worker.name == FUNCTION)
    copies, seconds = [], {worker.name: [] for worker in able}
    for _ in range(rounds):
        copies.append(ours.copy(problem.moved_bytes))
        for worker in able:
            seconds[worker.name].append(worker.time())
    return MemoryResult(
        seconds,
        net,
        problem.name,
        problem.operation,
        problem.moved_bytes,
        copies,
        contest.not_limited,
    )


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    options = parse_arguments(arguments)
    problems = list(choose_problems(options))
    if not problems:
        raise SystemExit(
            f"no layer of {options.net} has {options.layer!r} in its name and {options.operation}"
        )
    with Contest(OURS, choose_rivals(options, RIVALS), options) as contest:
        contest.print_details()
        print(
            f"{options.dtype}, batch {options.batch}, threads {options.threads}; milliseconds, "
            "then GB/s of convolt"
        )
        operation, results = None, []
        for net, problem in problems:
            if problem.operation != operation:
                operation = problem.operation
                print(f"{operation}\n{report.memory_header(contest.names)}", flush=True)
            results.append(measure(net, problem, contest, options.rounds))
            print(report.memory_row(contest.names, results[-1]), flush=True)
    if options.json:
        write_json("memory", options, contest, results)


if __name__ == "__main__":
    main()
