"""The numbers of a benchmark: what follows from the timings, and the JSON file that keeps them."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from contestants import OURS, RIVALS, RIVALS_ON_DEVICE

FUNCTION, PREPARED = OURS
OTHER_LAYOUTS = ("torch-channels-last",)


@dataclass(frozen=True)
class Result:
    """The seconds of each contestant: of the median call, in every round."""

    seconds: dict[str, list[float]]

    def median(self, name: str) -> float:
        """Seconds of the median round."""
        return statistics.median(self.seconds[name])

    def spread(self, name: str) -> float:
        """Half of the interquartile range of the rounds, relative to the median."""
        seconds = self.seconds[name]
        if len(seconds) < 2:
            return 0.0
        first, median, third = statistics.quantiles(seconds, n=4, method="inclusive")
        return (third - first) / 2 / median

    @property
    def ratios(self) -> dict[str, float]:
        """How many times faster we are than each rival."""
        ours = self.median(FUNCTION)
        return {name: self.median(name) / ours for name in self.seconds if name != FUNCTION}

    @property
    def best_rival(self) -> str | None:
        """The rival that is hardest to beat; None where no rival has this problem."""
        ratios = self.ratios
        return min(ratios, key=ratios.__getitem__, default=None)

    @property
    def ratio(self) -> float | None:
        """The ratio to the best rival."""
        return min(self.ratios.values(), default=None)


@dataclass(frozen=True)
class LayerResult(Result):
    """One pass of one layer, and the peak of the machine measured in the same rounds."""

    net: str
    layer: str
    flops: int
    peaks: list[float]
    not_limited: Sequence[str] = ()  # rivals that use a higher instruction set than we may
    moved_bytes: int = 0  # on a device: read and written, each once,
    copies: Sequence[float] = ()  # and the seconds of a copy of as many

    def gflops(self, name: str) -> float:
        """GFLOP/s of the unpadded problem."""
        return self.flops / self.median(name) / 1e9

    def share_of_peak(self, name: str) -> float:
        """GFLOP/s relative to those of bare multiply-adds in registers, in the best round."""
        return self.gflops(name) / max(self.peaks)

    @property
    def share_of_copy(self) -> float:
        """Our speed relative to that of the copy, in its best round."""
        return min(self.copies) / self.median(self.ours)

    @property
    def ours(self) -> str:
        """The contestant that speaks for us: with prepared weights, where that was timed."""
        return PREPARED if PREPARED in self.seconds else FUNCTION

    @property
    def ratios(self) -> dict[str, float]:
        """How many times faster we are than each rival, like for like.

        A rival that prepares its weights outside of the timing meets us with prepared weights, any
        other one meets the function, which packs them in each call.
        """
        counterparts, rivals = {True: self.ours, False: FUNCTION}, RIVALS | RIVALS_ON_DEVICE
        return {
            name: self.median(name) / self.median(counterparts[rivals[name].prepares_weights])
            for name in self.seconds
            if name in rivals and name not in self.not_limited
        }


@dataclass(frozen=True)
class NetworkResult(Result):
    """Inference or a training step of one network."""

    net: str
    task: str
    batch: int


@dataclass(frozen=True)
class MemoryResult(Result):
    """One operation that memory limits, and a copy of as many bytes in the same rounds."""

    net: str
    layer: str
    operation: str
    moved_bytes: int  # read and written, each once
    copies: list[float]  # seconds
    not_limited: Sequence[str] = ()  # rivals that use a higher instruction set than we may

    def gigabytes(self, name: str) -> float:
        """GB/s of the bytes that must move."""
        return self.moved_bytes / self.median(name) / 1e9

    @property
    def share_of_copy(self) -> float:
        """Our speed relative to that of the copy, in its best round."""
        return min(self.copies) / self.median(FUNCTION)

    @property
    def ratios(self) -> dict[str, float]:
        """How many times faster we are than each rival."""
        return {name: r for name, r in super().ratios.items() if name not in self.not_limited}

    @property
    def ratio_in_layout(self) -> float | None:
        """The ratio to the best rival whose arrays are in NCHW as ours."""
        ratios = (ratio for name, ratio in self.ratios.items() if name not in OTHER_LAYOUTS)
        return min(ratios, default=None)


def write_json(benchmark: str, options: Namespace, contest, results: Sequence[Result]) -> None:
    """Write the settings, the machine, the libraries, and a line for each result."""
    paths = {"json", "rivals_python"}
    head = {
        "benchmark": benchmark,
        "settings": {name: value for name, value in vars(options).items() if name not in paths},
        "machine": machine(),
        "contestants": contest.details,
        "left_out": contest.left_out,
    }
    rows = ",\n".join(json.dumps(asdict(result)) for result in results)
    text = json.dumps(head, indent=1).removesuffix("\n}") + f',\n "results": [\n{rows}\n ]\n}}\n'
    Path(options.json).write_text(text, encoding="utf-8")


def read_json(path: str) -> dict:
    """Read what ``write_json`` wrote, with the results as objects."""
    document = json.loads(Path(path).read_text(encoding="utf-8"))
    kinds = {
        "layers": LayerResult,
        "networks": NetworkResult,
        "memory": MemoryResult,
    }
    kind = kinds[document["benchmark"]]
    return document | {"results": [kind(**result) for result in document["results"]]}


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
