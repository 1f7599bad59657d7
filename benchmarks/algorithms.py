"""Compare the algorithms of 3x3 and 5x5 convolution, and "auto" with the best of them.

A grid of shapes from tiny maps to large ones, from few channels to many; what the choice of "auto"
costs against the fastest algorithm is the last column. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from time import perf_counter
from types import SimpleNamespace

import numpy as np

from contest import positive
from results import Result, write_json
from worker import ISA_LIMITS

NAMED = {3: ("gemm", "winograd_2x2", "winograd_4x4"), 5: ("gemm", "winograd_2x2")}
TASKS = ("forward", "prepared", "backward_data", "backward_weights")
CHANNELS = [
    *((8, 16), (32, 8), (16, 16), (16, 64), (32, 32), (64, 16), (32, 128), (64, 64)),
    *((96, 208), (64, 192), (128, 128), (256, 64), (160, 320), (256, 256), (512, 128), (512, 512)),
]
CHANNELS_OF_5X5 = [(8, 16), (16, 32), (24, 64), (48, 128), (96, 256), (256, 256)]
SIZES = (4, 6, 7, 10, 14, 20, 28, 56)
SIZES_OF_5X5 = (7, 14, 28)
BATCHES = (1, 8)
MOST_FLOPS = 4e9
SECONDS_A_ROUND = 0.02


@dataclass(frozen=True)
class Grid:
    """A layer that keeps the size of square images."""

    batch: int
    in_channels: int
    out_channels: int
    size: int
    kernel: int = 3

    @property
    def flops(self) -> int:
        """Floating-point operations of the direct sum."""
        taps, channels = self.kernel**2, self.in_channels * self.out_channels
        return 2 * taps * self.batch * channels * self.size**2

    def __str__(self) -> str:
        """Describe it in a table."""
        channels = f"{self.in_channels} -> {self.out_channels}"
        return f"{self.batch} x {channels}, {self.size}, {self.kernel}x{self.kernel}"


@dataclass(frozen=True)
class GridResult(Result):
    """The seconds of each algorithm."""

    shape: Grid = field(kw_only=True)
    task: str = field(kw_only=True)

    @property
    def loss(self) -> float:
        """The time of "auto" over that of the best algorithm."""
        return self.median("auto") / min(self.median(name) for name in NAMED[self.shape.kernel])


def grid() -> Iterator[Grid]:
    """Yield the shapes."""
    for kernel, all_channels, sizes in (
        (3, CHANNELS, SIZES),
        (5, CHANNELS_OF_5X5, SIZES_OF_5X5),
    ):
        for channels, size, batch in product(all_channels, sizes, BATCHES):
            shape = Grid(batch, *channels, size, kernel)
            if shape.flops <= MOST_FLOPS:
                yield shape


def calls(shape: Grid, task: str) -> dict[str, Callable[[], object]]:
    """Return a call of each algorithm, checked against the direct sum."""
    import convolt

    rng = np.random.default_rng(0)
    image = (shape.batch, shape.in_channels, shape.size, shape.size)
    x = rng.standard_normal(image, np.float32)
    dy = rng.standard_normal((shape.batch, shape.out_channels, *image[2:]), np.float32)
    kernel = (shape.kernel, shape.kernel)
    weight = rng.standard_normal((shape.out_channels, shape.in_channels, *kernel), np.float32)
    out = np.empty_like(dy)

    def call(algorithm: str) -> Callable[[], np.ndarray]:
        options = {"padding": shape.kernel // 2, "algorithm": algorithm}
        if task == "prepared":
            prepared = convolt.PreparedConv2d(weight, **options)
            return lambda: prepared(x, out=out)
        if task == "forward":
            return lambda: convolt.conv2d(x, weight, out=out, **options)
        gradient = "dx" if task == "backward_data" else "dweight"
        return lambda: getattr(
            convolt.conv2d_backward(dy, x, weight, needs=(gradient,), **options), gradient
        )

    result = {name: call(name) for name in (*NAMED[shape.kernel], "auto")}
    expected = result["gemm"]().copy()
    for name, function in result.items():
        error = np.abs(function() - expected).max() / np.abs(expected).max()
        if not error < 1e-5:
            raise ArithmeticError(f"{name}: {shape}, {task} is {error:.1e} off")
    return result


def time_call(function: Callable[[], object]) -> float:
    """Return the seconds of the median call of one round."""
    seconds = []
    end = perf_counter() + SECONDS_A_ROUND
    while not seconds or perf_counter() < end:
        start = perf_counter()
        function()
        seconds.append(perf_counter() - start)
    return statistics.median(seconds)


def measure(shape: Grid, task: str, rounds: int) -> GridResult:
    """Time the algorithms in turns."""
    functions = calls(shape, task)
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            seconds[name].append(time_call(function))
    return GridResult(seconds, shape=shape, task=task)


def row(result: GridResult) -> str:
    """Return a line of the table: GFLOP/s of the direct sum."""
    rates = "".join(
        f"{result.shape.flops / result.median(name) / 1e9:14.1f}"
        if name in result.seconds
        else f"{'-':>14}"
        for name in (*NAMED[3], "auto")
    )
    return f"{result.task:17}{result.shape!s:28}{rates}{result.loss:8.2f}"


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=positive, default=1, metavar="T")
    parser.add_argument("--task", choices=[*TASKS, "all"], default="all")
    parser.add_argument("--isa", choices=ISA_LIMITS, help="the highest instruction set to use")
    parser.add_argument("--rounds", type=positive, default=5, metavar="R")
    parser.add_argument("--json", metavar="FILE", help="write settings, machine and timings")
    options = parser.parse_args(arguments)
    os.environ.update(ISA_LIMITS.get(options.isa, {}))
    import convolt

    results = []
    print(f"{'':45}" + "".join(f"{name:>14}" for name in (*NAMED[3], "auto")) + "    loss")
    with convolt.num_threads(options.threads):
        for task in TASKS if options.task == "all" else [options.task]:
            for shape in grid():
                results.append(measure(shape, task, options.rounds))
                print(row(results[-1]), flush=True)
    losses = sorted(result.loss for result in results)
    print(
        f"{len(losses)} results; auto against the best algorithm: geometric mean "
        f"{statistics.geometric_mean(losses):.3f}, worst {losses[-1]:.2f}, "
        f"{sum(loss > 1.1 for loss in losses)} beyond 1.1"
    )
    if options.json:
        details = {name: str(value) for name, value in convolt.build_info().items()}
        contest = SimpleNamespace(details={"convolt": details}, left_out=[])
        write_json("algorithms", options, contest, results)


if __name__ == "__main__":
    main()
