"""Check that ``import convolt`` takes under 20 ms beyond the import of NumPy."""

from __future__ import annotations

import statistics
import subprocess
import sys

LIMIT_MS = 20
MEASURE = """
import time, numpy
start = time.perf_counter()
import convolt
print(1000 * (time.perf_counter() - start))
"""


def main() -> int:
    """Measure in fresh interpreters; return the exit status."""
    times = [
        float(
            subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, check=True).stdout
        )
        for _ in range(11)
    ]
    median = statistics.median(times)
    print(
        f"import convolt: {median:.1f} ms beyond numpy (from {min(times):.1f} to {max(times):.1f})"
    )
    return 0 if median < LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
