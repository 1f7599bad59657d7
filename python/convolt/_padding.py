"""Ints, pairs and padding in every form that the operators take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

Pair: TypeAlias = int | tuple[int, int]
Padding: TypeAlias = int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]] | str
Pads: TypeAlias = tuple[int, int, int, int]
"""Padding in its normal form: (top, bottom, left, right)."""

# Larger parameters are mistakes, and the engine multiplies two of them in 64 bits.
LARGEST_PARAMETER = 2**31 - 1

PADDING_NAMES = ("valid", "full", "same", "same_upper", "same_lower")
SIZED_PADDING = ("same_upper", "same_lower")
"""The names whose padding depends on the size of the image."""


def is_int(value: object) -> bool:
    """Tell whether `value` is a Python or NumPy integer; a bool is none."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_int_pair(value: object) -> bool:
    return isinstance(value, Sequence) and len(value) == 2 and all(map(is_int, value))


def pair(value: Any, name: str, function: str, *, minimum: int = 1) -> tuple[int, int]:
    """Return an int or a pair of ints as (vertical, horizontal), none below `minimum`."""
    if is_int(value):
        result = (int(value), int(value))
    elif _is_int_pair(value):
        result = (int(value[0]), int(value[1]))
    else:
        raise TypeError(f"{function}: {name} must be an int or a pair of ints, got {value!r}")
    if min(result) < minimum:
        raise ValueError(f"{function}: {name} must be at least {minimum}, got {value!r}")
    if max(result) > LARGEST_PARAMETER:
        raise ValueError(f"{function}: {name} must be at most 2**31 - 1, got {value!r}")
    return result


def integer(value: Any, name: str, function: str, *, minimum: int | None = None) -> int:
    """Return `value` as an int, refusing bool, float and what lies below `minimum`."""
    if not is_int(value):
        raise TypeError(f"{function}: {name} must be an int, got {value!r}")
    if minimum is not None and value < minimum:
        raise ValueError(f"{function}: {name} must be at least {minimum}, got {value!r}")
    if value > LARGEST_PARAMETER:
        raise ValueError(f"{function}: {name} must be at most 2**31 - 1, got {value!r}")
    return int(value)


def image_shape(shape: Any, name: str, function: str) -> tuple[int, int, int, int]:
    """Return `shape` as (N, C, H, W) with H and W of at least 1."""
    if not (isinstance(shape, Sequence) and len(shape) == 4 and all(map(is_int, shape))):
        raise TypeError(f"{function}: {name} must be four ints (N, C, H, W), got {shape!r}")
    batch, channels, height, width = map(int, shape)
    if max(batch, channels, height, width) >= 2**63:
        raise ValueError(f"{function}: {name} must hold sizes below 2**63, got {shape!r}")
    if min(batch, channels) < 0 or min(height, width) < 1:
        raise ValueError(f"{function}: {name} must have H, W >= 1 and N, C >= 0, got {shape!r}")
    return batch, channels, height, width


def effective_size(kernel_size: int, dilation: int) -> int:
    """Return the extent that a dilated kernel covers."""
    return (kernel_size - 1) * dilation + 1


def _explicit_padding(padding: Any, function: str) -> Pads:
    if is_int(padding):
        top = bottom = left = right = int(padding)
    elif _is_int_pair(padding):
        top = bottom = int(padding[0])
        left = right = int(padding[1])
    elif isinstance(padding, Sequence) and len(padding) == 2 and all(map(_is_int_pair, padding)):
        (top, bottom), (left, right) = (map(int, sides) for sides in padding)
    else:
        raise TypeError(
            f"{function}: padding must be an int, (ph, pw), ((top, bottom), (left, right)) or one "
            f"of {', '.join(PADDING_NAMES)}, got {padding!r}"
        )
    if min(top, bottom, left, right) < 0:
        raise ValueError(f"{function}: padding must not be negative, got {padding!r}")
    if max(top, bottom, left, right) > LARGEST_PARAMETER:
        raise ValueError(f"{function}: padding must be at most 2**31 - 1, got {padding!r}")
    return top, bottom, left, right


def _named_padding(padding: str, size: int, covered: int, stride: int) -> tuple[int, int]:
    """Return (before, after) along one axis; `covered` is the extent of the dilated kernel."""
    if padding == "valid":
        return 0, 0
    if padding == "full":
        return covered - 1, covered - 1
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + covered - size, 0)
    smaller, larger = total // 2, total - total // 2
    return (larger, smaller) if padding == "same_lower" else (smaller, larger)


def resolve_padding(
    padding: Padding,
    input_size: tuple[int, int],
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    function: str,
) -> Pads:
    """Return any form of padding as (top, bottom, left, right).

    "valid" is no padding, "full" is (K - 1)·dilation on every side. "same" keeps the size at
    stride 1 and puts an odd row or column at the end, as PyTorch does; "same_upper" and
    "same_lower" give ceil(size / stride) outputs with the odd one at the end or at the beginning,
    as ONNX and TensorFlow do. The other arguments are normalised pairs.
    """
    if not isinstance(padding, str):
        return _explicit_padding(padding, function)
    if padding not in PADDING_NAMES:
        raise ValueError(
            f"{function}: padding must be one of {', '.join(PADDING_NAMES)}, got {padding!r}"
        )
    if padding == "same" and stride != (1, 1):
        raise ValueError(
            f"{function}: padding='same' must come with stride 1, got stride {stride}; "
            "'same_upper' or 'same_lower' take any stride"
        )
    (top, bottom), (left, right) = (
        _named_padding(padding, n, effective_size(k, d), s)
        for n, k, s, d in zip(input_size, kernel_size, stride, dilation, strict=True)
    )
    return top, bottom, left, right
