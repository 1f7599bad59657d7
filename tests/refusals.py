"""Calls that every implementation of the operators refuses, and what it says of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Refusal(NamedTuple):
    """A call and a part of its error message, which starts with ``function: ``."""

    function: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    message: str


X = np.zeros((2, 3, 8, 8), np.float32)
WEIGHT = np.zeros((4, 3, 3, 3), np.float32)
DY = np.zeros((2, 4, 6, 6), np.float32)
POOLED = np.zeros((2, 3, 4, 4), np.float32)
INDICES = np.zeros(POOLED.shape, np.int64)
SHAPE = X.shape
SQUARE = np.zeros((2, 3, 3, 3), np.float32)

CHANNELS = np.zeros(3, np.float32)

# Function, arguments, and the name of one that is a flag.
FLAGS: list[tuple[str, tuple[Any, ...], str]] = [
    ("conv2d", (X, WEIGHT), "strict"),
    ("conv_output_size", (8, 3), "strict"),
    ("conv2d_backward", (DY, X, WEIGHT), "overwrite_dy"),
    *(
        (function, (X, 2), flag)
        for function in ("max_pool2d", "min_pool2d")
        for flag in ("ceil_mode", "return_indices", "strict")
    ),
    ("max_pool2d_backward", (POOLED, INDICES, SHAPE, 2), "ceil_mode"),
    ("min_pool2d_backward", (POOLED, INDICES, SHAPE, 2), "ceil_mode"),
    *(("avg_pool2d", (X, 2), flag) for flag in ("ceil_mode", "count_include_pad", "strict")),
    ("avg_pool2d_backward", (POOLED, SHAPE, 2), "ceil_mode"),
    ("avg_pool2d_backward", (POOLED, SHAPE, 2), "count_include_pad"),
    ("pool_output_size", (8, 2), "ceil_mode"),
    ("pool_output_size", (8, 2), "strict"),
    ("global_max_pool2d", (X,), "return_indices"),
    ("batch_norm2d_backward", (X, X, None, CHANNELS, CHANNELS), "training"),
]
NO_FLAGS = ("no", "", 2, 1, 0, None, 1.0, np.array(True))

VALUE_ERRORS = [
    Refusal(
        "conv2d",
        (X[0], WEIGHT),
        {},
        "x must be (N, C, H, W), got shape (3, 8, 8); for a single image pass x[np.newaxis]",
    ),
    Refusal("conv2d", (X[0, 0], WEIGHT), {}, "x must be (N, C, H, W), got shape (8, 8)"),
    Refusal("conv2d", (X[:, :, :0], WEIGHT), {}, "x must have H, W >= 1, got shape (2, 3, 0, 8)"),
    Refusal(
        "conv2d",
        (X.transpose(0, 2, 3, 1), WEIGHT),
        {},
        (
            "x must have 3 channels for weight of shape (4, 3, 3, 3) and groups=1, got x of "
            "shape (2, 8, 8, 3); x looks like NHWC, x.transpose(0, 3, 1, 2) makes it NCHW"
        ),
    ),
    Refusal("conv2d", (X[:, :2], WEIGHT), {}, "x must have 3 channels"),
    Refusal(
        "conv2d",
        (X, WEIGHT[0]),
        {},
        "weight must be (OC, C/groups, KH, KW) with KH, KW >= 1, got shape (3, 3, 3)",
    ),
    Refusal(
        "conv2d", (X, WEIGHT[..., :0]), {}, "weight must be (OC, C/groups, KH, KW) with KH, KW >= 1"
    ),
    Refusal(
        "conv2d", (X, WEIGHT, WEIGHT[0, 0, 0]), {}, "bias must have shape (OC,) = (4,), got (3,)"
    ),
    Refusal(
        "conv2d",
        (X, WEIGHT),
        {"groups": 3},
        "groups must divide the first axis of weight, 4, got groups=3",
    ),
    Refusal("conv2d", (X, WEIGHT), {"groups": 0}, "groups must be at least 1, got 0"),
    Refusal("conv2d", (X, WEIGHT), {"groups": 2}, "x must have 6 channels"),
    Refusal("conv2d", (X, WEIGHT), {"stride": 0}, "stride must be at least 1, got 0"),
    Refusal("conv2d", (X, WEIGHT), {"dilation": (1, 0)}, "dilation must be at least 1, got (1, 0)"),
    Refusal(
        "conv2d",
        (X, WEIGHT),
        {"dilation": 4},
        (
            "kernel_size must fit into the padded input, got a kernel that covers 9 and a "
            "padded input of 8"
        ),
    ),
    Refusal(
        "conv2d",
        (X, WEIGHT),
        {"padding": "same", "stride": 2},
        "padding='same' must come with stride 1",
    ),
    Refusal("conv2d", (X, WEIGHT), {"stride": 2, "strict": True}, "stride must divide"),
    Refusal(
        "conv2d",
        (X, WEIGHT),
        {"activation": "gelu"},
        "activation must be None or 'relu', got 'gelu'",
    ),
    Refusal(
        "conv2d_backward",
        (DY[1:], X, WEIGHT),
        {},
        "dy must have shape (N, OC, OH, OW) = (2, 4, 6, 6), got (1, 4, 6, 6)",
    ),
    Refusal(
        "conv2d_backward",
        (DY, X, WEIGHT),
        {"needs": ("dx", "dw")},
        "needs must hold names among dx, dweight, dbias, got ('dx', 'dw')",
    ),
    Refusal(
        "conv2d_backward",
        (DY, X, WEIGHT),
        {"needs": ""},
        "needs must hold names among dx, dweight, dbias, got ''",
    ),
    Refusal(
        "conv2d_backward",
        (DY, X, WEIGHT),
        {"activation": "gelu", "y": DY},
        "activation must be None or 'relu', got 'gelu'",
    ),
    Refusal(
        "conv2d_backward",
        (DY, X, WEIGHT),
        {"activation": "relu"},
        "y must be the output of the forward pass with activation='relu', got None",
    ),
    Refusal(
        "conv2d_backward",
        (DY, X, WEIGHT),
        {"y": DY},
        "y must come with an activation, got y with activation=None",
    ),
    Refusal(
        "conv2d_backward",
        (DY, X, WEIGHT),
        {"activation": "relu", "y": DY[:, :1]},
        "y must have shape (N, OC, OH, OW) = (2, 4, 6, 6), got (2, 1, 6, 6)",
    ),
    Refusal("conv_transpose2d", (DY, WEIGHT[:3]), {}, "x must have 3 channels"),
    Refusal(
        "conv_transpose2d",
        (DY, WEIGHT, WEIGHT[:, 0, 0, 0]),
        {},
        "bias must have shape (OC,) = (3,), got (4,)",
    ),
    Refusal(
        "conv_transpose2d",
        (DY, WEIGHT),
        {"output_padding": 1},
        (
            "output_padding must be less than the larger of stride and dilation, got "
            "output_padding (1, 1), stride (1, 1), dilation (1, 1)"
        ),
    ),
    Refusal(
        "conv_transpose2d",
        (DY, WEIGHT),
        {"output_padding": -1, "stride": 2},
        "output_padding must be at least 0, got -1",
    ),
    Refusal(
        "conv_transpose2d",
        (DY, WEIGHT),
        {"output_padding": 1, "stride": 2, "padding": "same_upper"},
        "output_padding must be 0 with padding='same_upper', got (1, 1)",
    ),
    Refusal(
        "conv_transpose2d",
        (DY, WEIGHT),
        {"padding": 4},
        "padding must leave an output of at least 1 x 1, got 4, which leaves 0 x 0",
    ),
    Refusal(
        "conv_transpose2d",
        (DY, WEIGHT),
        {"padding": "same", "stride": 2},
        "'same_upper' or 'same_lower' take any stride",
    ),
    Refusal(
        "conv_transpose2d_backward",
        (X[:, :, 1:], DY, WEIGHT),
        {},
        "dy must have shape (N, OC, OH, OW) = (2, 3, 8, 8), got (2, 3, 7, 8)",
    ),
    Refusal("im2col", (X, 9), {}, "kernel_size must fit"),
    Refusal("im2col", (X[0], 3), {}, "x must be (N, C, H, W)"),
    Refusal(
        "col2im",
        (WEIGHT[0, 0], SHAPE, 3),
        {},
        "col must have shape (N*OH*OW, C*KH*KW) = (72, 27), got (3, 3)",
    ),
    Refusal(
        "col2im",
        (WEIGHT[0, 0], (2, 3, 0, 8), 3),
        {},
        "input_shape must have H, W >= 1 and N, C >= 0, got (2, 3, 0, 8)",
    ),
    Refusal("unfold", (X, 9), {}, "kernel_size must fit"),
    Refusal(
        "fold", (X[0], 8, 3), {}, "col must be (N, C*KH*KW, L) with KH*KW = 9, got shape (3, 8, 8)"
    ),
    Refusal(
        "fold",
        (SQUARE.reshape(2, 9, 3), 8, 3),
        {},
        "col must have shape (N, C*KH*KW, OH*OW) = (2, 9, 36), got (2, 9, 3)",
    ),
    Refusal(
        "max_pool2d",
        (X, 2, 2, 2),
        {},
        "padding must be less than the 2 that the kernel covers, got ",
    ),
    Refusal("max_pool2d", (X, 9), {}, "kernel_size must fit"),
    Refusal("min_pool2d", (X, 0), {}, "kernel_size must be at least 1, got 0"),
    Refusal("min_pool2d", (X, 3), {"strict": True}, "stride must divide"),
    Refusal("avg_pool2d", (X, 2), {"divisor_override": 0}, "divisor_override must not be 0, got 0"),
    Refusal("avg_pool2d", (X, 3), {"strict": True}, "stride must divide"),
    Refusal(
        "avg_pool2d_backward", (X, SHAPE, 2), {}, "dy must have shape (N, C, OH, OW) = (2, 3, 4, 4)"
    ),
    Refusal(
        "max_pool2d_backward",
        (X, INDICES, SHAPE, 2),
        {},
        "dy must have shape (N, C, OH, OW) = (2, 3, 4, 4)",
    ),
    Refusal(
        "max_pool2d_backward",
        (POOLED, INDICES[1:], SHAPE, 2),
        {},
        "indices must have shape (N, C, OH, OW) = (2, 3, 4, 4), got (1, 3, 4, 4)",
    ),
    Refusal(
        "max_pool2d_backward",
        (POOLED, INDICES + 64, SHAPE, 2),
        {},
        "indices must lie in [0, H*W) = [0, 64), got ",
    ),
    Refusal(
        "min_pool2d_backward",
        (POOLED, INDICES - 1, SHAPE, 2),
        {},
        "indices must lie in [0, H*W) = [0, 64), got ",
    ),
    Refusal("global_avg_pool2d", (X[0],), {}, "x must be (N, C, H, W)"),
    Refusal(
        "global_avg_pool2d_backward",
        (POOLED, SHAPE),
        {},
        "dy must have shape (N, C, 1, 1) = (2, 3, 1, 1), got (2, 3, 4, 4)",
    ),
    Refusal("global_max_pool2d", (X[0],), {}, "x must be (N, C, H, W)"),
    Refusal(
        "global_max_pool2d_backward",
        (POOLED, INDICES, SHAPE),
        {},
        "dy must have shape (N, C, 1, 1)",
    ),
]

TYPE_ERRORS = [
    Refusal("conv2d", (X.astype(np.int32), WEIGHT), {}, "x must be float32 or float64, got int32"),
    Refusal(
        "conv2d", (X.astype(np.float16), WEIGHT), {}, "x must be float32 or float64, got float16"
    ),
    Refusal(
        "conv2d", (X.astype(complex), WEIGHT), {}, "x must be float32 or float64, got complex128"
    ),
    Refusal(
        "conv2d",
        (X, WEIGHT.astype(float)),
        {},
        "weight must be float32 as the other operand is, got float64",
    ),
    Refusal("conv2d", (X, WEIGHT, np.zeros(4)), {}, "bias must be float32"),
    Refusal("conv2d", (X, WEIGHT), {"groups": 1.0}, "groups must be an int, got 1.0"),
    Refusal(
        "conv2d", (X, WEIGHT), {"stride": 1.5}, "stride must be an int or a pair of ints, got 1.5"
    ),
    Refusal("conv2d_backward", (DY.astype(float), X, WEIGHT), {}, "dy must be float32"),
    Refusal(
        "conv2d_backward",
        (DY, X, WEIGHT),
        {"activation": "relu", "y": DY.astype(float)},
        "y must be float32 as the other operand is, got float64",
    ),
    *(
        Refusal(
            "conv2d_backward",
            (DY, X, WEIGHT),
            {"needs": needs},
            f"needs must be an iterable of names, got {needs!r}",
        )
        for needs in (None, 3, [["dx"]])
    ),
    Refusal("col2im", (X[0, 0], 8, 3), {}, "input_shape must be four ints (N, C, H, W), got 8"),
    Refusal(
        "avg_pool2d", (X, 2), {"divisor_override": 2.0}, "divisor_override must be an int, got 2.0"
    ),
    Refusal(
        "max_pool2d_backward",
        (POOLED, POOLED, SHAPE, 2),
        {},
        "indices must be integers, got float32",
    ),
    *(
        Refusal(function, args, {flag: value}, f"{flag} must be True or False, got {value!r}")
        for function, args, flag in FLAGS
        for value in NO_FLAGS
    ),
]
