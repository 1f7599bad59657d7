"""Normal forms, sizes and error texts."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import brute_force
from convolt import _arguments, functional, reference
from convolt._arguments import conv_output_size, pair, pool_output_size, resolve_padding
from refusals import FLAGS, NO_FLAGS, TYPE_ERRORS, VALUE_ERRORS, Refusal, X
from strategies import Conv2dCase, Pool2dCase, conv2d_cases, pool2d_cases


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), (3, 3), [3, np.int32(3)]])
def test_pair(value: Any) -> None:
    result = pair(value, "stride", "f")
    assert result == (3, 3)
    assert [type(v) for v in result] == [int, int]


@pytest.mark.parametrize("value", [True, 2.0, "2", None, (1,), (1, 2, 3), (1, 2.0), (True, 1)])
def test_pair_refuses_other_types(value: Any) -> None:
    with pytest.raises(TypeError, match="f: stride must be an int or a pair of ints, got "):
        pair(value, "stride", "f")


@pytest.mark.parametrize("value", [0, -1, (1, 0), 10**30 * -1])
def test_pair_refuses_what_is_below_the_minimum(value: Any) -> None:
    expected = re.escape(f"f: stride must be at least 1, got {value!r}")
    with pytest.raises(ValueError, match=expected):
        pair(value, "stride", "f")


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        (2, (2, 2, 2, 2)),
        (np.int64(2), (2, 2, 2, 2)),
        ((1, 2), (1, 1, 2, 2)),
        (((1, 2), (3, 4)), (1, 2, 3, 4)),
        ([[1, 2], [3, 4]], (1, 2, 3, 4)),
        ("valid", (0, 0, 0, 0)),
        ("full", (2, 2, 6, 6)),
        ("same", (1, 1, 3, 3)),
        ("same_upper", (1, 1, 3, 3)),
    ],
)
def test_forms_of_padding(padding: Any, expected: tuple[int, ...]) -> None:
    assert resolve_padding(padding, (9, 9), (3, 4), (1, 1), (1, 2), "f") == expected


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "upper", "lower"),
    [
        (5, 3, 2, (1, 1), (1, 1)),
        (6, 3, 2, (0, 1), (1, 0)),
        (5, 2, 2, (0, 1), (1, 0)),
        (5, 2, 1, (0, 1), (1, 0)),
        (7, 1, 3, (0, 0), (0, 0)),
        (10, 3, 5, (0, 0), (0, 0)),
    ],
)
def test_same_with_a_stride(
    size: int, kernel: int, stride: int, upper: tuple[int, int], lower: tuple[int, int]
) -> None:
    for name, expected in (("same_upper", upper), ("same_lower", lower)):
        pads = resolve_padding(name, (size, 9), (kernel, 1), (stride, 1), (1, 1), "f")
        assert pads == (*expected, 0, 0)
        assert conv_output_size(size, kernel, stride, name) == -(-size // stride)


@pytest.mark.parametrize(
    "padding", [1.0, True, None, (1,), (1, 2, 3), (1, (2, 3)), ((1, 2), (3,)), ((1, 2.0), (0, 0))]
)
def test_padding_refuses_other_types(padding: Any) -> None:
    expected = (
        r"f: padding must be an int, \(ph, pw\), \(\(top, bottom\), \(left, right\)\) or one of"
    )
    with pytest.raises(TypeError, match=expected):
        resolve_padding(padding, (9, 9), (3, 3), (1, 1), (1, 1), "f")


@pytest.mark.parametrize("padding", [-1, (0, -1), ((0, 0), (-1, 0))])
def test_padding_refuses_negative_numbers(padding: Any) -> None:
    with pytest.raises(ValueError, match="f: padding must not be negative, got "):
        resolve_padding(padding, (9, 9), (3, 3), (1, 1), (1, 1), "f")


def test_padding_refuses_unknown_names() -> None:
    expected = "one of valid, full, same, same_upper, same_lower, got 'SAME'"
    with pytest.raises(ValueError, match=expected):
        resolve_padding("SAME", (9, 9), (3, 3), (1, 1), (1, 1), "f")
    with pytest.raises(ValueError, match=r"got stride \(1, 2\); 'same_upper' or 'same_lower'"):
        resolve_padding("same", (9, 9), (3, 3), (1, 2), (1, 1), "f")


@given(conv2d_cases())
def test_conv_output_size_counts_windows(case: Conv2dCase) -> None:
    kernel = case.weight_shape[2:]
    arguments = (case.x_shape[2:], kernel, case.stride, case.padding, case.dilation)
    output = conv_output_size(*arguments)
    assert output == case.output_size
    for axis in (0, 1):
        start = -case.padding[axis][0]
        end = case.x_shape[2 + axis] + case.padding[axis][1]
        last_tap = (kernel[axis] - 1) * case.dilation[axis]
        starts = range(start, end - last_tap, case.stride[axis])
        assert output[axis] == len(starts)
        if starts[-1] + last_tap + 1 != end:
            with pytest.raises(ValueError, match="stride must divide"):
                conv_output_size(*arguments, strict=True)


@given(pool2d_cases())
def test_pool_output_size_counts_windows(case: Pool2dCase) -> None:
    output = pool_output_size(case.x_shape[2:], **case.parameters)
    assert output == case.output_size
    assert output == tuple(len(brute_force.pool_starts(case, axis)) for axis in (0, 1))


def test_output_sizes_of_a_single_axis() -> None:
    assert conv_output_size(28, 5) == 24
    assert conv_output_size(28, 5, 2, "full", 3) == 20
    assert conv_output_size((28, 28), 5) == (24, 24)
    assert pool_output_size(24, 2) == 12
    assert pool_output_size((24, 9), (2, 3)) == (12, 3)
    assert pool_output_size(4, 1, 2, ceil_mode=True) == 2
    assert pool_output_size(2, 3, 3, 1, ceil_mode=True) == 1
    assert conv_output_size(2**31 - 1, 3, 1000) == (2**31 - 4) // 1000 + 1
    with pytest.raises(TypeError, match="kernel_size must be an int when input_size is one"):
        conv_output_size(28, (5, 5))  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="padding must be an int or a name when input_size is an"):
        pool_output_size(28, 5, padding=(1, 1))  # type: ignore[call-overload]


def test_strict_refuses_a_remainder() -> None:
    expected = (
        r"pool_output_size: stride must divide padded input - kernel = 7 - 2 when strict=True, "
        r"got stride 2 \(remainder 1\)"
    )
    with pytest.raises(ValueError, match=expected):
        pool_output_size(7, 2, strict=True)
    assert pool_output_size(7, 2, ceil_mode=True, strict=True) == 4
    assert pool_output_size(8, 2, strict=True) == 4


@pytest.mark.parametrize(
    ("size", "kernel", "dilation", "padding", "window"),
    [((1, 9), 2, 2, 1, (0, 0)), ((9, 2), 3, 4, (0, 6), (0, 0)), ((9, 2), 3, 3, (0, 4), (0, 0))],
)
def test_window_wholly_in_the_padding(
    size: tuple[int, int], kernel: int, dilation: int, padding: Any, window: tuple[int, int]
) -> None:
    expected = re.escape(f"the window at output {window} lies wholly in the padding")
    with pytest.raises(ValueError, match=expected):
        pool_output_size(size, kernel, 1, padding, dilation)


def is_refused(case: Pool2dCase) -> bool:
    try:
        pool_output_size(case.x_shape[2:], **case.parameters)
    except ValueError:
        return True
    return False


def test_windows_in_the_padding_are_found_exactly() -> None:
    for size in range(1, 5):
        for kernel, dilation, stride in np.ndindex(4, 5, 4):
            covered = kernel * (dilation + 1) + 1
            for before, after in np.ndindex(covered, covered):
                if size + before + after < covered:
                    continue
                case = Pool2dCase(
                    (1, 1, size, 1), (kernel + 1, 1), (stride + 1, 1),
                    ((before, after), (0, 0)), (dilation + 1, 1), False, np.float32,
                )  # fmt: skip
                windows = (
                    brute_force.window_positions(case, 0, start)
                    for start in brute_force.pool_starts(case, 0)
                )
                lost = any(not any(0 <= h < size for h in window) for window in windows)
                assert lost == is_refused(case), case


@pytest.mark.parametrize(
    ("error", "refusal"),
    [(ValueError, r) for r in VALUE_ERRORS] + [(TypeError, r) for r in TYPE_ERRORS],
)
def test_refusals(error: type[Exception], refusal: Refusal) -> None:
    with pytest.raises(error, match=re.escape(refusal.message)) as caught:
        getattr(reference, refusal.function)(*refusal.args, **refusal.kwargs)
    assert str(caught.value).startswith(f"{refusal.function}: ")


@pytest.mark.parametrize("module", [functional, reference])
@pytest.mark.parametrize(("function", "args", "flag"), FLAGS)
def test_bools_of_numpy_are_flags(
    module: Any, function: str, args: tuple[Any, ...], flag: str
) -> None:
    operator = getattr(module, function)
    for value in (True, False):
        result, expected = (
            operator(*args, **{flag: np.bool_(value)}),
            operator(*args, **{flag: value}),
        )
        assert type(result) is type(expected)
        np.testing.assert_equal(result, expected)


def test_numpy_bools_decide() -> None:
    """What a flag of NumPy's is taken for, where it makes a difference."""
    x = np.arange(49.0).reshape(1, 1, 7, 7)
    for module in (functional, reference):
        assert module.max_pool2d(x, 2, ceil_mode=np.True_).shape == (1, 1, 4, 4)
        assert module.max_pool2d(x, 2, ceil_mode=np.False_).shape == (1, 1, 3, 3)
        assert len(module.min_pool2d(x, 2, return_indices=np.True_)) == 2
        counted, not_counted = (
            module.avg_pool2d(x, 3, padding=1, count_include_pad=flag)[0, 0, 0, 1]
            for flag in (np.True_, np.False_)
        )
        assert counted * 9 == not_counted * 6
        for call in (
            lambda flag, m=module: m.conv2d(x, x[:, :, :2, :2], stride=2, strict=flag),
            lambda flag, m=module: m.avg_pool2d(x, 2, strict=flag),
            lambda flag, m=module: m.pool_output_size(7, 2, strict=flag),
        ):
            call(np.False_)
            with pytest.raises(ValueError, match="stride must divide"):
                call(np.True_)


@pytest.mark.parametrize("module", [functional, reference])
@pytest.mark.parametrize("value", NO_FLAGS)
def test_flags_of_winners(module: Any, value: Any) -> None:
    expected = re.escape(f"ceil_mode must be True or False, got {value!r}")
    y = np.zeros((2, 3, 4, 4), np.float32)
    winners = np.zeros(y.shape, np.uint8)
    for kind in ("max_pool2d", "min_pool2d"):
        with pytest.raises(TypeError, match=f"^{kind}: {expected}$"):
            getattr(module, f"{kind}_winners")(X, 2, ceil_mode=value)
    with pytest.raises(TypeError, match=f"^max_pool2d_backward: {expected}$"):
        module.max_pool2d_winners_backward(y, winners, X.shape, 2, ceil_mode=value)


def test_check_needs() -> None:
    assert _arguments.check_needs(("dx", "dx"), "f") == {"dx"}
    with pytest.raises(ValueError, match="f: needs must hold names among"):
        _arguments.check_needs("dx", "f")
