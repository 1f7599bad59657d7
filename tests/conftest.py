"""Fixtures and hypothesis profiles of the whole suite."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

import convolt

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, max_examples=60)
hypothesis.settings.register_profile("sanitizers", derandomize=True, deadline=None, max_examples=25)
hypothesis.settings.register_profile("dev", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(params=convolt.build_info()["isas_supported"])
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test on every instruction set that is compiled in and that this CPU has."""
    convolt.set_isa(request.param)
    yield request.param
    convolt.set_isa(None)


@pytest.fixture(params=[1, 2, 3, 7])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run the test on so many threads, more than there are cores included."""
    with convolt.num_threads(request.param):
        yield request.param
