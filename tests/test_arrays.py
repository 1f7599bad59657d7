"""The array policy of every operator: what it takes, what it refuses, where it writes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from conv2d_cases import assert_same
from convolt import functional
from memory_layouts import LAYOUTS
from strategies import exact_integers

NAN = np.nan
IMAGE, FILTERS = (2, 4, 6, 7), (6, 2, 3, 2)
WINDOW = {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)}


class Operator(NamedTuple):
    """The float arrays that a function takes, in its order, and the rest of its arguments."""

    shapes: dict[str, tuple[int, ...]]
    keywords: dict[str, Any]
    writes_out: bool = True


POOLED = {"dy": (2, 4, 3, 6)}
BACKWARD = {"input_shape": IMAGE, "indices": np.arange(144).reshape(2, 4, 3, 6) % 42, **WINDOW}
CONVOLUTION = {"groups": 2, "stride": 2, "padding": 1}
ALL_INDICES = np.arange(8).reshape(2, 4, 1, 1)

OPERATORS = {
    "conv2d": Operator({"x": IMAGE, "weight": FILTERS, "bias": (6,)}, CONVOLUTION),
    "conv2d_backward": Operator(
        {"dy": (2, 6, 3, 4), "x": IMAGE, "weight": FILTERS, "y": (2, 6, 3, 4)},
        {**CONVOLUTION, "activation": "relu"},
        writes_out=False,
    ),
    "conv_transpose2d": Operator({"x": (2, 6, 3, 4), "weight": FILTERS, "bias": (4,)}, CONVOLUTION),
    "conv_transpose2d_backward": Operator(
        {"dy": (2, 4, 5, 6), "x": (2, 6, 3, 4), "weight": FILTERS}, CONVOLUTION, writes_out=False
    ),
    "im2col": Operator({"x": IMAGE}, WINDOW),
    "unfold": Operator({"x": IMAGE}, WINDOW),
    "col2im": Operator({"col": (36, 24)}, {"input_shape": IMAGE, **WINDOW}),
    "fold": Operator({"col": (2, 24, 18)}, {"output_size": (6, 7), **WINDOW}),
    "max_pool2d": Operator({"x": IMAGE}, WINDOW),
    "min_pool2d": Operator({"x": IMAGE}, WINDOW),
    "avg_pool2d": Operator({"x": IMAGE}, WINDOW),
    "max_pool2d_backward": Operator(POOLED, BACKWARD, writes_out=False),
    "min_pool2d_backward": Operator(POOLED, BACKWARD, writes_out=False),
    "avg_pool2d_backward": Operator(POOLED, {"input_shape": IMAGE, **WINDOW}, writes_out=False),
    "global_avg_pool2d": Operator({"x": IMAGE}, {}),
    "global_max_pool2d": Operator({"x": IMAGE}, {}),
    "global_avg_pool2d_backward": Operator(
        {"dy": (2, 4, 1, 1)}, {"input_shape": IMAGE}, writes_out=False
    ),
    "global_max_pool2d_backward": Operator(
        {"dy": (2, 4, 1, 1)}, {"input_shape": IMAGE, "indices": ALL_INDICES}, writes_out=False
    ),
    # With eps beyond any variance drawn, which may be negative here.
    "batch_norm2d": Operator(
        {"x": IMAGE, "weight": (4,), "bias": (4,), "mean": (4,), "var": (4,)},
        {"eps": 100.0},
        writes_out=False,
    ),
    "batch_norm2d_backward": Operator(
        {"dy": IMAGE, "x": IMAGE, "weight": (4,), "mean": (4,), "var": (4,)},
        {"eps": 100.0},
        writes_out=False,
    ),
    "local_response_norm": Operator({"x": IMAGE}, {"size": 3}, writes_out=False),
    "local_response_norm_backward": Operator(
        {"dy": IMAGE, "x": IMAGE}, {"size": 3}, writes_out=False
    ),
}
OPTIONAL = {
    "batch_norm2d": ("weight", "bias", "mean", "var"),
    "batch_norm2d_backward": ("weight",),
}
WRITERS = [name for name, operator in OPERATORS.items() if operator.writes_out]
ARGUMENTS = [(name, argument) for name, op in OPERATORS.items() for argument in op.shapes]
INDEXED = [name for name, operator in OPERATORS.items() if "indices" in operator.keywords]


def arrays_of(name: str, dtype: Any = np.float32) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    shapes = OPERATORS[name].shapes
    return {argument: exact_integers(rng, shape, dtype) for argument, shape in shapes.items()}


def call(name: str, arrays: dict[str, Any], **keywords: Any) -> tuple[Any, ...]:
    """Return all results as a tuple."""
    operator = OPERATORS[name]
    result = getattr(functional, name)(**arrays, **{**operator.keywords, **keywords})
    return result if isinstance(result, tuple) else (result,)


def assert_as_new(results: tuple[Any, ...], inputs: Any) -> None:
    """C-contiguous, native and writeable plain arrays with memory of their own."""
    for result in results:
        assert type(result) is np.ndarray
        assert result.flags.c_contiguous
        assert result.flags.aligned
        assert result.flags.writeable
        assert result.dtype.isnative
        assert not any(np.shares_memory(result, array) for array in inputs)


def test_every_operator_is_here() -> None:
    helpers = {"Conv2dGradients", "PreparedConv2d", "conv_output_size", "pool_output_size"}
    helpers |= {"BatchNorm2dGradients", "BatchNorm2dOutput"}
    assert set(OPERATORS) == set(functional.__all__) - helpers


# --- what is taken ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", OPERATORS)
def test_layout_does_not_matter(name: str, layout: str, dtype: Any) -> None:
    arrays = arrays_of(name, dtype)
    relaid = {argument: LAYOUTS[layout](array) for argument, array in arrays.items()}
    before = {argument: array.tobytes() for argument, array in relaid.items()}
    results = call(name, relaid)
    assert_as_new(results, relaid.values())
    for result, expected in zip(results, call(name, arrays), strict=True):
        assert result.dtype == dtype
        assert_same(result, expected)
    for argument, array in relaid.items():
        assert array.tobytes() == before[argument]


@pytest.mark.parametrize("name", OPERATORS)
def test_first_axis_of_stride_zero(name: str) -> None:
    arrays = {
        argument: np.broadcast_to(array[:1], array.shape)
        for argument, array in arrays_of(name).items()
    }
    plain = {argument: array.copy() for argument, array in arrays.items()}
    for result, expected in zip(call(name, arrays), call(name, plain), strict=True):
        assert_same(result, expected)


class Subclass(np.ndarray):
    pass


@pytest.mark.parametrize("name", OPERATORS)
def test_subclasses_give_plain_arrays(name: str, tmp_path: Path) -> None:
    arrays = arrays_of(name)
    expected = call(name, arrays)
    mapped = {}
    for argument, array in arrays.items():
        mapped[argument] = np.memmap(tmp_path / argument, np.float32, "w+", shape=array.shape)
        mapped[argument][...] = array
        mapped[argument].flush()
    read_only = {
        argument: np.memmap(tmp_path / argument, np.float32, "r", shape=array.shape)
        for argument, array in arrays.items()
    }
    viewed = {argument: array.view(Subclass) for argument, array in arrays.items()}
    for inputs in (mapped, read_only, viewed):
        results = call(name, inputs)
        assert_as_new(results, inputs.values())
        for result, wanted in zip(results, expected, strict=True):
            assert_same(result, wanted)


@pytest.mark.parametrize("name", OPERATORS)
def test_copies_of_the_dtype(name: str) -> None:
    arrays = arrays_of(name)
    annotated = np.dtype(np.float32, metadata={"unit": "lux"})
    for copies in (
        pickle.loads(pickle.dumps(arrays)),
        {a: array.view(pickle.loads(pickle.dumps(array.dtype))) for a, array in arrays.items()},
        {argument: array.astype(annotated) for argument, array in arrays.items()},
        {argument: array.astype("<f4") for argument, array in arrays.items()},
    ):
        for result, expected in zip(call(name, copies), call(name, arrays), strict=True):
            assert_same(result, expected)


@pytest.mark.parametrize("name", INDEXED)
@pytest.mark.parametrize("relay", [
    lambda a: a.astype(np.uint8), lambda a: a.astype(np.int32), lambda a: a.astype(">i8"),
    lambda a: a.astype(np.uint64), np.asfortranarray, lambda a: a[:, ::-1].copy()[:, ::-1],
    LAYOUTS["misaligned"], LAYOUTS["read_only"],
])  # fmt: skip
def test_indices_of_any_integers(name: str, relay: Callable[[Any], Any]) -> None:
    arrays = arrays_of(name)
    indices = relay(OPERATORS[name].keywords["indices"])
    before = indices.tobytes()
    (result,) = call(name, arrays, indices=indices)
    assert_same(result, *call(name, arrays))
    assert indices.tobytes() == before


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [
    np.int8, np.uint8, np.int32, np.int64, bool, np.float16, np.longdouble, np.complex64, object,
    "S4", "M8[s]",
])  # fmt: skip
@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_other_dtypes(name: str, argument: str, dtype: Any) -> None:
    arrays = arrays_of(name)
    arrays[argument] = np.zeros(arrays[argument].shape, dtype)
    kind = np.dtype(dtype)
    with pytest.raises(TypeError) as error:
        call(name, arrays)
    assert str(error.value) == f"{name}: {argument} must be float32 or float64, got {kind}"


@pytest.mark.parametrize(
    ("name", "argument"), [(n, a) for n, a in ARGUMENTS if len(OPERATORS[n].shapes) > 1]
)
def test_mixed_dtypes(name: str, argument: str) -> None:
    arrays = arrays_of(name)
    arrays[argument] = arrays[argument].astype(np.float64)
    text = f"{argument} must be float32 as the other operand is, got float64"
    if argument == "x":  # the one that the others are compared with
        text = r"\w+ must be float64 as the other operand is, got float32"
    with pytest.raises(TypeError, match=f"^{name}: {text}"):
        call(name, arrays)


@pytest.mark.parametrize(
    ("value", "kind"), [([[[[1.0]]]], "list"), (None, "NoneType"), (1.0, "float"), ("x", "str"),
                        (np.float32(1), "float32"), (memoryview(b"abcd"), "memoryview")]
)  # fmt: skip
@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_what_is_no_array(name: str, argument: str, value: Any, kind: str) -> None:
    if value is None and argument in OPTIONAL.get(name, ("bias", "y")):
        return
    with pytest.raises(TypeError) as error:
        call(name, {**arrays_of(name), argument: value})
    assert str(error.value) == f"{name}: {argument} must be a NumPy array, got {kind}"


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_masked_arrays(name: str, argument: str) -> None:
    arrays = arrays_of(name)
    arrays[argument] = np.ma.masked_array(arrays[argument], mask=arrays[argument] > 0)
    text = f"^{name}: {argument} must be a plain array, got a masked array.*filled"
    with pytest.raises(TypeError, match=text):
        call(name, arrays)


@pytest.mark.parametrize("name", INDEXED)
def test_indices_that_are_none(name: str) -> None:
    indices = OPERATORS[name].keywords["indices"]
    for wrong, text in (
        (indices.astype(np.float64), "indices must be integers, got float64"),
        (indices > 0, "indices must be integers, got bool"),
        (indices.tolist(), "indices must be a NumPy array, got list"),
        (np.ma.masked_array(indices), "indices must be a plain array, got a masked array"),
    ):
        with pytest.raises(TypeError, match=f"^{name}: {text}"):
            call(name, arrays_of(name), indices=wrong)


# --- out ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_out_is_written_and_returned(name: str, dtype: Any) -> None:
    arrays = arrays_of(name, dtype)
    (expected,) = call(name, arrays)
    out = np.full_like(expected, NAN)
    assert getattr(functional, name)(**arrays, **OPERATORS[name].keywords, out=out) is out
    assert_same(out, expected)


@pytest.mark.parametrize("name", ["max_pool2d", "min_pool2d", "global_max_pool2d"])
def test_out_beside_indices(name: str) -> None:
    arrays = arrays_of(name)
    expected, expected_indices = call(name, arrays, return_indices=True)
    out = np.full_like(expected, NAN)
    y, indices = call(name, arrays, return_indices=True, out=out)
    assert y is out
    assert_same(y, expected)
    assert_same(indices, expected_indices)


UNFIT = {
    "float64": (lambda a: a.astype(np.float64), TypeError, "out must have dtype float32, got flo"),
    "int32": (lambda a: a.astype(np.int32), TypeError, "out must have dtype float32, got int32"),
    "byte-swapped": (LAYOUTS["byte_swapped"], TypeError, "out must have dtype float32, got .f4"),
    "one row more": (
        lambda a: np.concatenate([a, a[:1]]), ValueError, r"out must have shape \(.*\), got \("
    ),
    "one axis more": (lambda a: a[np.newaxis], ValueError, r"out must have shape \(.*got \(1, "),
    "flat": (lambda a: a.ravel(), ValueError, r"out must have shape \(.*\), got \(\d+,\)"),
    "first axis innermost": (
        lambda a: np.moveaxis(np.resize(a, (*a.shape[1:], a.shape[0])), -1, 0),
        ValueError, "out must be C-contiguous and aligned",
    ),
    "stepped": (
        LAYOUTS["stepped"], ValueError, r"out must be C-contiguous and aligned, got strides \("
    ),
    "reversed": (LAYOUTS["reversed"], ValueError, "out must be C-contiguous and aligned"),
    "misaligned": (
        LAYOUTS["misaligned"], ValueError,
        "out must be C-contiguous and aligned, got misaligned elements, strides",
    ),
    "read-only": (LAYOUTS["read_only"], ValueError, "out must be writeable, got a read-only array"),
    "list": (lambda a: a.tolist(), TypeError, "out must be a NumPy array, got list"),
    "masked": (np.ma.masked_array, TypeError, "out must be a NumPy array, got MaskedArray"),
    "subclass": (lambda a: a.view(Subclass), TypeError, "out must be a NumPy array, got Subcla"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNFIT)
@pytest.mark.parametrize("name", WRITERS)
def test_out_that_does_not_fit(name: str, case: str) -> None:
    relay, error, text = UNFIT[case]
    arrays = arrays_of(name)
    (expected,) = call(name, arrays)
    out = relay(np.full_like(expected, 7))
    with pytest.raises(error, match=f"^{name}: {text}"):
        call(name, arrays, out=out)
    assert (np.asarray(out) == 7).all()


OUT_ARGUMENTS = [(name, argument) for name, argument in ARGUMENTS if name in WRITERS]


def one_block(array: Any, result: Any, gap: int) -> tuple[Any, Any]:
    """Return a copy of `array` and an out like `result`, which begins `gap` elements behind it."""
    block = np.zeros(array.size + result.size, array.dtype)
    block[: array.size] = array.ravel()
    out = block[gap : gap + result.size].reshape(result.shape)
    return block[: array.size].reshape(array.shape), out


@pytest.mark.parametrize(("name", "argument"), OUT_ARGUMENTS)
def test_out_that_overlaps_an_input(name: str, argument: str) -> None:
    arrays = arrays_of(name)
    (expected,) = call(name, arrays)
    for gap in (0, 1, arrays[argument].size - 1):
        shared, out = one_block(arrays[argument], expected, gap)
        with pytest.raises(ValueError, match=f"^{name}: out must not share memory with {argument}"):
            call(name, {**arrays, argument: shared}, out=out)
        np.testing.assert_array_equal(shared, arrays[argument])


@pytest.mark.parametrize(("name", "argument"), OUT_ARGUMENTS)
def test_out_that_overlaps_an_input_of_any_layout(name: str, argument: str) -> None:
    """Also where the engine would read a copy: the caller's input would be lost."""
    arrays = arrays_of(name)
    (expected,) = call(name, arrays)
    shared, out = one_block(arrays[argument], expected, 0)
    with pytest.raises(ValueError, match=f"^{name}: out must not share memory with {argument}"):
        call(name, {**arrays, argument: shared[::-1]}, out=out)
    np.testing.assert_array_equal(shared, arrays[argument])


@pytest.mark.parametrize(("name", "argument"), OUT_ARGUMENTS)
def test_out_right_behind_an_input(name: str, argument: str) -> None:
    arrays = arrays_of(name)
    (expected,) = call(name, arrays)
    shared, out = one_block(arrays[argument], expected, arrays[argument].size)
    call(name, {**arrays, argument: shared}, out=out)
    assert_same(out, expected)
    np.testing.assert_array_equal(shared, arrays[argument])
