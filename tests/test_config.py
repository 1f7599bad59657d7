"""What the build says of itself, and the settings of threads."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convolt
from subprocesses import run_function, run_script

needs_openmp = pytest.mark.skipif(
    not convolt.build_info()["openmp"], reason="this build is serial, without OpenMP"
)
needs_affinity = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="needs sched_setaffinity"
)


def in_new_thread(function: Any) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


# --- build_info ---------------------------------------------------------------------------------


def test_build_info() -> None:
    info = convolt.build_info()
    assert list(info) == [
        *("version", "compiler", "flags", "kernel_flags"),
        *("isas_compiled", "isas_supported", "isa_selected"),
        *("algorithm", "openmp", "num_threads", "cuda"),
    ]
    assert info["version"] == convolt.__version__ == version("convolt")
    assert info["compiler"].split()[0] in {"GNU", "Clang", "AppleClang", "MSVC"}
    assert "-O3" in info["kernel_flags"]
    assert "-march=native" not in info["flags"] + info["kernel_flags"]
    assert "-ffast-math" not in info["flags"] + info["kernel_flags"]
    assert set(info["isas_supported"]) <= set(info["isas_compiled"])
    assert info["isa_selected"] in info["isas_supported"]
    assert info["algorithm"] == convolt.get_algorithm()
    assert isinstance(info["openmp"], bool)
    assert info["num_threads"] == convolt.get_num_threads()
    assert info["cuda"] is (find_spec("convolt._cuda") is not None)


# --- threads ------------------------------------------------------------------------------------


@needs_openmp
def test_num_threads_nests_and_restores() -> None:
    default = convolt.get_num_threads()
    with convolt.num_threads(3):
        assert convolt.get_num_threads() == 3
        with convolt.num_threads(5):
            assert convolt.get_num_threads() == 5
            with convolt.num_threads(None):
                assert convolt.get_num_threads() == default
            assert convolt.get_num_threads() == 5
        assert convolt.get_num_threads() == 3
    assert convolt.get_num_threads() == default
    with pytest.raises(KeyError), convolt.num_threads(3):
        raise KeyError
    assert convolt.get_num_threads() == default


@needs_openmp
def test_set_num_threads_is_of_the_process_and_num_threads_of_the_thread() -> None:
    default = convolt.get_num_threads()
    try:
        convolt.set_num_threads(3)
        assert convolt.get_num_threads() == 3
        assert convolt.build_info()["num_threads"] == 3
        assert in_new_thread(convolt.get_num_threads) == 3
        with convolt.num_threads(5):
            assert convolt.get_num_threads() == 5
            assert in_new_thread(convolt.get_num_threads) == 3
        convolt.set_num_threads(np.int64(4))
        assert convolt.get_num_threads() == 4
    finally:
        convolt.set_num_threads(None)
    assert convolt.get_num_threads() == default


@needs_openmp
def test_limits_of_several_threads_do_not_meet() -> None:
    barrier = threading.Barrier(4)

    def limited(threads: int) -> int:
        with convolt.num_threads(threads):
            barrier.wait()
            return convolt.get_num_threads()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(limited, [2, 3, 4, 5])) == [2, 3, 4, 5]


@pytest.mark.parametrize("function", ["set_num_threads", "num_threads"])
@pytest.mark.parametrize(
    ("threads", "error", "expected"),
    [
        (0, ValueError, "at least 1, got 0"),
        (-1, ValueError, "at least 1, got -1"),
        (True, TypeError, "an int, got True"),
        (1.5, TypeError, "an int, got 1.5"),
        ("2", TypeError, "an int, got '2'"),
    ],
)
def test_wrong_number_of_threads(
    function: str, threads: Any, error: type[Exception], expected: str
) -> None:
    def call() -> None:
        if function == "set_num_threads":
            convolt.set_num_threads(threads)
        else:
            with convolt.num_threads(threads):
                pass

    before = convolt.get_num_threads()
    with pytest.raises(error, match=f"^{function}: threads must be {expected}"):
        call()
    assert convolt.get_num_threads() == before


def os_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def use_threads(wanted: int) -> None:
    """As many threads run as were asked for, and none for small problems."""
    x, weight = np.ones((4, 16, 64, 64)), np.ones((24, 16, 3, 3))
    before = os_threads()
    with convolt.num_threads(wanted):
        convolt.conv2d(x[:1, :, :8, :8], weight)
        assert os_threads() == before
        convolt.conv2d(x, weight)
        assert os_threads() == before + wanted - 1


@needs_openmp
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")
@pytest.mark.parametrize("wanted", [1, 2, 5])
def test_number_of_threads_is_what_runs(wanted: int) -> None:
    run_function(use_threads, wanted)


@needs_openmp
@pytest.mark.parametrize("threads", [1, 3])
def test_omp_num_threads(threads: int) -> None:
    source = "import convolt; print(convolt.get_num_threads())"
    assert int(run_script(source, OMP_NUM_THREADS=str(threads))) == threads


AFFINITY = """
import os
cpus = sorted(os.sched_getaffinity(0))
print(len(cpus))
{before}
import convolt
{after}
print(convolt.get_num_threads())
"""


@needs_openmp
@needs_affinity
@pytest.mark.parametrize("when", ["before", "after", "never"])
def test_affinity(when: str) -> None:
    lines = {"before": "", "after": ""}
    lines[when] = "os.sched_setaffinity(0, cpus[:1])"
    cpus, threads = map(int, run_script(AFFINITY.format(**lines)).split())
    assert threads == (cpus if when == "never" else 1)


def obey_threadpoolctl() -> None:
    from threadpoolctl import threadpool_info, threadpool_limits

    assert convolt.get_num_threads() == 4
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "openmp"]
    assert [pool["num_threads"] for pool in pools] == [4]
    with threadpool_limits(1):
        assert convolt.get_num_threads() == 1
        with convolt.num_threads(3):
            assert convolt.get_num_threads() == 1
    with threadpool_limits(2, user_api="openmp"):
        assert convolt.get_num_threads() == 2
    assert convolt.get_num_threads() == 4


@needs_openmp
def test_threadpoolctl() -> None:
    run_function(obey_threadpoolctl, OMP_NUM_THREADS="4")
