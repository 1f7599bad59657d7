"""What the compiled operators refuse, in which words, and how large an argument may be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from conv2d_cases import assert_same
from convolt import functional
from refusals import TYPE_ERRORS, VALUE_ERRORS, Refusal

LARGEST = 2**31 - 1


def ones(*shape: int) -> Any:
    return np.ones(shape, np.float32)


# --- messages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "refusal"),
    [(ValueError, r) for r in VALUE_ERRORS] + [(TypeError, r) for r in TYPE_ERRORS],
)
def test_refused_in_the_words_of_the_definition(error: type[Exception], refusal: Refusal) -> None:
    with pytest.raises(error) as caught:
        getattr(functional, refusal.function)(*refusal.args, **refusal.kwargs)
    assert str(caught.value).startswith(f"{refusal.function}: ")
    assert refusal.message in str(caught.value)


X, WEIGHT = ones(2, 3, 8, 9), ones(4, 3, 3, 2)
NHWC = X.transpose(0, 2, 3, 1)
NHWC_HINT = "got x of shape (2, 8, 9, 3); x looks like NHWC, x.transpose(0, 3, 1, 2) makes it NCHW"
MESSAGES = [
    (
        lambda: functional.conv2d(NHWC, WEIGHT),
        "conv2d: x must have 3 channels for weight of shape (4, 3, 3, 2) and groups=1, "
        + NHWC_HINT,
    ),
    (
        lambda: functional.conv2d_backward(X, NHWC, WEIGHT),
        "conv2d_backward: x must have 3 channels for weight of shape (4, 3, 3, 2) and groups=1, "
        + NHWC_HINT,
    ),
    (
        lambda: functional.conv_transpose2d(NHWC, WEIGHT[:3]),
        "conv_transpose2d: x must have 3 channels for weight of shape (3, 3, 3, 2) and groups=1, "
        + NHWC_HINT,
    ),
    (
        lambda: functional.conv2d(X[:, :2], WEIGHT),
        "conv2d: x must have 3 channels for weight of shape (4, 3, 3, 2) and groups=1, got x of "
        "shape (2, 2, 8, 9)",
    ),
    (
        lambda: functional.conv2d(X, WEIGHT, padding="SAME"),
        "conv2d: padding must be one of valid, full, same, same_upper, same_lower, got 'SAME'",
    ),
    (
        lambda: functional.conv2d(X, WEIGHT, padding=(1, 2, 3, 4)),
        "conv2d: padding must be an int, (ph, pw), ((top, bottom), (left, right)) or one of "
        "valid, full, same, same_upper, same_lower, got (1, 2, 3, 4)",
    ),
    (
        lambda: functional.conv2d(X, WEIGHT, algorithm="fft"),
        "conv2d: algorithm must be 'auto', 'gemm', 'winograd', 'winograd_2x2' or 'winograd_4x4', "
        "got 'fft'",
    ),
    (
        lambda: functional.conv2d(X, WEIGHT, stride=True),
        "conv2d: stride must be an int or a pair of ints, got True",
    ),
]


@pytest.mark.parametrize(("call", "message"), MESSAGES)
def test_messages(call: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value) == message


def test_windows_wholly_in_the_padding_of_a_pooling() -> None:
    text = (
        r"^max_pool2d: padding must leave a pixel to every window, .* output \(4, 0\) lies wholly"
    )
    with pytest.raises(ValueError, match=text):
        functional.max_pool2d(X, 2, padding=10, dilation=10)


# --- sizes --------------------------------------------------------------------------------------

x, weight = ones(1, 1, 4, 4), ones(1, 1, 3, 3)
INT_CALLS: dict[str, Any] = {
    "conv2d": lambda **kw: functional.conv2d(x, weight, **kw),
    "conv2d_backward": lambda **kw: functional.conv2d_backward(x, x, weight, **kw),
    "conv_transpose2d": lambda **kw: functional.conv_transpose2d(x, weight, **kw),
    "conv_transpose2d_backward": (
        lambda **kw: functional.conv_transpose2d_backward(x, x, weight, **kw)
    ),
    "im2col": lambda **kw: functional.im2col(**{"x": x, "kernel_size": 3, **kw}),
    "unfold": lambda **kw: functional.unfold(**{"x": x, "kernel_size": 3, **kw}),
    "col2im": lambda **kw: functional.col2im(x[0, 0], x.shape, **{"kernel_size": 1, **kw}),
    "fold": lambda **kw: functional.fold(x[0], **{"output_size": 4, "kernel_size": 1, **kw}),
    "max_pool2d": lambda **kw: functional.max_pool2d(x, **{"kernel_size": 2, **kw}),
    "min_pool2d": lambda **kw: functional.min_pool2d(x, **{"kernel_size": 2, **kw}),
    "avg_pool2d": lambda **kw: functional.avg_pool2d(x, **{"kernel_size": 2, **kw}),
    "avg_pool2d_backward": (
        lambda **kw: functional.avg_pool2d_backward(x, x.shape, **{"kernel_size": 2, **kw})
    ),
}
CONV = ["stride", "padding", "dilation", "groups"]
WINDOW = ["kernel_size", "stride", "padding", "dilation"]
INT_ARGUMENTS = {
    "conv2d": CONV,
    "conv2d_backward": CONV,
    "conv_transpose2d": [*CONV, "output_padding"],
    "conv_transpose2d_backward": [*CONV, "output_padding"],
    "im2col": WINDOW,
    "unfold": WINDOW,
    "col2im": WINDOW,
    "fold": [*WINDOW, "output_size"],
    "max_pool2d": WINDOW,
    "min_pool2d": WINDOW,
    "avg_pool2d": WINDOW[:-1],
    "avg_pool2d_backward": WINDOW[:-1],
}
NAMED = [(name, argument) for name, arguments in INT_ARGUMENTS.items() for argument in arguments]


@pytest.mark.parametrize("value", [2**31, 2**63, 2**64 + 1, 2**100, -1, -(2**31), -(2**100)])
@pytest.mark.parametrize(("name", "argument"), NAMED)
def test_parameters_out_of_range(name: str, argument: str, value: int) -> None:
    values = [value] if argument == "groups" else [value, (1, value), (value, 1)]
    expected = r"must be at most 2\*\*31 - 1" if value > 0 else "must be at least [01]"
    if value < 0 and argument == "padding":
        expected = "must not be negative"
    for parameter in values:
        with pytest.raises(ValueError, match=f"^{name}: {argument} {expected}"):
            INT_CALLS[name](**{argument: parameter})


@pytest.mark.parametrize("value", [1.0, "1", None, (1, 2, 3), (1,), (1.5, 2), True, 1j])
@pytest.mark.parametrize(("name", "argument"), NAMED)
def test_parameters_of_another_kind(name: str, argument: str, value: Any) -> None:
    if argument == "padding" and isinstance(value, str):
        return
    if value is None and argument == "stride" and "pool" in name:
        return
    with pytest.raises(TypeError, match=f"^{name}: {argument} must be an int"):
        INT_CALLS[name](**{argument: value})


def test_numpy_integers_are_integers() -> None:
    two = np.int32(2)
    y = functional.conv2d(x, weight, stride=two, padding=(np.int64(1), np.uint8(2)))
    assert_same(y, functional.conv2d(x, weight, stride=2, padding=(1, 2)))
    assert_same(functional.max_pool2d(x, [two, two]), functional.max_pool2d(x, 2))


GIANT = np.broadcast_to(np.float32(1), (2**20, 2**10, 2**10, 2**10))


@pytest.mark.parametrize(
    "call",
    [
        lambda: functional.conv2d(GIANT, ones(1, 1024, 1, 1)),
        lambda: functional.conv2d(ones(1, 1, 4, 4), np.broadcast_to(ones(1), (2**50, 1, 3, 3))),
        lambda: functional.conv2d(x, weight, np.broadcast_to(ones(1), (2**50,))),
        lambda: functional.conv2d_backward(GIANT, x, weight),
        lambda: functional.conv_transpose2d(GIANT, ones(1024, 1, 1, 1)),
        lambda: functional.im2col(GIANT, 3),
        lambda: functional.col2im(
            np.broadcast_to(ones(1), (2**30, 2**30)), (2**30, 2**30, 1, 1), 1
        ),
        lambda: functional.max_pool2d(GIANT, 2),
        lambda: functional.avg_pool2d(GIANT, 2),
        lambda: functional.global_avg_pool2d(GIANT),
        lambda: functional.global_max_pool2d(GIANT),
        # Outputs that int64 can count but no memory can hold
        lambda: functional.conv2d(x, weight, padding=(LARGEST, 2**25)),
        lambda: functional.conv2d(x, weight, padding=(LARGEST, 2**25), activation="relu"),
        lambda: functional.conv_transpose2d(x, weight, stride=(2**30, 2**23)),
        lambda: functional.im2col(x, 3, padding=(LARGEST, 2**23)),
        lambda: functional.unfold(x, 3, padding=(LARGEST, 2**23)),
        lambda: functional.max_pool2d(x, 2**27, 1, 2**27 - 1),
        lambda: functional.global_avg_pool2d_backward(x[:, :, :1, :1], (1, 1, 2**25, 2**25)),
    ],
)
def test_more_than_memory_is_a_memory_error(call: Any) -> None:
    with pytest.raises((MemoryError, ValueError)):
        call()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["max_pool2d", "min_pool2d", "avg_pool2d"])
@pytest.mark.cpu_only
def test_a_memory_error_of_the_engine_names_the_function(name: str, dtype: Any) -> None:
    """More than a thousand windows, each with a place for two thousand million taps."""
    window = {"kernel_size": (1, LARGEST), "stride": 1, "padding": (0, 2**30 + 600)}
    with pytest.raises(MemoryError, match=f"^{name}: unable to allocate working memory$"):
        getattr(functional, name)(x.astype(dtype), **window)


@pytest.mark.parametrize(
    ("function", "call"),
    [
        ("conv2d", lambda: functional.conv2d(x, weight, padding=LARGEST)),
        ("conv2d", lambda: functional.conv2d(x[:0], weight, padding=LARGEST)),
        ("conv2d", lambda: functional.conv2d(x, weight[:0], padding=LARGEST)),
        ("conv_transpose2d", lambda: functional.conv_transpose2d(x, weight, stride=LARGEST)),
        ("conv_transpose2d", lambda: functional.conv_transpose2d(x, weight, dilation=LARGEST)),
        ("im2col", lambda: functional.im2col(x, 3, padding=LARGEST)),
        ("unfold", lambda: functional.unfold(x, LARGEST, padding=LARGEST)),
        ("col2im", lambda: functional.col2im(weight[0, 0], (1, 1, 2**40, 2**40), 1)),
        ("col2im", lambda: functional.col2im(weight[0, 0], (2**40, 2**40, 1, 1), 1)),
        ("col2im", lambda: functional.col2im(weight[0, 0, :0], (0, 2**62, 2, 2), 1)),
        ("col2im", lambda: functional.col2im(weight[0, 0], (1, 2**62, 1, 1), (2, 2), padding=1)),
        ("fold", lambda: functional.fold(x[0], LARGEST, 1)),
        ("avg_pool2d_backward", lambda: functional.avg_pool2d_backward(
            x, (1, 1, 2**40, 2**40), 2)),
        ("max_pool2d_backward", lambda: functional.max_pool2d_backward(
            x, x.astype(np.int64), (1, 1, 2**40, 2**40), 2)),
    ],
)  # fmt: skip
def test_products_beyond_int64(function: str, call: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{function}: .*(2\*\*60 elements|is too large)"):
        call()


@pytest.mark.parametrize("shape", [(1, 1, 4, 2**63), (2**100, 1, 4, 4), (1, -1, 4, 4), (1, 4, 4)])
def test_input_shapes_out_of_range(shape: tuple[int, ...]) -> None:
    for call in (
        lambda: functional.col2im(x[0, 0], shape, 1),
        lambda: functional.avg_pool2d_backward(x, shape, 1),
        lambda: functional.max_pool2d_backward(x, x.astype(np.int64), shape, 1),
        lambda: functional.global_avg_pool2d_backward(x, shape),
        lambda: functional.global_max_pool2d_backward(x, x.astype(np.int64), shape),
    ):
        with pytest.raises((TypeError, ValueError), match=r"^\w+: input_shape must "):
            call()


def test_largest_parameters() -> None:
    """A window or two are left: the centre of the kernel, or its corners, on a corner of x."""
    image = np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4)
    kernel = np.arange(1, 10, dtype=np.float32).reshape(1, 1, 3, 3)
    y = functional.conv2d(image, kernel, padding=LARGEST, stride=LARGEST)
    corner = (image[0, 0, :3, :3] * kernel[0, 0]).sum()
    assert y[0, 0].tolist() == [[0, 0, 0], [0, corner, 0], [0, 0, 0]]
    assert_same(functional.conv2d(image, kernel, padding=LARGEST, dilation=LARGEST), 5 * image)
    assert functional.conv2d(image, kernel, stride=LARGEST).item() == corner
    gradients = functional.conv2d_backward(y, image, kernel, padding=LARGEST, stride=LARGEST)
    assert_same(gradients.dx[0, 0, :3, :3], corner * kernel[0, 0])
    assert_same(gradients.dweight[0, 0], corner * image[0, 0, :3, :3])
    rows = functional.im2col(image, 3, LARGEST, LARGEST, LARGEST)
    assert rows.tolist() == [[0, 0, 0, 0, 1, 0, 0, 0, 0]]
    assert functional.col2im(rows, image.shape, 3, LARGEST, LARGEST, LARGEST).sum() == 1
