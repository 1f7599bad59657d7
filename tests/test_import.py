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

SUBMODULES = """
import sys
import convolt
names = ["compat", "cuda", "data", "layers", "models", "optim", "reference", "training", "viz"]
assert not {f"convolt.{name}" for name in names} & set(sys.modules)
assert set(names) <= set(dir(convolt))
for name in names:
    assert getattr(convolt, name) is sys.modules[f"convolt.{name}"] is vars(convolt)[name]
assert convolt.reference.conv2d is not convolt.conv2d
assert not hasattr(convolt, "no_such_module")
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


def test_submodules_are_imported_when_they_are_asked_for() -> None:
    run_script(SUBMODULES)


def test_what_is_no_submodule() -> None:
    import convolt

    with pytest.raises(AttributeError, match=r"^module 'convolt' has no attribute 'conv3d'$"):
        convolt.conv3d  # noqa: B018


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
