"""A contestant in a process of its own, and the benchmark's end of the pipe to it.

Run as a script it is the process: it reads pickled (method, arguments) pairs from standard input
and answers each with the pickled result, once none of its threads is busy any more. While another
contestant runs it is blocked in that read.
"""

from __future__ import annotations

import os
import pickle
import statistics
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter, process_time, sleep

import numpy as np

from contestants import Unsupported

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
ISA_LIMITS = {
    "baseline": {
        "CONVOLT_MAX_ISA": "baseline",
        "OPENBLAS_CORETYPE": "Nehalem",
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
    "avx2": {
        "CONVOLT_MAX_ISA": "avx2",
        "OPENBLAS_CORETYPE": "Haswell",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
}
SECONDS_A_ROUND = 0.1  # short layers are called again and again for this long

# Between two parallel regions the threads of most libraries wait actively, for up to some 0.1 s.
# They are left to it, since that makes the next call faster; but it must not slow another one down.
IDLE_SHARE = 0.05  # of the time of one core
IDLE_SECONDS = 0.01
BUSY_AT_MOST = 10.0


def wait_until_idle() -> None:
    """Return when no thread of this process computes or waits actively any more."""
    deadline = perf_counter() + BUSY_AT_MOST
    while perf_counter() < deadline:
        busy, start = process_time(), perf_counter()
        sleep(IDLE_SECONDS)
        if process_time() - busy < IDLE_SHARE * (perf_counter() - start):
            return
    raise RuntimeError(f"threads are still busy {BUSY_AT_MOST:.0f} s after the last call")


class Worker:
    """A running contestant; use it as a context manager."""

    def __init__(
        self,
        name: str,
        contestant: type,
        threads: int,
        python: str = sys.executable,
        isa: str | None = None,
    ) -> None:
        self.name, self.contestant, self.threads = name, contestant, threads
        variables = dict.fromkeys(THREAD_VARIABLES, str(threads)) | ISA_LIMITS.get(isa, {})
        self.process = subprocess.Popen(
            [python, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | variables,
        )

    def __enter__(self) -> Worker:
        """Return the worker itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """End the process: it stops when its standard input is closed."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def load(self) -> dict[str, str]:
        """Load the contestant's library; return what it says about itself.

        Raises
        ------
        Unsupported
            If the library is not installed.
        """
        return self._call("load", self.contestant, self.threads)

    def prepare(self, problem, samples: tuple) -> list[np.ndarray]:
        """Compute the problem once; return the samples of the result.

        Raises
        ------
        Unsupported
            If the library cannot compute it.
        """
        return self._call("prepare", problem, samples)

    def time(self) -> float:
        """Time one round of the prepared problem; return the seconds of its median call."""
        return self._call("time")

    def fma_peak(self, dtype: str) -> float:
        """Measure the GFLOP/s of bare multiply-adds in registers, on all threads."""
        return self._call("fma_peak", dtype, self.threads)

    def copy(self, size: int) -> float:
        """Time a copy that reads and writes so many bytes together; return its seconds."""
        return self._call("copy", size)

    def _call(self, method: str, *arguments):
        try:
            pickle.dump((method, arguments), self.process.stdin)
            self.process.stdin.flush()
            answer = pickle.load(self.process.stdout)
        except (EOFError, BrokenPipeError):
            raise RuntimeError(f"the process of {self.name} died, its message is above") from None
        if isinstance(answer, Unsupported):
            raise answer
        return answer


class Service:
    """The methods that a ``Worker`` calls, in the process of the contestant."""

    def load(self, contestant: type, threads: int) -> dict[str, str]:
        """See ``Worker.load``."""
        try:
            self.contestant = contestant(threads)
        except ModuleNotFoundError as error:
            raise Unsupported(f"not installed: {error}") from None
        limits = [
            f"{variable}={os.environ[variable]}"
            for variable in self.contestant.isa_variables
            if variable in os.environ
        ]
        return self.contestant.details | {"isa_limit": " ".join(limits)}

    def prepare(self, problem, samples: tuple) -> list[np.ndarray]:
        """See ``Worker.prepare``."""
        self.compute = None  # the arrays of the previous problem go before the next are made
        self.compute = self.contestant.prepare(problem)
        result = self.contestant.as_array(self.compute())
        if result.dtype != problem.dtype:
            raise TypeError(f"result of dtype {result.dtype}, expected {problem.dtype}")
        return [result[sample] for sample in samples]

    def time(self) -> float:
        """See ``Worker.time``."""
        return _median_call(self.compute, self.contestant.time)

    def fma_peak(self, dtype: str, threads: int) -> float:
        """See ``Worker.fma_peak``."""
        return self.contestant.fma_peak(dtype, threads)

    def copy(self, size: int) -> float:
        """See ``Worker.copy``."""
        return _median_call(self.contestant.copy(size), self.contestant.time)


def _median_call(
    function: Callable[[], object], time: Callable[[Callable[[], object]], float]
) -> float:
    """Call it for a round; return the seconds of the median call."""
    function()  # wakes the threads and warms the caches after the wait
    seconds = []
    end = perf_counter() + SECONDS_A_ROUND
    while not seconds or perf_counter() < end:
        seconds.append(time(function))
    return statistics.median(seconds)


def serve() -> None:
    """Answer calls until standard input is closed."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    service = Service()
    while True:
        try:
            method, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = getattr(service, method)(*arguments)
        except Unsupported as reason:
            answer = reason
        wait_until_idle()
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    serve()
