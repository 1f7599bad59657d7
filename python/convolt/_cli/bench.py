"""``python -m convolt bench``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import convolt
from convolt import functional, reference
from convolt._cli.options import Commands, add_threads, count, set_threads

Array = NDArray[Any]
_Run = Callable[[ModuleType], Array]

# Relative to the largest value: far above rounding in float32, Winograd's included.
_AGREEMENT = 1e-3


class _Case(NamedTuple):
    """An operation on one input, to be done by either module."""

    operation: str
    shape: str
    run: _Run


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "bench",
        help="time convolt against pure NumPy on a few shapes",
        description="Time convolt against convolt.reference, which is pure NumPy, on a few "
        "shapes. Results are compared before anything is timed.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("--batch", type=count, default=1, metavar="N", help="images at once (1)")
    parser.add_argument(
        "--repeats", type=count, default=7, metavar="N", help="runs of each, the fastest counts (7)"
    )
    add_threads(parser)


def run(options: argparse.Namespace) -> None:
    """Print a table."""
    set_threads(options)
    isa, threads = convolt.build_info()["isa_selected"], convolt.get_num_threads()
    print(f"float32, N = {options.batch}, {isa}, threads: {threads}")
    print(f"milliseconds, the fastest of {options.repeats}\n")
    print(f"{'operation':23} {'input':20} {'convolt':>9} {'NumPy':>9} {'ratio':>7}")
    for case in _cases(options.batch):
        ours, numpys = _timed(case, options.repeats)
        print(
            f"{case.operation:23} {case.shape:20} {ours * 1e3:9.3f} {numpys * 1e3:9.2f} "
            f"{numpys / ours:7.1f}",
            flush=True,
        )


def _cases(batch: int) -> Iterator[_Case]:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> Array:
        return rng.standard_normal(shape, dtype=np.float32)

    for channels, size, filters, kernel in ((1, 28, 30, 5), (64, 56, 64, 3), (256, 14, 64, 1)):
        x, weight = draw(batch, channels, size, size), draw(filters, channels, kernel, kernel)
        dy = draw(batch, filters, size - kernel + 1, size - kernel + 1)
        shape = f"{channels}x{size}x{size}, {filters} {kernel}x{kernel}"
        yield _Case("conv2d", shape, _forward(x, weight))
        yield _Case("conv2d_backward dx", shape, _backward("dx", dy, x, weight))
        yield _Case("conv2d_backward dweight", shape, _backward("dweight", dy, x, weight))
    x = draw(batch, 64, 56, 56)
    yield _Case("max_pool2d", "64x56x56, 2x2", lambda module: module.max_pool2d(x, 2))
    yield _Case("avg_pool2d", "64x56x56, 2x2", lambda module: module.avg_pool2d(x, 2))
    yield _Case("im2col", "64x56x56, 3x3", lambda module: module.im2col(x, 3, padding=1))


def _forward(x: Array, weight: Array) -> _Run:
    return lambda module: module.conv2d(x, weight)


def _backward(gradient: str, dy: Array, x: Array, weight: Array) -> _Run:
    return lambda module: getattr(module.conv2d_backward(dy, x, weight, needs=[gradient]), gradient)


def _timed(case: _Case, repeats: int) -> tuple[float, float]:
    """Return the least seconds of convolt and of NumPy, run in turns."""
    result, expected = case.run(functional), case.run(reference)
    difference, limit = np.abs(result - expected).max(), _AGREEMENT * np.abs(expected).max()
    if not difference <= limit:
        raise RuntimeError(
            f"bench: {case.operation} of {case.shape} must agree with NumPy to {limit:.2g}, "
            f"got a difference of {difference:.2g}"
        )
    seconds: dict[ModuleType, list[float]] = {functional: [], reference: []}
    for _ in range(repeats):
        for module, times in seconds.items():
            start = time.perf_counter()
            case.run(module)
            times.append(time.perf_counter() - start)
    return min(seconds[functional]), min(seconds[reference])
