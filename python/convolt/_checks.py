"""Checks of flags, names and arrays: dtype, rank, and shapes that must agree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convolt._padding import integer

GRADIENTS = ("dx", "dweight", "dbias")

ALGORITHMS = ("auto", "gemm", "winograd", "winograd_2x2", "winograd_4x4")


class Conv2dGradients(NamedTuple):
    """Gradients of a convolution; ``None`` for what was not asked.

    Attributes
    ----------
    dx : ndarray or None
        Gradient of the input, in its shape.
    dweight : ndarray or None
        Gradient of the weight, in its shape.
    dbias : ndarray or None
        Gradient of the bias, (OC,).
    """

    dx: NDArray[Any] | None
    dweight: NDArray[Any] | None
    dbias: NDArray[Any] | None


def check_flag(value: Any, name: str, function: str) -> bool:
    """Return a Python or NumPy bool as a bool, refusing everything else, 0 and 1 as well."""
    if isinstance(value, bool):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    raise TypeError(f"{function}: {name} must be True or False, got {value!r}")


def check_needs(needs: Iterable[str], function: str) -> frozenset[str]:
    """Return the names of the gradients that are asked for."""
    try:
        names = frozenset(needs)
    except TypeError:
        raise TypeError(f"{function}: needs must be an iterable of names, got {needs!r}") from None
    if isinstance(needs, str) or not names <= set(GRADIENTS):
        raise ValueError(
            f"{function}: needs must hold names among {', '.join(GRADIENTS)}, got {needs!r}"
        )
    return names


def check_activation(activation: str | None, function: str) -> None:
    """Refuse an activation that no convolution can fuse."""
    if activation not in (None, "relu"):
        raise ValueError(f"{function}: activation must be None or 'relu', got {activation!r}")


def check_algorithm_name(algorithm: str, function: str) -> None:
    """Refuse an unknown algorithm."""
    if algorithm not in ALGORITHMS:
        names = ", ".join(map(repr, ALGORITHMS[:-1]))
        raise ValueError(
            f"{function}: algorithm must be {names} or {ALGORITHMS[-1]!r}, got {algorithm!r}"
        )


def check_algorithm(
    algorithm: str | None,
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    function: str,
) -> None:
    """Refuse an unknown algorithm, and Winograd by name where it does not apply."""
    if algorithm is None:
        return
    check_algorithm_name(algorithm, function)
    sizes = [(3, 3)] if algorithm == "winograd_4x4" else [(3, 3), (5, 5)]
    applies = kernel_size in sizes and stride == dilation == (1, 1)
    if algorithm.startswith("winograd") and not applies:
        raise ValueError(
            f"{function}: algorithm must be 'auto' or 'gemm' unless the kernel is "
            f"{' or '.join(map(str, sizes))}, stride (1, 1) and dilation (1, 1), got "
            f"{algorithm!r} for a kernel of {kernel_size}, stride {stride}, dilation {dilation}"
        )


def check_saved_output(y: Any, activation: str | None, function: str) -> None:
    """Refuse an activation without the output that its gradient needs, or the reverse."""
    check_activation(activation, function)
    if activation is not None and y is None:
        raise ValueError(
            f"{function}: y must be the output of the forward pass with "
            f"activation={activation!r}, got None"
        )
    if activation is None and y is not None:
        raise ValueError(f"{function}: y must come with an activation, got y with activation=None")


def as_float(
    value: Any, name: str, function: str, *, like: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Return `value` as a float32 or float64 array of native byte order.

    `like`, an array of native byte order, is the operand whose dtype this one must have.
    """
    array = np.asarray(value)
    if array.dtype.type not in (np.float32, np.float64):
        raise TypeError(f"{function}: {name} must be float32 or float64, got {array.dtype}")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if like is not None and array.dtype != like.dtype:
        raise TypeError(
            f"{function}: {name} must be {like.dtype} as the other operand is, got {array.dtype} "
            "(float32 and float64 are supported, not a mixture)"
        )
    return array


def check_image(x: NDArray[Any], name: str, function: str) -> None:
    """Refuse what is not (N, C, H, W) with at least one pixel."""
    if x.ndim == 3:
        raise ValueError(
            f"{function}: {name} must be (N, C, H, W), got shape {x.shape}; "
            f"for a single image pass {name}[np.newaxis]"
        )
    if x.ndim != 4:
        raise ValueError(f"{function}: {name} must be (N, C, H, W), got shape {x.shape}")
    if min(x.shape[2:]) < 1:
        raise ValueError(f"{function}: {name} must have H, W >= 1, got shape {x.shape}")


def check_kernel(weight: NDArray[Any], axes: str, function: str) -> None:
    """Refuse what is not four axes, the last two of at least 1; `axes` names the others."""
    if weight.ndim != 4 or min(weight.shape[2:]) < 1:
        raise ValueError(
            f"{function}: weight must be ({axes}, KH, KW) with KH, KW >= 1, "
            f"got shape {weight.shape}"
        )


def check_divisor(divisor_override: Any, function: str) -> int:
    """Return the divisor that replaces every other, 0 for none."""
    if divisor_override is None:
        return 0
    divisor = integer(divisor_override, "divisor_override", function)
    if divisor == 0:
        raise ValueError(f"{function}: divisor_override must not be 0, got 0")
    return divisor


def check_shape(
    array: NDArray[Any], expected: tuple[int, ...], name: str, function: str, axes: str
) -> None:
    """Refuse an array that has not the shape that the other arguments imply; `axes` names it."""
    if array.shape != expected:
        raise ValueError(
            f"{function}: {name} must have shape {axes} = {expected}, got {array.shape}"
        )


def _check_weight(weight: NDArray[Any], groups: int, axes: str, function: str) -> None:
    check_kernel(weight, axes, function)
    if weight.shape[0] % groups:
        raise ValueError(
            f"{function}: groups must divide the first axis of weight, {weight.shape[0]}, "
            f"got groups={groups}"
        )


def _check_channels(
    x: NDArray[Any], weight: NDArray[Any], channels: int, groups: int, function: str
) -> None:
    if x.shape[1] == channels:
        return
    hint = ""
    if x.shape[3] == channels:
        hint = "; x looks like NHWC, x.transpose(0, 3, 1, 2) makes it NCHW"
    raise ValueError(
        f"{function}: x must have {channels} channels for weight of shape {weight.shape} and "
        f"groups={groups}, got x of shape {x.shape}{hint}"
    )


def check_filters(
    weight: NDArray[Any], bias: NDArray[Any] | None, groups: int, function: str
) -> None:
    """Check the shapes (OC, C/groups, KH, KW) and (OC,) of a convolution."""
    _check_weight(weight, groups, "OC, C/groups", function)
    if bias is not None:
        check_shape(bias, weight.shape[:1], "bias", function, "(OC,)")


def check_conv_operands(
    x: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any] | None, groups: int, function: str
) -> None:
    """Check the shape (N, C, H, W) of a convolution and those of its filters."""
    check_image(x, "x", function)
    check_filters(weight, bias, groups, function)
    _check_channels(x, weight, weight.shape[1] * groups, groups, function)


def check_transpose_operands(
    x: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any] | None, groups: int, function: str
) -> None:
    """Check the shapes (N, C, H, W), (C, OC/groups, KH, KW) and (OC,) of a transposed one."""
    check_image(x, "x", function)
    _check_weight(weight, groups, "C, OC/groups", function)
    _check_channels(x, weight, weight.shape[0], groups, function)
    if bias is not None:
        check_shape(bias, (weight.shape[1] * groups,), "bias", function, "(OC,)")


def check_indices(
    indices: Any, expected: tuple[int, ...], pixels: int, function: str
) -> NDArray[np.int64]:
    """Return the indices of a max pooling, each a pixel of its plane, as int64."""
    array = np.asarray(indices)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{function}: indices must be integers, got {array.dtype}")
    check_shape(array, expected, "indices", function, "(N, C, OH, OW)")
    if array.size and (array.min() < 0 or array.max() >= pixels):
        raise ValueError(
            f"{function}: indices must lie in [0, H*W) = [0, {pixels}), "
            f"got values from {array.min()} to {array.max()}"
        )
    return array.astype(np.int64, copy=False)
