"""The contestants of one benchmark: start them, let them compute in turns, say who is left out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Protocol

import numpy as np

from contestants import Unsupported
from contestants.ours import Convolt
from worker import ISA_LIMITS, Worker, wait_until_idle


class Expectation(Protocol):
    """What the result of a problem must be."""

    samples: tuple
    """What to take of the result: for NumPy indexing."""

    def check(self, results: list[np.ndarray], who: str) -> None:
        """Raise ``ArithmeticError`` where a sample of the result is wrong."""


def add_options(parser: argparse.ArgumentParser, rivals: Mapping[str, type], default: str) -> None:
    """Add the options that all benchmarks have in common."""
    option = parser.add_argument
    names = ", ".join(rivals)
    option("--threads", type=positive, default=1, metavar="T")
    option("--rivals", default=default, metavar="NAME,...", help=f"any of {names} ({default})")
    option(
        "--rivals-python",
        default=sys.executable,
        metavar="PATH",
        help="the interpreter that has the rivals installed (the one that runs this)",
    )
    option("--isa", choices=ISA_LIMITS, help="the highest instruction set to use")
    option("--rounds", type=positive, default=5, metavar="R", help="turns of each contestant (5)")
    option("--json", metavar="FILE", help="write settings, machine and timings")


def choose_rivals(options: argparse.Namespace, rivals: Mapping[str, type]) -> dict[str, type]:
    """Return the rivals that the options name."""
    names = options.rivals.split(",")
    unknown = [name for name in names if name not in rivals]
    if unknown:
        raise SystemExit(f"--rivals must be among {', '.join(rivals)}, got {', '.join(unknown)}")
    return {name: rivals[name] for name in names}


class Contest:
    """The running contestants; use it as a context manager."""

    def __init__(
        self, ours: Mapping[str, type], rivals: Mapping[str, type], options: argparse.Namespace
    ) -> None:
        self.workers: list[Worker] = []
        self.details: dict[str, dict[str, str]] = {}
        self.left_out: list[str] = []
        self.isa = options.isa
        with ExitStack() as stack:
            for name, contestant in {**ours, **rivals}.items():
                python = _interpreter(contestant, options)
                worker = Worker(name, contestant, options.threads, python, options.isa)
                stack.enter_context(worker)
                try:
                    self.details[name] = worker.load()
                except Unsupported as reason:
                    self._leave_out(worker, reason)
                else:
                    self.workers.append(worker)
            self._processes = stack.pop_all()

    def __enter__(self) -> Contest:
        """Return the contest itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """End the processes."""
        self._processes.close()

    @property
    def names(self) -> list[str]:
        """The contestants that take part."""
        return [worker.name for worker in self.workers]

    @property
    def not_limited(self) -> list[str]:
        """Those who use the whole instruction set, though the others are limited."""
        return [name for name in self.names if self.isa and not self.details[name]["isa_limit"]]

    def print_details(self) -> None:
        """Print what the contestants say of themselves, once where several say the same."""
        names: dict[str, list[str]] = {}
        for name, description in self.details.items():
            line = ", ".join(f"{key} {value}" for key, value in description.items() if value)
            names.setdefault(line, []).append(name)
        for line in names:
            print(f"{', '.join(names[line])}: {line}")
        for name in self.not_limited:
            print(f"{name} cannot be limited to {self.isa}, so it does not count for the ratio")

    def prepare(self, problem, expected: Expectation) -> list[Worker]:
        """Have everybody compute the problem and check the results; return who is able to.

        Raises
        ------
        ArithmeticError
            If a result is wrong.
        """
        wait_until_idle()  # this process, which computed the expectation
        able = []
        for worker in self.workers:
            try:
                samples = worker.prepare(problem, expected.samples)
            except Unsupported as reason:
                self._leave_out(worker, reason)
            else:
                expected.check(samples, f"{worker.name}, {problem.name}")
                able.append(worker)
        return able

    def _leave_out(self, worker: Worker, reason: Unsupported) -> None:
        """Say why, the first time."""
        line = f"{worker.name} is left out: {reason}"
        if line not in self.left_out:
            self.left_out.append(line)
            print(line, flush=True)


def _interpreter(contestant: type, options: argparse.Namespace) -> str:
    """Return the one that has what the contestant computes with."""
    return sys.executable if issubclass(contestant, Convolt) else options.rivals_python


def positive(text: str) -> int:
    """Read an option that is a number of something."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer of at least 1, got {text}")
    return int(text)
