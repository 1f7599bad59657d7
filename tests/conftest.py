"""Fixtures and hypothesis profiles of the whole suite."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any

import hypothesis
import pytest

import convolt

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, max_examples=60)
hypothesis.settings.register_profile("sanitizers", derandomize=True, deadline=None, max_examples=15)
hypothesis.settings.register_profile("cuda-host", derandomize=True, deadline=None, max_examples=8)
hypothesis.settings.register_profile("dev", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


# On a CUDA device the suite runs once: no instruction sets, no threads.
ON_DEVICE = os.environ.get("CONVOLT_DEVICE", "cpu") not in ("", "cpu")
if ON_DEVICE:
    convolt.get_device()  # an error, where tests would be skipped for want of it

# What is about the engine of the CPU in every test: its kernels, its memory, its processes. Single
# tests of other files have the mark.
CPU_ONLY = (
    *("test_algorithm", "test_at_once", "test_benchmark*", "test_folded_taps"),
    *("test_gemm_drivers", "test_guard_pages", "test_isa", "test_memory", "test_plan"),
    *("test_processes", "test_threads", "test_winograd*"),
    # And what the stand-in of a device would only make longer: commands and the guide, which train
    # at length, and what computes nothing. test_cuda_training.py trains on the device.
    *("test_cli*", "test_compat_training", "test_data*", "test_guide", "test_reference"),
    *("test_strategies", "test_viz"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip on a device what is about the engine of the CPU."""
    if not ON_DEVICE:
        return
    skip = pytest.mark.skip(reason="about the engine of the CPU, runs without CONVOLT_DEVICE")
    for item in items:
        is_in_file = any(fnmatch(item.path.stem, pattern) for pattern in CPU_ONLY)
        if is_in_file or item.get_closest_marker("cpu_only"):
            item.add_marker(skip)


def _stand_in() -> Any:
    """Return what the stand-in of a CUDA device on the host knows; None where there is none."""
    if os.environ.get("CONVOLT_DEVICE") != "cuda-host":
        return None
    from convolt import _cuda

    return _cuda.host


@pytest.fixture(autouse=True)
def no_faults_on_the_stand_in() -> Iterator[None]:
    """Fail a test in which the stand-in of a CUDA device saw a fault, even if it was survived."""
    yield
    if (host := _stand_in()) is not None:
        assert host.reports() == []


@pytest.fixture(autouse=True, scope="module")
def no_leaks_on_the_stand_in() -> Iterator[None]:
    """Fail the last test of a file that leaves device memory behind."""
    host = _stand_in()
    if host is None:
        yield
    else:
        gc.collect()
        gc.freeze()  # so that tests of a file that collect garbage do so quickly
        before = host.live_objects()["bytes"]
        yield
        gc.unfreeze()
        gc.collect()
        assert host.live_objects()["bytes"] == before, "device memory was not given back"


@pytest.fixture
def numpy_on_the_cpu() -> Iterator[None]:
    """Compute NumPy arrays on the CPU, for comparison with arrays on a device."""
    convolt.set_device("cpu")
    yield
    convolt.set_device(None)


@pytest.fixture(params=["cuda"] if ON_DEVICE else convolt.build_info()["isas_supported"])
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test on every instruction set that is compiled in and that this CPU has."""
    if ON_DEVICE:
        yield request.param
        return
    convolt.set_isa(request.param)
    yield request.param
    convolt.set_isa(None)


@pytest.fixture(params=[1] if ON_DEVICE else [1, 2, 3, 7])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run the test on so many threads, more than there are cores included."""
    with convolt.num_threads(request.param):
        yield request.param
