"""The arguments of the operators: their normal form, and the sizes that follow from them.

:mod:`convolt.functional` and :mod:`convolt.reference` share this module and :mod:`convolt._checks`,
so that both accept the same calls and refuse the others in the same words:
``function: argument must be ..., got ...``.
"""

from __future__ import annotations

from typing import Any, overload

from convolt._checks import Conv2dGradients, check_flag, check_needs
from convolt._padding import Padding, Pads, Pair, effective_size, is_int, pair, resolve_padding

__all__ = [
    "Conv2dGradients",
    "Padding",
    "Pads",
    "Pair",
    "check_needs",
    "conv_output_size",
    "pair",
    "pool_output_size",
    "resolve_conv",
    "resolve_padding",
    "resolve_pool",
    "resolve_transpose",
]


def _count_windows(
    padded: int, covered: int, stride: int, function: str, *, strict: bool, overhang: int = 0
) -> int:
    """Count the windows along one axis that reach at most `overhang` beyond the padded input."""
    if padded + overhang < covered:
        raise ValueError(
            f"{function}: kernel_size must fit into the padded input, got a kernel that covers "
            f"{covered} and a padded input of {padded}"
        )
    remainder = (padded - covered) % stride
    if strict and remainder:
        raise ValueError(
            f"{function}: stride must divide padded input - kernel = {padded} - {covered} when "
            f"strict=True, got stride {stride} (remainder {remainder})"
        )
    return (padded + overhang - covered) // stride + 1


def resolve_conv(
    input_size: tuple[int, int],
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    padding: Padding,
    dilation: tuple[int, int],
    function: str,
    *,
    strict: bool = False,
) -> tuple[Pads, tuple[int, int]]:
    """Return (top, bottom, left, right) and (OH, OW) of a convolution."""
    check_flag(strict, "strict", function)
    pads = resolve_padding(padding, input_size, kernel_size, stride, dilation, function)
    rows, columns = (
        _count_windows(n + before + after, effective_size(k, d), s, function, strict=strict)
        for n, before, after, k, s, d in zip(
            input_size, pads[::2], pads[1::2], kernel_size, stride, dilation, strict=True
        )
    )
    return pads, (rows, columns)


def resolve_transpose(
    input_size: tuple[int, int],
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    padding: Padding,
    dilation: tuple[int, int],
    output_padding: tuple[int, int],
    function: str,
) -> tuple[Pads, tuple[int, int]]:
    """Return (top, bottom, left, right) and (OH, OW) of a transposed convolution.

    The padding is that of the convolution whose transpose this is. With "same", "same_upper" and
    "same_lower" the output is input·stride, the size which that convolution maps to the input.
    """
    for extra, s, d in zip(output_padding, stride, dilation, strict=True):
        if extra >= max(s, d):
            raise ValueError(
                f"{function}: output_padding must be less than the larger of stride and dilation, "
                f"got output_padding {output_padding}, stride {stride}, dilation {dilation}"
            )
    scaled = (input_size[0] * stride[0], input_size[1] * stride[1])
    pads = resolve_padding(padding, scaled, kernel_size, stride, dilation, function)
    if isinstance(padding, str) and padding.startswith("same"):
        if output_padding != (0, 0):
            raise ValueError(
                f"{function}: output_padding must be 0 with padding={padding!r}, "
                f"got {output_padding}"
            )
        return pads, scaled
    rows, columns = (
        (n - 1) * s + effective_size(k, d) - before - after + extra
        for n, before, after, k, s, d, extra in zip(
            *(input_size, pads[::2], pads[1::2], kernel_size, stride, dilation, output_padding),
            strict=True,
        )
    )
    if min(rows, columns) < 1:
        raise ValueError(
            f"{function}: padding must leave an output of at least 1 x 1, got {padding!r}, "
            f"which leaves {rows} x {columns}"
        )
    return pads, (rows, columns)


def resolve_pool(
    input_size: tuple[int, int],
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    padding: Padding,
    dilation: tuple[int, int],
    ceil_mode: bool,
    function: str,
    *,
    strict: bool = False,
) -> tuple[Pads, tuple[int, int]]:
    """Return (top, bottom, left, right) and (OH, OW) of a pooling whose windows all hold a pixel.

    With `ceil_mode` the last window may reach beyond the padded input, provided that it starts
    inside the input or the padding before it.
    """
    check_flag(ceil_mode, "ceil_mode", function)
    check_flag(strict, "strict", function)
    pads = resolve_padding(padding, input_size, kernel_size, stride, dilation, function)
    outputs = []
    for n, before, after, k, s, d in zip(
        input_size, pads[::2], pads[1::2], kernel_size, stride, dilation, strict=True
    ):
        covered = effective_size(k, d)
        if max(before, after) >= covered:
            raise ValueError(
                f"{function}: padding must be less than the {covered} that the kernel covers, "
                f"got {padding!r}"
            )
        count = _count_windows(
            *(n + before + after, covered, s, function),
            strict=strict and not ceil_mode,
            overhang=s - 1 if ceil_mode else 0,
        )
        if ceil_mode and (count - 1) * s >= n + before:
            count -= 1
        outputs.append(count)
    for axis in (0, 1):
        position = _window_in_padding(
            input_size[axis], pads[2 * axis], stride[axis], dilation[axis], outputs[axis]
        )
        if position is not None:
            window = (0, position) if axis else (position, 0)
            raise ValueError(
                f"{function}: padding must leave a pixel to every window, but the window at "
                f"output {window} lies wholly in the padding, got {padding!r}"
            )
    return pads, (outputs[0], outputs[1])


def _window_in_padding(
    size: int, before: int, stride: int, dilation: int, outputs: int
) -> int | None:
    """Return the first window without a pixel along one axis, or ``None``.

    Padding being less than the kernel covers, every window ends at 0 or later and starts before
    `size`. One that starts in the padding before the input first touches it at start mod dilation,
    so only a dilation above `size` steps over it, and after `dilation` windows starts repeat.
    """
    if dilation <= size:
        return None
    for position in range(min(outputs, dilation, -(-before // stride))):
        if (position * stride - before) % dilation >= size:
            return position
    return None


def _sizes(input_size: Any, function: str, **pairs: Any) -> tuple[bool, list[tuple[int, int]]]:
    """Normalise sizes given as pairs, or all as ints for a single axis."""
    single = is_int(input_size)
    values = {"input_size": input_size, **pairs}
    for name, value in values.items():
        if single and not is_int(value):
            raise TypeError(
                f"{function}: {name} must be an int when input_size is one, got {value!r}"
            )
    return single, [pair(value, name, function) for name, value in values.items()]


def _check_single_padding(single: bool, padding: Any, function: str) -> None:
    if single and not (is_int(padding) or isinstance(padding, str)):
        raise TypeError(
            f"{function}: padding must be an int or a name when input_size is an int, "
            f"got {padding!r}"
        )


@overload
def conv_output_size(
    input_size: int,
    kernel_size: int,
    stride: int = 1,
    padding: int | str = 0,
    dilation: int = 1,
    *,
    strict: bool = False,
) -> int: ...
@overload
def conv_output_size(
    input_size: tuple[int, int],
    kernel_size: Pair,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    *,
    strict: bool = False,
) -> tuple[int, int]: ...
def conv_output_size(
    input_size: Pair,
    kernel_size: Pair,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    *,
    strict: bool = False,
) -> int | tuple[int, int]:
    """Size of the output of a convolution.

    The textbook's formula, with P the sum of the padding before and after::

        output = floor((input + P - dilation·(kernel - 1) - 1) / stride) + 1

    Parameters
    ----------
    input_size : int or (int, int)
        Height and width, or the size of a single axis; then the others are ints too.
    kernel_size, stride, dilation : int or (int, int)
    padding : int, (ph, pw), ((top, bottom), (left, right)) or str
        "valid", "full", "same", "same_upper" or "same_lower".
    strict : bool
        Refuse a stride that does not divide, instead of ignoring the last rows or columns.

    Returns
    -------
    int or (int, int)
        As `input_size`.

    Raises
    ------
    TypeError
        If a size is no int, or a pair meets a single axis.
    ValueError
        If a size is out of range, the kernel does not fit, or `strict` finds a remainder.

    References
    ----------
    Koki Saitoh, "Deep Learning from Scratch", chapter 7; V. Dumoulin and F. Visin, "A guide to
    convolution arithmetic for deep learning", arXiv:1603.07285.

    Examples
    --------
    >>> conv_output_size(28, 5)
    24
    >>> conv_output_size((224, 200), 7, stride=2, padding=3)
    (112, 100)
    """
    function = "conv_output_size"
    single, (size, kernel, steps, spacing) = _sizes(
        input_size, function, kernel_size=kernel_size, stride=stride, dilation=dilation
    )
    _check_single_padding(single, padding, function)
    _, output = resolve_conv(size, kernel, steps, padding, spacing, function, strict=strict)
    return output[0] if single else output


@overload
def pool_output_size(
    input_size: int,
    kernel_size: int,
    stride: int | None = None,
    padding: int | str = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
    *,
    strict: bool = False,
) -> int: ...
@overload
def pool_output_size(
    input_size: tuple[int, int],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    *,
    strict: bool = False,
) -> tuple[int, int]: ...
def pool_output_size(
    input_size: Pair,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    *,
    strict: bool = False,
) -> int | tuple[int, int]:
    """Size of the output of a pooling.

    With P the sum of the padding before and after, and ceil in place of floor in `ceil_mode`::

        output = floor((input + P - dilation·(kernel - 1) - 1) / stride) + 1

    A last window that `ceil_mode` would start beyond the input and the padding before it is
    dropped, as PyTorch and ONNX do.

    Parameters
    ----------
    input_size : int or (int, int)
        Height and width, or the size of a single axis; then the others are ints too.
    kernel_size, dilation : int or (int, int)
    stride : int, (int, int) or None
        ``None`` is `kernel_size`.
    padding : int, (ph, pw), ((top, bottom), (left, right)) or str
        Less than the dilated kernel covers, on each side.
    ceil_mode : bool
        Round up: keep a last window that reaches beyond the padded input.
    strict : bool
        Refuse a stride that does not divide (`ceil_mode` ignores nothing, so it passes).

    Returns
    -------
    int or (int, int)
        As `input_size`.

    Raises
    ------
    TypeError
        If a size is no int, or a pair meets a single axis.
    ValueError
        If a size is out of range, the kernel does not fit, a window lies wholly in the padding,
        or `strict` finds a remainder.

    Examples
    --------
    >>> pool_output_size(24, 2)
    12
    >>> pool_output_size(6, 3, stride=2), pool_output_size(6, 3, stride=2, ceil_mode=True)
    (2, 3)
    """
    function = "pool_output_size"
    single, (size, kernel, steps, spacing) = _sizes(
        input_size,
        function,
        kernel_size=kernel_size,
        stride=kernel_size if stride is None else stride,
        dilation=dilation,
    )
    _check_single_padding(single, padding, function)
    _, output = resolve_pool(
        size, kernel, steps, padding, spacing, ceil_mode, function, strict=strict
    )
    return output[0] if single else output
