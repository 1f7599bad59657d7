"""PreparedConv2d: the bits of conv2d, from weights that it has copied."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convolt
from conv2d_cases import (
    CASES,
    DIRECT,
    LARGE,
    assert_same,
    assert_same_bits,
    direct,
    for_fixtures,
    normal,
)
from convolt import functional, reference
from memory_layouts import LAYOUTS
from strategies import Conv2dCase, conv2d_cases, conv2d_operands, exact_integers, seeds

BACKENDS = pytest.mark.parametrize("backend", [functional, reference], ids=["convolt", "reference"])
WINOGRAD = [
    pytest.param(name, marks=pytest.mark.cpu_only) for name in ("winograd_2x2", "winograd_4x4")
]
NAMED = pytest.mark.parametrize("algorithm", ["gemm", *WINOGRAD])
activations = st.sampled_from([None, "relu"])


def ones(*shape: int, dtype: Any = np.float32) -> Any:
    return np.ones(shape, dtype)


# --- the same convolution -----------------------------------------------------------------------


@for_fixtures
@given(conv2d_cases(), seeds, activations, st.sampled_from(DIRECT))
def test_same_bits_as_conv2d(
    isa: str, case: Conv2dCase, seed: int, activation: str | None, algorithm: str
) -> None:
    x, weight = normal(seed, case.x_shape, case.weight_shape, dtype=case.dtype)
    bias = conv2d_operands(case, seed).bias
    parameters = {**direct(case, algorithm), "activation": activation}
    prepared = functional.PreparedConv2d(weight, bias, **parameters)
    expected = functional.conv2d(x, weight, bias, **parameters)
    for _ in range(2):
        assert_same_bits(prepared(x), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_fixed_cases(isa: str, name: str, dtype: Any) -> None:
    case = CASES[name]
    x, weight, bias, _ = (array.astype(dtype) for array in conv2d_operands(case, 1))
    prepared = functional.PreparedConv2d(weight, bias, **case.parameters)
    assert_same(prepared(x), functional.conv2d(x, weight, bias, **case.parameters))


@pytest.mark.parametrize("name", LARGE)
def test_same_bits_for_any_number_of_threads(isa: str, threads: int, name: str) -> None:
    case = LARGE[name]
    x, weight = normal(3, case.x_shape, case.weight_shape)
    prepared = functional.PreparedConv2d(weight, **case.parameters)
    y = prepared(x)
    with convolt.num_threads(1):
        assert_same_bits(y, functional.conv2d(x, weight, **case.parameters))


def test_images_of_many_sizes() -> None:
    """Narrow products want other panels of the weight than wide ones."""
    weight, bias = normal(4, (37, 5, 3, 3), (37,))
    prepared = functional.PreparedConv2d(weight, bias, padding=1)
    for size in (1, 40, 2, 7, 1, 64, 3):
        (x,) = normal(size, (2, 5, size, size + 1))
        assert_same_bits(prepared(x), functional.conv2d(x, weight, bias, padding=1))


def test_an_image_of_the_size_of_the_filters() -> None:
    """It is a product without a window; the panels are those that other images want."""
    weight, bias = normal(4, (37, 5, 3, 4), (37,))
    prepared = functional.PreparedConv2d(weight, bias)
    for size in ((3, 4), (4, 4), (3, 4), (30, 20)):
        (x,) = normal(1, (2, 5, *size))
        assert_same_bits(prepared(x), functional.conv2d(x, weight, bias))


@NAMED
@pytest.mark.cpu_only
def test_instruction_sets_in_turn(algorithm: str) -> None:
    x, weight = normal(5, (1, 16, 12, 12), (40, 16, 3, 3))
    prepared = functional.PreparedConv2d(weight, algorithm=algorithm)
    try:
        for _ in range(2):
            for isa in convolt.build_info()["isas_supported"]:
                convolt.set_isa(isa)
                expected = functional.conv2d(x, weight, algorithm=algorithm)
                assert_same_bits(prepared(x), expected)
    finally:
        convolt.set_isa(None)


@NAMED
def test_first_calls_from_several_threads(algorithm: str) -> None:
    x, weight = normal(6, (1, 32, 9, 9), (64, 32, 3, 3))
    expected = functional.conv2d(x, weight, algorithm=algorithm)
    for _ in range(20):
        prepared = functional.PreparedConv2d(weight, algorithm=algorithm)
        with ThreadPoolExecutor(8) as pool:
            for y in pool.map(prepared, [x] * 16):
                assert_same_bits(y, expected)


@BACKENDS
@pytest.mark.parametrize("stride", [1, 2, (3, 2)])
@pytest.mark.parametrize("padding", ["valid", "full", "same", "same_upper", "same_lower"])
def test_named_padding_follows_the_image(backend: Any, padding: str, stride: Any) -> None:
    if padding == "same" and stride != 1:
        return
    rng = np.random.default_rng(7)
    weight = exact_integers(rng, (3, 2, 4, 3), np.float32)
    prepared = backend.PreparedConv2d(weight, stride=stride, padding=padding)
    for size in ((5, 6), (6, 5), (7, 9), (5, 6)):
        x = exact_integers(rng, (2, 2, *size), np.float32)
        assert_same(prepared(x), reference.conv2d(x, weight, stride=stride, padding=padding))


# --- arrays -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("argument", ["x", "weight", "bias"])
def test_layout_does_not_matter(argument: str, layout: str) -> None:
    x, weight, bias = normal(8, (2, 4, 6, 7), (6, 4, 3, 2), (6,))
    expected = functional.conv2d(x, weight, bias)
    arrays = {"x": x, "weight": weight, "bias": bias}
    arrays[argument] = LAYOUTS[layout](arrays[argument])
    before = arrays[argument].tobytes()
    prepared = functional.PreparedConv2d(arrays["weight"], arrays["bias"])
    assert_same_bits(prepared(arrays["x"]), expected)
    assert arrays[argument].tobytes() == before


@BACKENDS
def test_later_changes_of_the_weight_are_not_seen(backend: Any) -> None:
    weight, bias = ones(2, 3, 2, 2), ones(2)
    x = ones(1, 3, 4, 4)
    prepared = backend.PreparedConv2d(weight, bias)
    weight[:] = np.nan
    bias[:] = np.nan
    for size in (4, 2):
        assert (prepared(x[:, :, :size, :size]) == 13).all()


@BACKENDS
def test_the_weight_may_be_freed(backend: Any) -> None:
    prepared = [backend.PreparedConv2d(ones(2, 1, 1, 1) * i) for i in range(50)]
    for i, convolution in enumerate(prepared):
        assert (convolution(ones(1, 1, 3, 3)) == i).all()


PARAMETERS = [
    {},
    {"stride": (2, 1), "padding": "same_upper", "dilation": 2, "activation": "relu"},
    pytest.param(
        {"padding": ((1, 2), (0, 3)), "groups": 2, "algorithm": "winograd_4x4"},
        marks=pytest.mark.cpu_only,
    ),
]


@BACKENDS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("parameters", PARAMETERS)
@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]
)
def test_a_copy_computes_the_same(
    backend: Any, parameters: dict[str, Any], with_bias: bool, dtype: Any, duplicate: Any
) -> None:
    groups = parameters.get("groups", 1)
    x, weight, bias = normal(10, (2, 4, 9, 8), (6, 4 // groups, 3, 3), (6,), dtype=dtype)
    prepared = backend.PreparedConv2d(weight, bias if with_bias else None, **parameters)
    expected = prepared(x)
    weight[:] = np.nan
    other = duplicate(prepared)
    del prepared
    assert_same_bits(other(x), expected)


@pytest.mark.parametrize("relay", [np.copy, np.asfortranarray])
def test_out_is_written_and_returned(relay: Any) -> None:
    x, weight = normal(9, (2, 4, 6, 7), (6, 4, 3, 2))
    out = np.full((2, 6, 4, 6), np.nan, np.float32)
    prepared = functional.PreparedConv2d(weight)
    assert prepared(relay(x), out) is out
    assert_same(out, functional.conv2d(x, weight))
    assert prepared(x, out=out) is out


def test_out_that_overlaps_the_images() -> None:
    memory = ones(3, 2, 5, 5)
    prepared = functional.PreparedConv2d(ones(2, 2, 1, 1))
    for x in (memory[:2], memory[:2][::-1]):
        with pytest.raises(ValueError, match=r"^PreparedConv2d: out must not share memory with x"):
            prepared(x, memory[1:])
    assert (memory == 1).all()


# --- errors -------------------------------------------------------------------------------------

BAD_PARAMETERS = [
    ((ones(4, 3, 3),), {}, ValueError, "weight must be (OC, C/groups, KH, KW) with KH, KW >= 1"),
    ((ones(4, 3, 0, 3),), {}, ValueError, "weight must be (OC, C/groups, KH, KW) with KH, KW >= 1"),
    ((ones(4, 3, 3, 3, dtype=int),), {}, TypeError, "weight must be float32 or float64, got int64"),
    ((ones(4, 3, 3, 3), ones(3)), {}, ValueError, "bias must have shape (OC,) = (4,), got (3,)"),
    ((ones(4, 3, 3, 3), ones(4, dtype=float)), {}, TypeError, "bias must be float32"),
    ((ones(4, 3, 3, 3),), {"groups": 3}, ValueError, "groups must divide the first axis of weight"),
    ((ones(4, 3, 3, 3),), {"groups": 0}, ValueError, "groups must be at least 1, got 0"),
    ((ones(4, 3, 3, 3),), {"stride": 0}, ValueError, "stride must be at least 1, got 0"),
    ((ones(4, 3, 3, 3),), {"dilation": 1.5}, TypeError, "dilation must be an int or a pair"),
    ((ones(4, 3, 3, 3),), {"padding": -1}, ValueError, "padding must not be negative, got -1"),
    ((ones(4, 3, 3, 3),), {"padding": "no"}, ValueError, "padding must be one of valid, full"),
    (
        (ones(4, 3, 3, 3),),
        {"padding": "same", "stride": 2},
        ValueError,
        "padding='same' must come with stride 1, got stride (2, 2)",
    ),
    (
        (ones(4, 3, 3, 3),),
        {"activation": "gelu"},
        ValueError,
        "activation must be None or 'relu', got 'gelu'",
    ),
]

BAD_IMAGES = [
    (ones(3, 8, 8), ValueError, "x must be (N, C, H, W), got shape (3, 8, 8); for a single image"),
    (ones(2, 3, 0, 8), ValueError, "x must have H, W >= 1, got shape (2, 3, 0, 8)"),
    (ones(2, 8, 8, 3), ValueError, "x looks like NHWC, x.transpose(0, 3, 1, 2) makes it NCHW"),
    (ones(2, 3, 2, 8), ValueError, "kernel_size must fit into the padded input"),
    (ones(2, 3, 8, 8, dtype=int), TypeError, "x must be float32 or float64, got int64"),
    (
        ones(2, 3, 8, 8, dtype=float),
        TypeError,
        "x must be float32 as the other operand is, got float64",
    ),
]


@BACKENDS
@pytest.mark.parametrize(("arguments", "keywords", "error", "message"), BAD_PARAMETERS)
def test_parameters_are_refused_at_once(
    backend: Any, arguments: Any, keywords: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        backend.PreparedConv2d(*arguments, **keywords)
    assert str(caught.value).startswith("PreparedConv2d: ")
    assert message in str(caught.value)


@BACKENDS
@pytest.mark.parametrize(("x", "error", "message"), BAD_IMAGES)
def test_images_are_refused_in_a_call(
    backend: Any, x: Any, error: type[Exception], message: str
) -> None:
    prepared = backend.PreparedConv2d(ones(4, 3, 3, 3))
    with pytest.raises(error) as caught:
        prepared(x)
    assert str(caught.value).startswith("PreparedConv2d: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (ones(1, 4, 6, 5), ValueError, r"out must have shape \(1, 4, 6, 6\), got \(1, 4, 6, 5\)"),
        (ones(1, 4, 6, 6, dtype=float), TypeError, "out must have dtype float32, got float64"),
        (ones(1, 4, 6, 12)[..., ::2], ValueError, "out must be C-contiguous and aligned"),
        ([1.0], TypeError, "out must be a NumPy array, got list"),
    ],
)
def test_out_that_does_not_fit(out: Any, error: type[Exception], message: str) -> None:
    prepared = functional.PreparedConv2d(ones(4, 3, 3, 3))
    with pytest.raises(error, match=f"^PreparedConv2d: {message}"):
        prepared(ones(1, 3, 8, 8), out)
