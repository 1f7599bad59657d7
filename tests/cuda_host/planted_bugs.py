"""Plant bugs in the CUDA sources, one at a time, and see the tests on the host find each.

    planted_bugs.py SOURCES BUILD PYTHON

SOURCES is a copy of the project that may be changed, BUILD the folder that it was built in for the
host with CONVOLT_CUDA_HOST, PYTHON an environment in which that build is installed. The environment
is left with the last bug, the sources are not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


class Bug(NamedTuple):
    """What is wrong, the text that it replaces, and the tests that have to notice."""

    name: str
    file: str
    right: str
    wrong: str
    tests: str


BUGS = [
    Bug(
        "a missing barrier",
        "csrc/cuda/block_reduce.cuh",
        "  shared[thread] = value;\n  __syncthreads();\n",
        "  shared[thread] = value;\n",
        "tests/test_cuda_arrays.py",
    ),
    Bug(
        "padding off by one",
        "csrc/cuda/window.cuh",
        "is_inside(ih, p.in_h)",
        "is_inside(ih, p.in_h + 1)",
        "tests/test_cuda_kernels.py",
    ),
    Bug(
        "an unchecked launch",
        "csrc/cuda/bias.cu",
        '  launch("select_gradient", select_gradient<T>, grid_of_threads(count), count, dy, y, dx)',
        "  cudaLaunchConfig_t config = {};\n"
        "  config.gridDim = config.blockDim = dim3(64);\n"
        "  static_cast<void>(cudaLaunchKernelEx(&config, select_gradient<T>, count, dy, y, dx))",
        "tests/test_cuda_layers.py",
    ),
    Bug(
        "a leak",
        "csrc/cuda/device.cu",
        "  if (data_ == nullptr) return;\n",
        "  return;\n",
        "tests/test_cuda_arrays.py",
    ),
]


@contextmanager
def planted(bug: Bug, sources: Path) -> Iterator[None]:
    """Have the bug in the sources for a while."""
    file = sources / bug.file
    text = file.read_text(encoding="utf-8")
    if text.count(bug.right) != 1:
        raise SystemExit(f"{bug.name}: {bug.file} must have the text once:\n{bug.right}")
    file.write_text(text.replace(bug.right, bug.wrong), encoding="utf-8")
    try:
        yield
    finally:
        file.write_text(text, encoding="utf-8")


def is_found(bug: Bug, sources: Path, build: Path, python: str) -> bool:
    """Build with the bug, and tell whether the tests fail."""
    command = ["cmake", "--build", build, "--target", "_cuda"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    package = subprocess.run(
        [python, "-c", "import convolt; print(*convolt.__path__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=build,
    ).stdout.strip()
    (module,) = build.glob("_cuda.*")
    shutil.copy(module, package)
    tests = subprocess.run(
        [python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", bug.tests],
        cwd=sources,
        env=os.environ | {"CONVOLT_DEVICE": "cuda-host", "HYPOTHESIS_PROFILE": "cuda-host"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    noticed = [line for line in tests.stdout.splitlines() if line.startswith("E  ")]
    print(f"{bug.name}: {noticed[0][1:].strip() if noticed else 'NOT FOUND'}", flush=True)
    return tests.returncode == 1


def main() -> None:
    """Plant each bug; fail if one is not found."""
    sources, build = (Path(path).resolve() for path in sys.argv[1:3])
    python = os.path.abspath(sys.argv[3])  # not resolved: that would leave its environment
    found = []
    for bug in BUGS:
        with planted(bug, sources):
            found.append(is_found(bug, sources, build, python))
    if not all(found):
        raise SystemExit("a planted bug was not found")


if __name__ == "__main__":
    main()
