"""A contestant in a process of its own, and the benchmark's end of the pipe to it.

Run as a script it is the process: it reads pickled (method, arguments) pairs from standard input
and answers each with the pickled result. While another contestant runs it is blocked in that read.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from time import perf_counter

import numpy as np

from problem import Problem

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
SECONDS_A_ROUND = 0.1  # short layers are called again and again for this long


class Worker:
    """A running contestant; use it as a context manager."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, __file__, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads)),
        )

    def __enter__(self) -> Worker:
        """Return the worker itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """End the process: it stops when its standard input is closed."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def details(self) -> dict[str, str]:
        """Return what the contestant says about its library."""
        return self._call("details")

    def prepare(self, problem: Problem, samples: tuple[tuple, ...]) -> list[np.ndarray]:
        """Compute the problem once; return the samples of the result."""
        return self._call("prepare", problem, samples)

    def time(self) -> list[float]:
        """Time one round of the prepared problem; return the seconds of each call."""
        return self._call("time")

    def fma_peak(self, dtype: str, threads: int) -> float:
        """Measure the GFLOP/s of bare multiply-adds in registers."""
        return self._call("fma_peak", dtype, threads)

    def _call(self, method: str, *arguments):
        try:
            pickle.dump((method, arguments), self.process.stdin)
            self.process.stdin.flush()
            return pickle.load(self.process.stdout)
        except (EOFError, BrokenPipeError):
            raise RuntimeError(f"the process of {self.name} died, its message is above") from None


class Service:
    """The methods that a ``Worker`` calls, in the process of the contestant."""

    def __init__(self, name: str) -> None:
        from contestants import CONTESTANTS

        self.contestant = CONTESTANTS[name]()
        self.compute = None

    def details(self) -> dict[str, str]:
        """See ``Worker.details``."""
        return self.contestant.details

    def prepare(self, problem: Problem, samples: tuple[tuple, ...]) -> list[np.ndarray]:
        """See ``Worker.prepare``."""
        self.compute = None  # the arrays of the previous problem go before the next are made
        self.compute = self.contestant.prepare(problem)
        result = self.compute()
        if result.dtype != problem.dtype:
            raise TypeError(f"result of dtype {result.dtype}, expected {problem.dtype}")
        return [result[sample] for sample in samples]

    def time(self) -> list[float]:
        """See ``Worker.time``."""
        self.compute()  # wakes the threads and warms the caches after the wait
        seconds = []
        end = perf_counter() + SECONDS_A_ROUND
        while not seconds or perf_counter() < end:
            start = perf_counter()
            self.compute()
            seconds.append(perf_counter() - start)
        return seconds

    def fma_peak(self, dtype: str, threads: int) -> float:
        """See ``Worker.fma_peak``."""
        from convolt import _core

        return _core.measure_fma_peak(dtype, threads)


def serve(name: str) -> None:
    """Answer calls until standard input is closed."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    service = Service(name)
    while True:
        try:
            method, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(getattr(service, method)(*arguments), answers)
        answers.flush()


if __name__ == "__main__":
    serve(sys.argv[1])
