"""The numbers of a benchmark: what follows from the timings, and the JSON file that keeps them."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from contestants import OURS, RIVALS

FUNCTION, PREPARED = OURS


@dataclass(frozen=True)
class Result:
    """The seconds of every timed call of each contestant, and the peak measured beside them."""

    net: str
    layer: str
    count: int
    flops: int
    fma_peak_gflops: float
    seconds: dict[str, list[float]]
    not_limited: tuple[str, ...] = ()  # those whose instruction set is not limited, though ours is

    def gflops(self, name: str) -> float:
        """GFLOP/s of the unpadded problem in the median call."""
        return self.flops / statistics.median(self.seconds[name]) / 1e9

    def spread(self, name: str) -> float:
        """Half of the interquartile range, relative to the median."""
        seconds = self.seconds[name]
        if len(seconds) < 2:
            return 0.0
        first, median, third = statistics.quantiles(seconds, n=4, method="inclusive")
        return (third - first) / 2 / median

    @property
    def ours(self) -> str:
        """The contestant that speaks for us: with prepared weights, where that was timed."""
        return PREPARED if PREPARED in self.seconds else FUNCTION

    @property
    def share_of_peak(self) -> float:
        """Our share of what the measured multiply-adds in registers reach."""
        return self.gflops(self.ours) / self.fma_peak_gflops

    @property
    def ratios(self) -> dict[str, float]:
        """How many times faster we are than each rival, like for like.

        A rival that prepares its weights outside of the timing meets us with prepared weights, any
        other one meets the function, which packs them in each call.
        """
        counterparts = {True: self.ours, False: FUNCTION}
        return {
            name: self.gflops(counterparts[RIVALS[name].prepares_weights]) / self.gflops(name)
            for name in self.seconds
            if name in RIVALS and name not in self.not_limited
        }

    @property
    def best_rival(self) -> str | None:
        """The rival that is hardest to beat, None where no rival has this problem."""
        return min(self.ratios, key=self.ratios.__getitem__, default=None)

    @property
    def ratio(self) -> float | None:
        """The ratio to the best rival."""
        return min(self.ratios.values(), default=None)


def write_json(path: str, settings: dict, details: dict, left_out: list, results: list) -> None:
    """Write the settings, the machine, the libraries and all timings."""
    document = {
        "settings": settings,
        "machine": machine(),
        "contestants": details,
        "left_out": left_out,
        "results": [
            vars(result)
            | {
                "gflops": {name: result.gflops(name) for name in result.seconds},
                "best_rival": result.best_rival,
                "ratio": result.ratio,
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
