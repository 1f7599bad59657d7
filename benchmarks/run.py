"""Compare convolt with its rivals on the convolution layers of well-known networks.

Every contestant runs in a process of its own with the same number of threads, on the same data.
Each layer is checked against the float64 reference before it is timed, and the contestants take
turns, so that a change of the machine's speed meets all of them. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

import report
from contestants import OURS, RIVALS, Unsupported
from problem import PASSES, Problem, expectation
from results import FUNCTION, Result, write_json
from shapes import CONVOLUTIONS
from worker import ISA_LIMITS, Worker, wait_until_idle


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--net", choices=[*CONVOLUTIONS, "all"], default="resnet50")
    parser.add_argument("--layer", default="", metavar="SUBSTRING", help="only layers named so")
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="images in a batch")
    parser.add_argument("--threads", type=int, default=1, metavar="T")
    parser.add_argument("--pass", dest="direction", choices=PASSES, default="forward")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument(
        "--rivals", default="numpy", metavar="NAME,...", help=f"among {', '.join(RIVALS)}"
    )
    parser.add_argument(
        "--rivals-python",
        default=sys.executable,
        metavar="PATH",
        help="the interpreter that has them installed (this one)",
    )
    parser.add_argument("--isa", choices=ISA_LIMITS, help="the highest instruction set to use")
    parser.add_argument("--rounds", type=int, default=5, metavar="R", help="turns of each one")
    parser.add_argument("--json", metavar="FILE", help="write settings, machine and all timings")
    options = parser.parse_args(arguments)
    for name in ("batch", "threads", "rounds"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(options, name)}")
    options.rivals = options.rivals.split(",")
    for name in options.rivals:
        if name not in RIVALS:
            parser.error(f"--rivals must be among {', '.join(RIVALS)}, got {name}")
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


class LeftOut:
    """Who could not take part in what, and why; says each reason once."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def add(self, name: str, reason: Unsupported) -> None:
        """Print a new reason."""
        line = f"{name} is left out: {reason}"
        if line not in self.reasons:
            self.reasons.append(line)
            print(line, flush=True)


def start_workers(
    stack: ExitStack, options: argparse.Namespace, left_out: LeftOut
) -> tuple[list[Worker], dict[str, dict[str, str]]]:
    """Start the contestants that are installed; return them with what they say of themselves."""
    workers, details = [], {}
    for name in [*OURS, *options.rivals]:
        python = sys.executable if name in OURS else options.rivals_python
        worker = stack.enter_context(Worker(name, options.threads, python, options.isa))
        try:
            details[name] = worker.load()
        except Unsupported as reason:
            left_out.add(name, reason)
        else:
            workers.append(worker)
    return workers, details


def print_details(details: dict[str, dict[str, str]]) -> None:
    """Print what the contestants say of themselves, once where several say the same."""
    names: dict[str, list[str]] = {}
    for name, description in details.items():
        line = ", ".join(f"{key} {value}" for key, value in description.items())
        names.setdefault(line, []).append(name)
    for line in names:
        print(f"{', '.join(names[line])}: {line}")


def measure(
    problem: Problem, workers: list[Worker], rounds: int, left_out: LeftOut
) -> dict[str, list[float]]:
    """Check every contestant's result, then time them in turns; return the seconds of each."""
    expected = expectation(problem)
    wait_until_idle()
    able = []
    for worker in workers:
        try:
            samples = worker.prepare(problem, expected.samples)
        except Unsupported as reason:
            left_out.add(worker.name, reason)
        else:
            expected.check(samples, f"{worker.name}, {problem.shape.name}")
            able.append(worker)
    seconds = {worker.name: [] for worker in able}
    for _ in range(rounds):
        for worker in able:
            seconds[worker.name] += worker.time()
    return seconds


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    options = parse_arguments(arguments)
    problems = choose_problems(options)
    if not problems:
        raise SystemExit(f"no layer of {options.net} has {options.layer!r} in its name")
    left_out = LeftOut()
    with ExitStack() as stack:
        workers, details = start_workers(stack, options, left_out)
        print_details(details)
        not_limited = tuple(n for n in details if options.isa and details[n]["isa_limit"] == "none")
        for name in not_limited:
            print(f"{name} cannot be limited to {options.isa} and does not count for the ratio")
        limit = f", at most {options.isa}" if options.isa else ""
        print(
            f"{options.direction}, {options.dtype}, batch {options.batch}, "
            f"threads {options.threads}{limit}; GFLOP/s in the median call"
        )
        names = [worker.name for worker in workers]
        print(report.header(names), flush=True)
        ours = next(worker for worker in workers if worker.name == FUNCTION)
        results = []
        for net, problem in problems:
            peak = ours.fma_peak(options.dtype, options.threads)
            seconds = measure(problem, workers, options.rounds, left_out)
            shape = problem.shape
            result = Result(net, shape.name, shape.count, problem.flops, peak, seconds, not_limited)
            results.append(result)
            print(report.row(names, result), flush=True)
        print(report.footer(names, results))
    if options.json:
        write_json(options.json, vars(options), details, left_out.reasons, results)


if __name__ == "__main__":
    main()
