"""No operator touches one element too much: see guarded_calls."""

from __future__ import annotations

import os

import pytest

from subprocesses import run_script

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs mprotect")


@pytest.mark.parametrize(
    "subject",
    [
        "convolutions",
        "narrow_convolutions",
        "winograd_convolutions",
        "gemm_drivers",
        "columns",
        "extrema",
        "averages",
        "square_windows",
        "global_pools",
    ],
)
def test_guard_pages(isa: str, subject: str) -> None:
    run_script(f"import guarded_calls; guarded_calls.main('{subject}', '{isa}')")


@pytest.mark.parametrize("side", ["before", "behind"])
def test_guards_are_on_guard(side: str) -> None:
    fault = "signal SIGSEGV|signal SIGBUS|AddressSanitizer"
    with pytest.raises(pytest.fail.Exception, match=fault):
        run_script(f"import guarded_calls; guarded_calls.touch_a_guard('{side}')")
