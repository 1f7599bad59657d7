"""The operators, compiled: convolution, pooling, and the column matrices, forward and backward.

Each has a namesake with the same arguments and errors in :mod:`convolt.reference`, its definition
in pure NumPy; that of local_response_norm computes here too.

Images are (N, C, H, W), float32 or float64, all operands of a call alike, in any memory layout:
what the engine cannot read as it lies is copied once, and nothing is converted. N = 0 is allowed.
`kernel_size`, `stride` and `dilation` are an int or (vertical, horizontal). `padding` is an int,
(ph, pw), ((top, bottom), (left, right)) or a name: "valid" (none), "full" ((K - 1)·dilation on each
side), "same" (keeps the size at stride 1), "same_upper" and "same_lower" (ceil(size / stride)
outputs, the odd row at the end or at the beginning). `out` is an array to write the result into:
C-contiguous, of the right shape and dtype, and apart from the inputs. A flag is a bool, Python's or
NumPy's.

In place of NumPy arrays all functions take arrays on a CUDA device, `convolt.cuda.Array` or those
of another library: they are computed there, and the same kind comes back; see :mod:`convolt.cuda`.
A mixture of both is a ``TypeError``.

What violates this raises a ``TypeError`` (a dtype, an argument of the wrong kind) or a
``ValueError`` (a shape, a value) that names the function, the argument, what was expected and what
came. ``MemoryError`` where memory is short.
"""

from __future__ import annotations

from convolt._arguments import Conv2dGradients, conv_output_size, pool_output_size
from convolt._functional_conv import (
    conv2d,
    conv2d_backward,
    conv_transpose2d,
    conv_transpose2d_backward,
)
from convolt._functional_global_pool import (
    global_avg_pool2d,
    global_avg_pool2d_backward,
    global_max_pool2d,
    global_max_pool2d_backward,
)
from convolt._functional_norm import (
    batch_norm2d,
    batch_norm2d_backward,
    local_response_norm,
    local_response_norm_backward,
)
from convolt._functional_pool import (
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
    min_pool2d,
    min_pool2d_backward,
)
from convolt._functional_unfold import col2im, fold, im2col, unfold

# The winners are for the layers, which take them from their backend.
from convolt._functional_winners import max_pool2d_winners as max_pool2d_winners
from convolt._functional_winners import max_pool2d_winners_backward as max_pool2d_winners_backward
from convolt._functional_winners import min_pool2d_winners as min_pool2d_winners
from convolt._functional_winners import min_pool2d_winners_backward as min_pool2d_winners_backward
from convolt._prepared import PreparedConv2d
from convolt._reference_norm import BatchNorm2dGradients, BatchNorm2dOutput

__all__ = [
    "BatchNorm2dGradients",
    "BatchNorm2dOutput",
    "Conv2dGradients",
    "PreparedConv2d",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm2d",
    "batch_norm2d_backward",
    "col2im",
    "conv2d",
    "conv2d_backward",
    "conv_output_size",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "fold",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "global_max_pool2d",
    "global_max_pool2d_backward",
    "im2col",
    "local_response_norm",
    "local_response_norm_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "min_pool2d",
    "min_pool2d_backward",
    "pool_output_size",
    "unfold",
]
