"""Compare the networks of ``convolt.models`` in convolt, in PyTorch, and in NumPy.

Inference of one image, and a training step: forward, loss, backward, Adam. Each result is compared
with ``convolt.reference`` in float64 before anything is timed. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse

import report
from contest import Contest, add_options, choose_rivals, positive
from network_contestants import OURS, RIVALS
from network_problem import NETWORKS, TASKS, TRAINING_BATCHES, NetworkProblem, expectation
from results import NetworkResult, write_json


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--net", choices=[*NETWORKS, "all"], default="all")
    parser.add_argument("--task", choices=[*TASKS, "all"], default="all")
    parser.add_argument("--inference-batch", type=positive, default=1, metavar="N")
    parser.add_argument(
        "--training-batch", type=positive, metavar="N", help="100, and 8 for large images"
    )
    add_options(parser, RIVALS, default="textbook")
    return parser.parse_args(arguments)


def batch_of(net: str, task: str, options: argparse.Namespace) -> int:
    """Return how many images a task takes."""
    if task == "inference":
        return options.inference_batch
    return options.training_batch or TRAINING_BATCHES.get(net, 100)


def measure(problem: NetworkProblem, contest: Contest, rounds: int) -> NetworkResult:
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
    nets = NETWORKS if options.net == "all" else [options.net]
    tasks = TASKS if options.task == "all" else [options.task]
    with Contest(OURS, choose_rivals(options, RIVALS), options) as contest:
        contest.print_details()
        print(f"float32, threads {options.threads}; milliseconds, and how many times convolt's")
        print(report.network_header(contest.names))
        results = []
        for net in nets:
            for task in tasks:
                problem = NetworkProblem(net, task, batch_of(net, task, options))
                results.append(measure(problem, contest, options.rounds))
                print(report.network_row(contest.names, results[-1]), flush=True)
    if options.json:
        write_json("networks", options, contest, results)


if __name__ == "__main__":
    main()
