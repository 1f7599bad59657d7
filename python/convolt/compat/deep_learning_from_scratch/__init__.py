"""The layers of the book "Deep Learning from Scratch", with the names and arguments of its code.

A script that is written against ``common/layers.py``, ``common/util.py`` and
``common/functions.py`` of the book, in the Japanese or the Korean edition, runs on convolt after
one change of its imports::

    from convolt.compat.deep_learning_from_scratch.layers import *  # was: from common.layers
    from convolt.compat.deep_learning_from_scratch.util import im2col  # was: from common.util

or, where its files are to stay as they are, after two lines before they are imported::

    import sys
    from convolt.compat.deep_learning_from_scratch import layers
    sys.modules["common.layers"] = layers

Differences from the book, all of them deliberate:

- The dtype of a result is the one that NumPy promotes the operands to; the book computes
  everything from images in float64. float16 is computed in float32 and rounded, integers and bools
  are computed in float64, as in the book.
- `Convolution` keeps a copy of its input instead of the column matrix, and makes ``col`` when that
  is read. A backward pass uses the input and the layer's W as its forward pass did.
- `Pooling` takes a pad; padding never is the largest.
- ``backward`` leaves its argument alone and returns an array of its own; before ``forward`` it is a
  ``RuntimeError``.

References
----------
K. Saitoh, "Deep Learning from Scratch" (O'Reilly Japan, 2016; Korean edition Hanbit Media, 2017),
https://github.com/oreilly-japan/deep-learning-from-scratch and
https://github.com/WegraLee/deep-learning-from-scratch.

Examples
--------
>>> import numpy as np
>>> conv = Convolution(W=np.ones((2, 1, 3, 3)), b=0)
>>> pool = Pooling(pool_h=2, pool_w=2, stride=2)
>>> pool.forward(conv.forward(np.ones((1, 1, 6, 6))))[0, :, 0, 0]
array([9., 9.])
>>> conv.col.shape
(16, 9)
"""

from convolt.compat.deep_learning_from_scratch.functions import (
    cross_entropy_error,
    identity_function,
    mean_squared_error,
    relu,
    relu_grad,
    sigmoid,
    sigmoid_grad,
    softmax,
    softmax_loss,
    step_function,
    sum_squared_error,
)
from convolt.compat.deep_learning_from_scratch.layers import (
    Affine,
    BatchNormalization,
    Convolution,
    Dropout,
    Pooling,
    Relu,
    Sigmoid,
    SoftmaxWithLoss,
)
from convolt.compat.deep_learning_from_scratch.util import (
    col2im,
    conv_output_size,
    im2col,
    shuffle_dataset,
    smooth_curve,
)

__all__ = [
    "Affine",
    "BatchNormalization",
    "Convolution",
    "Dropout",
    "Pooling",
    "Relu",
    "Sigmoid",
    "SoftmaxWithLoss",
    "col2im",
    "conv_output_size",
    "cross_entropy_error",
    "identity_function",
    "im2col",
    "mean_squared_error",
    "relu",
    "relu_grad",
    "shuffle_dataset",
    "sigmoid",
    "sigmoid_grad",
    "smooth_curve",
    "softmax",
    "softmax_loss",
    "step_function",
    "sum_squared_error",
]
