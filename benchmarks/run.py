"""Compare convolt with its rivals on the convolution layers of well-known networks.

Every contestant runs in a process of its own with the same number of threads, on the same data.
Each layer is checked against the float64 reference before it is timed, and the contestants take
turns, so that a change of the machine's speed meets all of them. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse

import convolt
import report
from contest import Contest, add_options, choose_rivals, positive
from contestants import OURS, OURS_ON_DEVICE, RIVALS, RIVALS_ON_DEVICE
from contestants.on_device import ConvoltCuda
from problem import PASSES, Problem, expectation
from results import FUNCTION, LayerResult, write_json
from shapes import CONVOLUTIONS


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--net", choices=[*CONVOLUTIONS, "all"], default="resnet50")
    parser.add_argument("--layer", default="", metavar="SUBSTRING", help="only layers named so")
    parser.add_argument("--batch", type=positive, default=1, metavar="N", help="images in a batch")
    parser.add_argument("--pass", dest="direction", choices=PASSES, default="forward")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument(
        "--device",
        choices=("cpu", "cuda"),
        default="cpu",
        help="with cuda: arrays of the device, its own clock, and the rival torch-cuda",
    )
    add_options(parser, RIVALS | RIVALS_ON_DEVICE, default="numpy")
    parser.set_defaults(rivals=None)
    options = parser.parse_args(arguments)
    if options.rivals is None:
        options.rivals = "numpy" if options.device == "cpu" else "torch-cuda"
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


def measure(net: str, problem: Problem, contest: Contest, rounds: int) -> LayerResult:
    """Time the contestants in turns, and with them the peak of the machine."""
    able = contest.prepare(problem, expectation(problem))
    ours = next(worker for worker in able if worker.name == FUNCTION)
    peaks, copies, seconds = [], [], {worker.name: [] for worker in able}
    for _ in range(rounds):
        peaks.append(ours.fma_peak(problem.dtype))
        if issubclass(ours.contestant, ConvoltCuda):
            copies.append(ours.copy(problem.moved_bytes))
        for worker in able:
            seconds[worker.name].append(worker.time())
    return LayerResult(
        seconds,
        net,
        problem.name,
        problem.flops,
        peaks,
        contest.not_limited,
        problem.moved_bytes,
        copies,
    )


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    options = parse_arguments(arguments)
    problems = choose_problems(options)
    if not problems:
        raise SystemExit(f"no layer of {options.net} has {options.layer!r} in its name")
    on_device = options.device == "cuda"
    ours, rivals = (OURS_ON_DEVICE, RIVALS_ON_DEVICE) if on_device else (OURS, RIVALS)
    if on_device and (reason := convolt.cuda.unavailable_reason()):
        print(f"skipped: there is no CUDA device to measure: {reason}")
        return
    with Contest(ours, choose_rivals(options, rivals), options) as contest:
        contest.print_details()
        print(
            f"{options.direction}, {options.dtype}, batch {options.batch}, threads "
            f"{options.threads}; GFLOP/s"
        )
        print(report.header(contest.names, on_device), flush=True)
        results = []
        for net, problem in problems:
            results.append(measure(net, problem, contest, options.rounds))
            print(report.row(contest.names, results[-1]), flush=True)
        print(report.footer(contest.names, results))
    if options.json:
        write_json("layers", options, contest, results)


if __name__ == "__main__":
    main()
