"""Which calls the engine takes as they come, and which it leaves to the Python layer.

What it leaves is None here; that it is then computed or refused, and in which words, is tested in
test_arrays.py and test_errors.py.
"""

from __future__ import annotations

import gc
import sys
from typing import Any

import numpy as np
import pytest

from conv2d_cases import assert_same
from convolt import _core, functional
from memory_layouts import LAYOUTS
from strategies import exact_integers

RNG = np.random.default_rng(3)
X, WEIGHT, BIAS, DY = (
    exact_integers(RNG, shape, np.float32)
    for shape in [(2, 4, 7, 6), (6, 2, 3, 2), (6,), (2, 6, 4, 4)]
)

CONVOLUTION = {
    "x": X, "weight": WEIGHT, "bias": BIAS, "stride": 2, "padding": 1, "dilation": 1, "groups": 2,
    "activation": None, "algorithm": "auto", "out": None,
}  # fmt: skip
BACKWARD = {
    "dy": DY, "x": X, "weight": WEIGHT, "y": None, "overwrite_dy": False, "stride": 2,
    "padding": 1, "dilation": 1, "groups": 2, "activation": None,
    "needs": ("dx", "dweight", "dbias"), "algorithm": "auto",
}  # fmt: skip
MAXIMUM = {
    "function": "max_pool2d", "x": X, "kernel": 3, "stride": 2, "padding": 1, "dilation": 1,
    "ceil_mode": False, "wanted": "values", "out": None,
}  # fmt: skip
AVERAGE = {
    "x": X, "kernel": 3, "stride": 2, "padding": 1, "ceil_mode": False, "count_include_pad": True,
    "out": None,
}  # fmt: skip
COLUMNS = {
    "function": "im2col", "x": X, "kernel": 3, "stride": 2, "padding": 1, "dilation": 1,
    "out": None,
}  # fmt: skip
IMAGE = {
    "function": "col2im", "col": exact_integers(RNG, (24, 36), np.float32),
    "size": X.shape, "kernel": 3, "stride": 2, "padding": 1, "dilation": 1, "out": None,
}  # fmt: skip
CALLS: dict[str, dict[str, Any]] = {
    "conv2d": CONVOLUTION,
    "conv2d_backward": BACKWARD,
    "pool2d_max": MAXIMUM,
    "avg_pool2d": AVERAGE,
    "image_to_columns": COLUMNS,
    "columns_to_image": IMAGE,
}
ARRAYS = ("dy", "x", "weight", "bias", "col")
OUT = {
    "conv2d": np.zeros((2, 6, 4, 4), np.float32),
    "pool2d_max": np.zeros((2, 4, 4, 3), np.float32),
    "avg_pool2d": np.zeros((2, 4, 4, 3), np.float32),
    "image_to_columns": np.zeros((24, 36), np.float32),
    "columns_to_image": np.zeros(X.shape, np.float32),
}


def at_once(name: str, **changes: Any) -> Any:
    return getattr(_core, f"{name}_at_once")(**{**CALLS[name], **changes})


def everywhere(*arguments: str) -> list[Any]:
    """Return all pairs of a function and an argument of it among those."""
    return [
        pytest.param(name, argument, id=f"{name}-{argument}")
        for name, call in CALLS.items()
        for argument in arguments
        if argument in call
    ]


# --- taken --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CALLS)
def test_plain_calls(name: str, dtype: Any) -> None:
    arrays = {a: v.astype(dtype) for a, v in CALLS[name].items() if a in ARRAYS}
    assert at_once(name, **arrays) is not None


@pytest.mark.parametrize(
    ("stride", "padding", "dilation"),
    [(1, 0, 1), (2, 1, 1), ((1, 2), (1, 0), (2, 1)), (2, 0, 2), (1, ((1, 2), (0, 3)), 1)],
)
@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("bias", [None, BIAS])
def test_same_convolution(
    stride: Any, padding: Any, dilation: Any, activation: str | None, bias: Any
) -> None:
    window = {"stride": stride, "padding": padding, "dilation": dilation, "groups": 2}
    keywords = {**window, "activation": activation}
    y = at_once("conv2d", bias=bias, **keywords)
    assert_same(y, functional.conv2d(X[::-1].copy()[::-1], WEIGHT, bias, **keywords))
    keywords["y"] = None if activation is None else y
    gradients = at_once("conv2d_backward", dy=y, **keywords)
    expected = functional.conv2d_backward(np.asfortranarray(y), X, WEIGHT, **keywords)
    for gradient, wanted in zip(gradients, expected, strict=True):
        assert_same(gradient, wanted)


@pytest.mark.parametrize(
    "needs", [(), ("dx",), ("dweight",), ("dbias",), ("dbias", "dx"), ("dx", "dx")]
)
def test_needs(needs: tuple[str, ...]) -> None:
    gradients = at_once("conv2d_backward", needs=needs)
    for name, gradient in zip(("dx", "dweight", "dbias"), gradients, strict=True):
        assert (gradient is not None) == (name in needs)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [(2, None, 0), (3, 2, 1), ((3, 2), (1, 2), (0, 1)), (3, 2, 0), (3, 2, ((1, 2), (0, 1)))],
)
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_same_pooling(kernel: Any, stride: Any, padding: Any, ceil_mode: bool) -> None:
    window = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    strided = X[::-1].copy()[::-1]
    for function in ("max_pool2d", "min_pool2d"):
        operator = getattr(functional, function)
        expected = operator(strided, kernel, **window, return_indices=True)
        changes = {"function": function, "kernel": kernel, "wanted": "indices", **window}
        for result, wanted in zip(at_once("pool2d_max", **changes), expected, strict=True):
            assert_same(result, wanted)
    for include in (False, True):
        y = at_once("avg_pool2d", kernel=kernel, count_include_pad=include, **window)
        assert_same(y, functional.avg_pool2d(strided, kernel, count_include_pad=include, **window))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [(2, 1, 0, 1), ((3, 2), (1, 2), (0, 1), 1), (3, 2, ((1, 2), (0, 3)), (1, 2))],
)
def test_same_columns(kernel: Any, stride: Any, padding: Any, dilation: Any) -> None:
    window = {"stride": stride, "padding": padding, "dilation": dilation}
    strided = X[::-1].copy()[::-1]
    for function, inverse, size in (("im2col", "col2im", X.shape), ("unfold", "fold", (7, 6))):
        col = at_once("image_to_columns", function=function, kernel=kernel, **window)
        assert_same(col, getattr(functional, function)(strided, kernel, **window))
        changes = {"function": inverse, "col": col, "size": size, "kernel": kernel, **window}
        expected = getattr(functional, inverse)(np.asfortranarray(col), size, kernel, **window)
        assert_same(at_once("columns_to_image", **changes), expected)


@pytest.mark.parametrize("name", OUT)
def test_out(name: str) -> None:
    out = OUT[name].copy()
    assert at_once(name, out=out) is out
    assert_same(out, at_once(name))


def test_read_only_inputs() -> None:
    x = X.copy()
    x.flags.writeable = False
    assert at_once("conv2d", x=x) is not None


# --- left to Python -----------------------------------------------------------------------------


class Subclass(np.ndarray):
    pass


NOT_READY = {
    "None": lambda a: None,
    "list": lambda a: a.tolist(),
    "subclass": lambda a: a.view(Subclass),
    "masked": np.ma.masked_array,
    "integers": lambda a: a.astype(np.int32),
    "half": lambda a: a.astype(np.float16),
    "complex": lambda a: a.astype(np.complex64),
    "byte-swapped": LAYOUTS["byte_swapped"],
    "misaligned": LAYOUTS["misaligned"],
    "stepped": LAYOUTS["stepped"],
    "reversed": LAYOUTS["reversed"],
}


@pytest.mark.parametrize("form", NOT_READY)
@pytest.mark.parametrize(("name", "argument"), everywhere(*ARRAYS))
def test_arrays_to_be_prepared_or_refused(name: str, argument: str, form: str) -> None:
    if argument == "bias" and form == "None":
        return
    value = NOT_READY[form](CALLS[name][argument])
    assert at_once(name, **{argument: value}) is None


@pytest.mark.parametrize(("name", "argument"), everywhere("dy", "weight", "bias"))
def test_mixed_dtypes(name: str, argument: str) -> None:
    assert at_once(name, **{argument: CALLS[name][argument].astype(np.float64)}) is None


@pytest.mark.parametrize("form", NOT_READY)
def test_saved_output_to_be_prepared_or_refused(form: str) -> None:
    y = NOT_READY[form](DY)
    assert at_once("conv2d_backward", activation="relu", y=y) is None
    if y is not None:
        assert at_once("conv2d_backward", y=DY) is None


@pytest.mark.parametrize(("name", "argument"), everywhere("x", "weight"))
def test_other_axes(name: str, argument: str) -> None:
    array = CALLS[name][argument]
    for wrong in (array[0], array[np.newaxis], array[:, :, :0], array[..., :0]):
        assert at_once(name, **{argument: np.ascontiguousarray(wrong)}) is None


@pytest.mark.parametrize(
    "value", [True, 1.0, np.int64(1), "1", [1, 1], (1,), (1, 1, 1), (1, 1.0), (True, 1), -1, 2**31,
              2**64, (1, -1), ((1, 1), 1), ((1, 1), (1,)), ((1, 1), (1, -1)), ((1, 1.0), (1, 1))]
)  # fmt: skip
@pytest.mark.parametrize(
    ("name", "argument"), everywhere("kernel", "stride", "padding", "dilation", "groups")
)
def test_numbers_to_be_prepared_or_refused(name: str, argument: str, value: Any) -> None:
    assert at_once(name, **{argument: value}) is None


@pytest.mark.parametrize(("name", "argument"), everywhere("kernel", "stride", "dilation", "groups"))
def test_zero(name: str, argument: str) -> None:
    assert at_once(name, **{argument: 0}) is None


@pytest.mark.parametrize("value", ["no", 2, 1, 0, None, 1.0, np.True_, np.False_, np.array(True)])
@pytest.mark.parametrize(
    ("name", "argument"), everywhere("ceil_mode", "count_include_pad", "overwrite_dy")
)
def test_flags_to_be_prepared_or_refused(name: str, argument: str, value: Any) -> None:
    assert at_once(name, **{argument: value}) is None


def test_pairs_of_groups() -> None:
    assert at_once("conv2d", groups=(2, 2)) is None


@pytest.mark.parametrize(("name", "argument"), everywhere("padding"))
def test_named_padding(name: str, argument: str) -> None:
    assert at_once(name, **{argument: "same_upper"}) is None


OTHER_SHAPES = [
    *(None, 7, (7, 6), (2, 4, 7), (2, 4, 7, 6, 1), [2, 4, 7, 6]),
    *((2, 4, 7, 6.0), (2, 4, 0, 6), (-1, 4, 7, 6), (2, 4, 7, True)),
]


@pytest.mark.parametrize("size", OTHER_SHAPES)
def test_other_image_shapes(size: Any) -> None:
    assert at_once("columns_to_image", size=size) is None


def test_other_columns_of_fold() -> None:
    fold = {"function": "fold", "size": (7, 6), "kernel": 3}
    assert at_once("columns_to_image", **fold, col=np.zeros((2, 36, 12))) is not None
    for shape in ((24, 36), (2, 35, 12), (1, 2, 36, 12)):
        assert at_once("columns_to_image", **fold, col=np.zeros(shape)) is None
    for size in (None, X.shape, (7,), (0, 6), (7, 6.0)):
        col = np.zeros((2, 36, 12))
        assert at_once("columns_to_image", **{**fold, "size": size}, col=col) is None


def test_words() -> None:
    class Text(str):
        pass

    for wrong in ("gelu", "", 1, True, Text("relu")):
        assert at_once("conv2d", activation=wrong) is None
        assert at_once("conv2d_backward", activation=wrong, y=DY) is None
    for right in (None, "auto", "gemm"):
        for name in ("conv2d", "conv2d_backward"):
            assert at_once(name, algorithm=right) is not None
    for wrong in (1, b"auto", Text("auto")):
        for name in ("conv2d", "conv2d_backward"):
            assert at_once(name, algorithm=wrong) is None
    for wrong in (["dx"], "dx", ("dx", 1), ("dy",), {"dx"}, None):
        assert at_once("conv2d_backward", needs=wrong) is None


@pytest.mark.parametrize("form", [form for form in NOT_READY if form != "None"])
@pytest.mark.parametrize("name", OUT)
def test_out_that_is_refused(name: str, form: str) -> None:
    assert at_once(name, out=NOT_READY[form](OUT[name])) is None


@pytest.mark.parametrize(
    ("name", "argument"), [(n, a) for n in OUT for a in ARRAYS if a in CALLS[n]]
)
def test_out_that_overlaps(name: str, argument: str) -> None:
    array, shape = CALLS[name][argument], OUT[name].shape
    size = OUT[name].size
    block = np.zeros(2 * size + array.size, np.float32)
    shared = block[size : size + array.size].reshape(array.shape)
    for first, apart in ((0, True), (1, False), (size + array.size - 1, False),
                         (size + array.size, True)):  # fmt: skip
        out = block[first : first + size].reshape(shape)
        result = at_once(name, **{argument: shared}, out=out)
        assert (result is out) if apart else (result is None)


# --- references ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CALLS)
def test_no_reference_is_kept(name: str) -> None:
    keywords = {key: value for key, value in CALLS[name].items() if key != "function"}
    for changes in ({}, {"padding": "same_upper"}):
        at_once(name, **changes)
        gc.collect()
        before = [sys.getrefcount(value) for value in keywords.values() if value is not None]
        for _ in range(50):
            at_once(name, **changes)
        gc.collect()
        after = [sys.getrefcount(value) for value in keywords.values() if value is not None]
        assert max(b - a for a, b in zip(before, after, strict=True)) < 50
