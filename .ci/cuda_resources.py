"""Print what each CUDA kernel takes of a multiprocessor; fail where one spills registers.

    cuda_resources.py BUILD_LOG

The log is that of nvcc with -Xptxas -v.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

ENTRY = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers(?:.*?, (\d+) bytes smem)?")


class Use(NamedTuple):
    """The resources of one kernel on one architecture."""

    architecture: str
    registers: int
    shared: int
    stack: int
    spilled: int


def read_log(text: str) -> dict[str, list[Use]]:
    """Return the uses of each kernel, by its mangled name."""
    uses: dict[str, list[Use]] = defaultdict(list)
    kernel, architecture, stack, spilled = "", "", 0, 0
    for line in text.splitlines():
        if entry := ENTRY.search(line):
            kernel, architecture = entry.groups()
        elif found := SPILLS.search(line):
            stack, *spills = map(int, found.groups())
            spilled = sum(spills)
        elif kernel and (found := USED.search(line)):
            registers, shared = int(found[1]), int(found[2] or 0)
            uses[kernel].append(Use(architecture, registers, shared, stack, spilled))
            kernel = ""
    return uses


def short_names(mangled: list[str]) -> list[str]:
    """Return the kernels' names without namespaces and parameters."""
    done = subprocess.run(
        ["c++filt", "-p"], input="\n".join(mangled), capture_output=True, text=True, check=True
    )
    noise = re.compile(r"convolt::cuda::|\(anonymous namespace\)::|^void |convolt::")
    return [noise.sub("", name) for name in done.stdout.splitlines()]


def span(values: tuple[int, ...]) -> str:
    """Return the range of some numbers."""
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}-{high}"


def main() -> None:
    """Print the table."""
    uses = read_log(Path(sys.argv[1]).read_text(encoding="utf-8", errors="replace"))
    if not uses:
        raise SystemExit(f"{sys.argv[1]} has no report of ptxas")
    architectures = sorted({use.architecture for kernel in uses.values() for use in kernel})
    print(f"{len(uses)} kernels for {', '.join(architectures)}")
    print(f"{'registers':>9} {'shared':>12} {'stack':>6} {'spilled':>7}  kernel")
    kernels = sorted(zip(short_names(list(uses)), uses.values(), strict=True))
    for name, kernel in kernels:
        _, *numbers = zip(*kernel, strict=True)
        registers, shared, stack, spilled = map(span, numbers)
        print(f"{registers:>9} {shared:>12} {stack:>6} {spilled:>7}  {name}")
    spilling = [name for name, kernel in kernels if any(use.spilled for use in kernel)]
    if spilling:
        raise SystemExit(f"kernels that spill registers: {', '.join(spilling)}")


if __name__ == "__main__":
    main()
