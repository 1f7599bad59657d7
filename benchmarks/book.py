"""Compare a script of "Deep Learning from Scratch" on the book's layers and on their drop-in.

The layers are the book's method in plain NumPy, and ``convolt.compat.deep_learning_from_scratch``;
all else is the same script. Both compute in float64, and must agree to 1e-10 before anything is
timed. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse

import report
from book_contestants import OURS, RIVALS
from book_problem import TASKS, BookProblem, expectation
from contest import Contest, add_options, choose_rivals, positive
from results import NetworkResult, write_json


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--task", choices=[*TASKS, "all"], default="all")
    parser.add_argument("--batch", type=positive, default=100, metavar="N")
    add_options(parser, RIVALS, default="book")
    return parser.parse_args(arguments)


def measure(problem: BookProblem, contest: Contest, rounds: int) -> NetworkResult:
    """Time the contestants in turns."""
    able = contest.prepare(problem, expectation(problem))
    seconds = {worker.name: [] for worker in able}
    for _ in range(rounds):
        for worker in able:
            seconds[worker.name].append(worker.time())
    return NetworkResult(seconds, problem.net, problem.task, problem.batch)


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    options = parse_arguments(arguments)
    with Contest(OURS, choose_rivals(options, RIVALS), options) as contest:
        contest.print_details()
        print(f"float64, threads {options.threads}; milliseconds, and how many times convolt's")
        print(report.network_header(contest.names))
        results = []
        for task in TASKS if options.task == "all" else [options.task]:
            problem = BookProblem(task, 1 if task == "loss, small" else options.batch)
            results.append(measure(problem, contest, options.rounds))
            print(report.network_row(contest.names, results[-1]), flush=True)
    if options.json:
        write_json("networks", options, contest, results)


if __name__ == "__main__":
    main()
