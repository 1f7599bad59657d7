"""The definition of every operator, in pure NumPy.

Each function computes what its formula says, with the arguments, errors and corner cases of its
namesake in :mod:`convolt.functional`; nothing compiled is involved. The tests hold the compiled
operators to these, and the benchmarks time them as the NumPy that they are: convolutions as matrix
products over im2col, poolings as a loop over the kernel's elements.

Arrays are float32 or float64, all operands of a call alike, in any memory layout; the result has
their dtype. Images are (N, C, H, W), N = 0 included. What violates this raises a ``TypeError`` (a
dtype, an argument of the wrong kind) or a ``ValueError`` (a shape, a value) that names the
function, the argument, what was expected and what came.
"""

from __future__ import annotations

from convolt._arguments import Conv2dGradients, conv_output_size, pool_output_size
from convolt._reference_avg_pool import (
    avg_pool2d,
    avg_pool2d_backward,
    global_avg_pool2d,
    global_avg_pool2d_backward,
)
from convolt._reference_conv import (
    conv2d,
    conv2d_backward,
    conv_transpose2d,
    conv_transpose2d_backward,
)
from convolt._reference_max_pool import (
    global_max_pool2d,
    global_max_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
    min_pool2d,
    min_pool2d_backward,
)
from convolt._reference_norm import (
    BatchNorm2dGradients,
    BatchNorm2dOutput,
    batch_norm2d,
    batch_norm2d_backward,
    local_response_norm,
    local_response_norm_backward,
)
from convolt._reference_prepared import PreparedConv2d
from convolt._reference_unfold import col2im, fold, im2col, unfold

# The winners are for the layers, which take them from their backend.
from convolt._reference_winners import max_pool2d_winners as max_pool2d_winners
from convolt._reference_winners import max_pool2d_winners_backward as max_pool2d_winners_backward
from convolt._reference_winners import min_pool2d_winners as min_pool2d_winners
from convolt._reference_winners import min_pool2d_winners_backward as min_pool2d_winners_backward

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
