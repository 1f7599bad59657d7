"""What a benchmark prints and writes: the table, and a JSON file with every number behind it."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from problem import Problem

OURS, BASELINE = "convolt", "numpy"


@dataclass(frozen=True)
class Result:
    """The seconds of every timed call of each contestant, and the peak measured beside them."""

    net: str
    problem: Problem
    seconds: dict[str, list[float]]
    peak: float

    def gflops(self, name: str) -> float:
        """GFLOP/s of the unpadded problem in the median call."""
        return self.problem.flops / statistics.median(self.seconds[name]) / 1e9

    def spread(self, name: str) -> float:
        """Half of the interquartile range, relative to the median."""
        seconds = self.seconds[name]
        if len(seconds) < 2:
            return 0.0
        first, median, third = statistics.quantiles(seconds, n=4, method="inclusive")
        return (third - first) / 2 / median

    @property
    def ratio(self) -> float:
        """How many times faster we are than the baseline."""
        return self.gflops(OURS) / self.gflops(BASELINE)


def header(names: list[str]) -> str:
    """Return the first line of the table."""
    columns = "".join(f"{name + ' GFLOP/s':>22}" for name in names)
    return f"{'layer':34}{'count':>6}{columns}{'of peak':>9}{'ratio':>8}"


def row(result: Result) -> str:
    """Return the line of one layer: for each contestant the median and its spread."""
    columns = "".join(
        f"{result.gflops(name):>15.1f} ±{result.spread(name):>4.0%} " for name in result.seconds
    )
    layer = f"{result.net}:{result.problem.shape.name}"
    share = result.gflops(OURS) / result.peak
    return f"{layer:34}{result.problem.shape.count:>6}{columns}{share:>9.0%}{result.ratio:>7.2f}x"


def footer(results: list[Result]) -> str:
    """Return the last line: the geometric mean of each column."""
    mean = statistics.geometric_mean
    columns = "".join(
        f"{mean(result.gflops(name) for result in results):>15.1f}{'':7}"
        for name in results[0].seconds
    )
    share = mean(result.gflops(OURS) / result.peak for result in results)
    ratio = mean(result.ratio for result in results)
    return f"{'geometric mean':40}{columns}{share:>9.0%}{ratio:>7.2f}x"


def write_json(path: str, settings: dict, details: dict, results: list[Result]) -> None:
    """Write the settings, the machine, the libraries and all timings."""
    document = {
        "settings": settings,
        "machine": machine(),
        "contestants": details,
        "results": [
            {
                "net": result.net,
                "layer": result.problem.shape.name,
                "count": result.problem.shape.count,
                "flops": result.problem.flops,
                "fma_peak_gflops": result.peak,
                "gflops": {name: result.gflops(name) for name in result.seconds},
                "seconds": result.seconds,
            }
            for result in results
        ],
    }
    Path(path).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def machine() -> dict:
    """Describe where and when the benchmark ran, and the commit it ran on."""
    return {
        "cpu": _cpu_name(),
        "cpu_count": os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": _commit(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _commit() -> str:
    """Name the commit of the benchmark's folder, with a mark where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
