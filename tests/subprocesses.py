"""Code in a process of its own: for what ends, starves or forks the process that it runs in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment without what chooses threads or an ISA, and with the path of the tests."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "CONVOLT_"))}
    env["PYTHONPATH"] = os.pathsep.join([str(TESTS), *filter(None, [env.get("PYTHONPATH")])])
    return {**env, **extra}


def ending(status: int) -> str:
    """What an exit status means."""
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def run_script(source: str, *, timeout: float = 120, **env: str) -> str:
    """Run Python source; return what it printed. It has to end well, and in time."""
    process = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", source],
        env=clean_environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=timeout)
        result = ending(process.returncode)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its children too, which hold the pipes
        output, errors = process.communicate()
        result = f"no end within {timeout} s"
    if result != ending(0):
        pytest.fail(f"{result} of\n{source}\n{output[-2000:]}\n{errors[-4000:]}", pytrace=False)
    return output


def run_function(
    function: Callable[..., object], *args: object, timeout: float = 120, **env: str
) -> str:
    """Call a function of a test module, with arguments that `repr` can write."""
    module = Path(function.__code__.co_filename).stem
    call = f"{function.__name__}({', '.join(map(repr, args))})"
    return run_script(f"import {module}; {module}.{call}", timeout=timeout, **env)
