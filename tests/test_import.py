"""Importing convolt: what it loads, and what it leaves alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from subprocesses import run_script

LOADED = """
import json, sys
import numpy
before = set(sys.modules)
import convolt, convolt.functional, convolt.reference
names = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(names - sys.stdlib_module_names)))
"""

SIDE_EFFECTS = """
import os, signal, sys, warnings
import numpy
warnings.simplefilter("error")

def state():
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    tasks = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1
    return dict(os.environ), handlers, tasks, sys.path[:], numpy.geterr()

before = state()
import convolt
assert state() == before
assert convolt.scratch_bytes() == 0
"""


def test_import_loads_numpy_and_nothing_else() -> None:
    assert set(json.loads(run_script(LOADED))) <= {"convolt", "numpy"}


def test_import_has_no_side_effects() -> None:
    """No thread, no signal handler, no warning, no scratch."""
    run_script(SIDE_EFFECTS)


@pytest.mark.parametrize("env", [{}, {"CONVOLT_MAX_ISA": "none such"}, {"OMP_NUM_THREADS": "x"}])
def test_import_does_not_depend_on_the_environment(env: dict[str, str]) -> None:
    run_script("import convolt", **env)


def test_typed() -> None:
    import convolt

    folder = Path(convolt.__file__).parent
    assert (folder / "py.typed").exists()
    assert (folder / "_core.pyi").exists()
