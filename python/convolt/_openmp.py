"""Loads the engine, and with it OpenMP, so that idle threads soon go to sleep.

Between two parallel regions the threads of GCC's OpenMP wait actively, for some milliseconds. A
NumPy network calls BLAS in between, which has threads of its own: on two cores a training step of
`SimpleConvNet` took 24 ms with the default, 13 ms with a thousand turns, and a convolution of 53 us
became no slower. The number is read once, when the library is loaded; who sets it, or
OMP_WAIT_POLICY, is left alone, and nothing stays in the environment.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType

SPIN_COUNT = "1000"


def _load_engine() -> ModuleType:
    chosen = "GOMP_SPINCOUNT" in os.environ or "OMP_WAIT_POLICY" in os.environ
    if not chosen:
        os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT
    try:
        return import_module("convolt._core")
    finally:
        if not chosen:
            del os.environ["GOMP_SPINCOUNT"]


_core = _load_engine()
