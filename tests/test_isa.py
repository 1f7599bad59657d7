"""Instruction sets: which one is chosen, and that all of them agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convolt
from strategies import (
    Conv2dCase,
    Pool2dCase,
    conv2d_cases,
    conv2d_operands,
    exact_integers,
    pool2d_cases,
    seeds,
)
from subprocesses import run_script

KNOWN = ["baseline", "neon", "avx2", "avx512"]
COMPILED = convolt.build_info()["isas_compiled"]
SUPPORTED = convolt.build_info()["isas_supported"]
EXPECTED = f"name must be one of {', '.join(SUPPORTED)}, got "

SELECTED = "import convolt; print(convolt.build_info()['isa_selected'])"
FIRST_USE = """
import numpy as np, convolt
x = np.ones((1, 1, 3, 3))
for use in (lambda: convolt.conv2d(x, x), convolt.build_info):
    try:
        use()
    except ValueError as error:
        print(error)
convolt.set_isa("{known}")
convolt.conv2d(x, x)
"""


# --- the choice ---------------------------------------------------------------------------------


def test_names() -> None:
    assert set(SUPPORTED) <= set(COMPILED) <= set(KNOWN)
    assert [name for name in KNOWN if name in SUPPORTED] == SUPPORTED  # in ascending order


@pytest.mark.parametrize("name", SUPPORTED)
def test_max_isa(name: str) -> None:
    assert run_script(SELECTED, CONVOLT_MAX_ISA=name).strip() == name


@pytest.mark.parametrize("env", [{}, {"CONVOLT_MAX_ISA": ""}])
def test_default_is_the_highest(env: dict[str, str]) -> None:
    assert run_script(SELECTED, **env).strip() == SUPPORTED[-1]


def why_not(name: str) -> str:
    if name not in KNOWN:
        return "is not the name of an instruction set"
    if name not in COMPILED:
        return "is not compiled into this build"
    return "is not supported by this CPU"


WRONG = ["sse9", "AVX2", "avx2 ", *(name for name in KNOWN if name not in SUPPORTED)]


@pytest.mark.parametrize("name", WRONG)
def test_wrong_max_isa_is_an_error_at_first_use(name: str) -> None:
    output = run_script(FIRST_USE.format(known=SUPPORTED[0]), CONVOLT_MAX_ISA=name)
    message = f"CONVOLT_MAX_ISA: {EXPECTED}'{name}', which {why_not(name)}"
    assert output.splitlines() == [message, message]


@pytest.mark.parametrize("name", WRONG)
def test_wrong_name_changes_nothing(isa: str, name: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        convolt.set_isa(name)
    assert str(error.value) == f"set_isa: {EXPECTED}'{name}', which {why_not(name)}"
    assert convolt.build_info()["isa_selected"] == isa


def test_what_is_no_name_changes_nothing(isa: str) -> None:
    for wrong in (1, b"baseline", ["baseline"], False, 0):
        with pytest.raises(TypeError, match=r"^set_isa: name must be a str or None, got ") as error:
            convolt.set_isa(wrong)
        assert str(error.value).endswith(repr(wrong))
    with pytest.raises(ValueError, match="got '', which is not the name"):
        convolt.set_isa("")
    assert convolt.build_info()["isa_selected"] == isa


def test_set_isa(isa: str) -> None:
    assert convolt.build_info()["isa_selected"] == isa
    convolt.set_isa(None)
    assert convolt.build_info()["isa_selected"] == SUPPORTED[-1]


def test_none_goes_back_to_the_environment() -> None:
    source = "import convolt; convolt.set_isa('{}'); convolt.set_isa(None);" + SELECTED
    low, high = SUPPORTED[0], SUPPORTED[-1]
    assert run_script(source.format(high), CONVOLT_MAX_ISA=low).strip() == low


# --- agreement ----------------------------------------------------------------------------------


def on_every_isa(function: str, *args: Any, **kwargs: Any) -> list[list[bytes]]:
    """The bits of each result on each instruction set."""
    results = []
    try:
        for name in SUPPORTED:
            convolt.set_isa(name)
            result = getattr(convolt, function)(*args, **kwargs)
            arrays = result if isinstance(result, tuple) else (result,)
            results.append([(array + 0.0).tobytes() for array in arrays])  # one sign of zero
    finally:
        convolt.set_isa(None)
    return results


def assert_agreement(function: str, *args: Any, **kwargs: Any) -> None:
    first, *others = on_every_isa(function, *args, **kwargs)
    assert all(other == first for other in others)


@settings(max_examples=30)
@given(conv2d_cases(), seeds)
def test_convolutions_agree(case: Conv2dCase, seed: int) -> None:
    x, weight, bias, dy = conv2d_operands(case, seed)
    assert_agreement("conv2d", x, weight, bias, **case.parameters)
    assert_agreement("conv2d_backward", dy, x, weight, **case.parameters)


@settings(max_examples=30)
@given(pool2d_cases(dilated=False), seeds, st.booleans())
def test_poolings_agree(case: Pool2dCase, seed: int, count_include_pad: bool) -> None:
    x = exact_integers(np.random.default_rng(seed), case.x_shape, case.dtype)
    assert_agreement("max_pool2d", x, return_indices=True, **case.parameters)
    average = {**case.average_parameters, "count_include_pad": count_include_pad}
    assert_agreement("avg_pool2d", x, **average)
    assert_agreement("global_avg_pool2d", x)
