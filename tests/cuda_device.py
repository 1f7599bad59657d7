"""Which tests need a CUDA device, or the stand-in for one."""

from __future__ import annotations

import pytest

import convolt

needs_device = pytest.mark.skipif(
    not convolt.cuda.is_available(), reason=str(convolt.cuda.unavailable_reason())
)
needs_stand_in = pytest.mark.skipif(
    not (convolt.cuda.is_available() and convolt.cuda._load.module().is_host_stand_in()),
    reason="needs the stand-in for a CUDA device",
)
