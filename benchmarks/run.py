"""Compare convolt with its rivals on the convolution layers of well-known networks.

Every contestant runs in a process of its own with the same number of threads, on the same data.
Each layer is checked against the float64 reference before it is timed, and the contestants take
turns, so that a change of the machine's speed meets all of them. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack

import report
from contestants import CONTESTANTS
from problem import PASSES, Problem, expectation
from shapes import CONVOLUTIONS
from worker import Worker

# Idle threads of OpenBLAS and OpenMP spin for a while before they sleep: let them, so that they do
# not steal time from the next contestant.
PAUSE_BETWEEN_CONTESTANTS = 0.05


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--net", choices=[*CONVOLUTIONS, "all"], default="resnet50")
    parser.add_argument("--layer", default="", metavar="SUBSTRING", help="only layers named so")
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="images in a batch")
    parser.add_argument("--threads", type=int, default=1, metavar="T")
    parser.add_argument("--pass", dest="direction", choices=PASSES, default="forward")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--rounds", type=int, default=5, metavar="R", help="turns of each one")
    parser.add_argument("--json", metavar="FILE", help="write settings, machine and all timings")
    options = parser.parse_args(arguments)
    for name in ("batch", "threads", "rounds"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(options, name)}")
    return options


def choose_problems(options: argparse.Namespace) -> list[tuple[str, Problem]]:
    """Return the problems that the options name, each with its network."""
    nets = CONVOLUTIONS if options.net == "all" else [options.net]
    return [
        (net, Problem(shape, options.batch, options.dtype, options.direction))
        for net in nets
        for shape in CONVOLUTIONS[net]
        if options.layer in shape.name
    ]


def measure(problem: Problem, workers: list[Worker], rounds: int) -> dict[str, list[float]]:
    """Check every contestant's result, then time them in turns; return the seconds of each."""
    expected = expectation(problem)
    for worker in workers:
        samples = worker.prepare(problem, expected.samples)
        expected.check(samples, f"{worker.name}, {problem.shape.name}")
    seconds = {worker.name: [] for worker in workers}
    for _ in range(rounds):
        for worker in workers:
            time.sleep(PAUSE_BETWEEN_CONTESTANTS)
            seconds[worker.name] += worker.time()
    return seconds


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    options = parse_arguments(arguments)
    problems = choose_problems(options)
    if not problems:
        raise SystemExit(f"no layer of {options.net} has {options.layer!r} in its name")
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(name, options.threads)) for name in CONTESTANTS]
        details = {worker.name: worker.details() for worker in workers}
        for name, description in details.items():
            print(f"{name}: {', '.join(f'{key} {value}' for key, value in description.items())}")
        print(
            f"{options.direction}, {options.dtype}, batch {options.batch}, "
            f"threads {options.threads}"
        )
        print(report.header([worker.name for worker in workers]))
        ours = next(worker for worker in workers if worker.name == report.OURS)
        results = []
        for net, problem in problems:
            peak = ours.fma_peak(options.dtype, options.threads)
            seconds = measure(problem, workers, options.rounds)
            results.append(report.Result(net, problem, seconds, peak))
            print(report.row(results[-1]), flush=True)
        print(report.footer(results))
    if options.json:
        report.write_json(options.json, vars(options), details, results)


if __name__ == "__main__":
    main()
