"""The layers without windows, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from convolt import functional
from convolt.compat.deep_learning_from_scratch._dtypes import (
    Array,
    after_forward,
    computing_dtype,
    result_dtype,
)
from convolt.compat.deep_learning_from_scratch.functions import (
    cross_entropy_error,
    sigmoid,
    softmax,
)


class Relu:
    """Positive part.

    Attributes
    ----------
    mask : ndarray
        True where the input of the latest forward pass was 0 or less.
    """

    def __init__(self) -> None:
        self.mask: Array | None = None

    def forward(self, x: Array) -> Array:
        """Return `x` where it is positive or a NaN, else 0."""
        self.mask = x <= 0
        out: Array = np.maximum(x, 0)
        return out

    def backward(self, dout: Array) -> Array:
        """Return `dout` where the input was positive or a NaN, else 0."""
        mask = after_forward(self.mask, self)
        dout = dout.astype(result_dtype("Relu.backward", dout), copy=False)
        # All bits of an entry or none: an assignment by a mask branches, which is ten times slower,
        # and the product with a mask is a NaN where dout is infinite.
        bits = dout.view(f"i{dout.itemsize}")
        passed = np.subtract(mask, 1, dtype=np.int8)
        dx: Array = np.bitwise_and(bits, passed).view(dout.dtype)
        return dx


class Sigmoid:
    """Logistic function.

    Attributes
    ----------
    out : ndarray
        Output of the latest forward pass.
    """

    def __init__(self) -> None:
        self.out: Array | None = None

    def forward(self, x: Array) -> Array:
        """Return ``1 / (1 + exp(-x))``."""
        self.out = sigmoid(x)
        return self.out

    def backward(self, dout: Array) -> Array:
        """Return the gradient of the input."""
        out = after_forward(self.out, self)
        dx: Array = dout * (1 - out) * out
        return dx


class Affine:
    """Fully connected layer, ``x @ W + b``; images (N, C, H, W) are taken as rows.

    Parameters
    ----------
    W : ndarray
        (inputs, outputs).
    b : ndarray or number
        (outputs,), or one number for all.

    Attributes
    ----------
    W, b
        The arguments; each pass reads them anew.
    x : ndarray
        Input of the latest forward pass, as rows.
    original_x_shape : tuple
        Its shape before that.
    dW, db : ndarray
        Gradients of the latest backward pass.

    Notes
    -----
    Dtypes are promoted as in `Convolution`. The products are the engine's, which have the same bits
    for any number of threads; those of NumPy's BLAS do not.
    """

    def __init__(self, W: Array, b: Any) -> None:
        self.W = W
        self.b = b
        self.x: Array | None = None
        self.original_x_shape: tuple[int, ...] | None = None
        self.dW: Array | None = None
        self.db: Array | None = None

    def forward(self, x: Array) -> Array:
        """Return ``x @ W + b``."""
        self.original_x_shape = x.shape
        self.x = x.reshape(len(x), -1)
        if self.x.shape[1] != len(self.W):
            raise ValueError(
                f"Affine.forward: x must have {len(self.W)} elements in each sample, "
                f"got shape {x.shape}"
            )
        dtype = result_dtype("Affine.forward", self.x, self.W)
        product = functional.conv2d(*_as_convolution(self.W, self.x, dtype))[0, :, 0]
        out: Array = product.astype(dtype, copy=False) + self.b
        return out

    def backward(self, dout: Array) -> Array:
        """Keep `dW` and `db`, and return the gradient of the input."""
        x = after_forward(self.x, self)
        dtype = result_dtype("Affine.backward", dout, x, self.W)
        image, filters = _as_convolution(self.W, x, dtype)
        dout = dout.astype(image.dtype, copy=False)
        dimage, dfilters, _ = functional.conv2d_backward(
            dout[None, :, None], image, filters, needs=("dx", "dweight")
        )
        self.dW = np.asarray(dimage, dtype)[0, :, 0]
        self.db = dout.sum(axis=0).astype(dtype, copy=False)
        return np.asarray(dfilters, dtype).reshape(self.original_x_shape)


def _as_convolution(W: Array, x: Array, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """Return an image and filters whose convolution (1, N, 1, outputs) is ``x @ W``.

    The rows of x are filters of one tap over an image with a channel for each row of W: so neither
    has to be transposed.
    """
    computed = computing_dtype(dtype)
    image, filters = W.astype(computed, copy=False), x.astype(computed, copy=False)
    return image[None, :, None], filters[:, :, None, None]


class SoftmaxWithLoss:
    """Mean cross entropy of the softmax of scores.

    Attributes
    ----------
    loss : float
        Result of the latest forward pass.
    y : ndarray
        Its softmax.
    t : ndarray
        Its labels.
    """

    def __init__(self) -> None:
        self.loss: Any = None
        self.y: Array | None = None
        self.t: Array | None = None

    def forward(self, x: Array, t: Array) -> Any:
        """Return the loss of scores `x` (N, classes) and labels `t`, (N,) or one-hot."""
        self.t = t
        self.y = softmax(x)
        self.loss = cross_entropy_error(self.y, t)
        return self.loss

    def backward(self, dout: float = 1) -> Array:
        """Return the gradient of the scores, given `dout`, that of the loss."""
        y, t = after_forward(self.y, self), np.asarray(self.t)
        dx: Array = np.atleast_2d(y).copy()
        if t.size == y.size:
            dx = dx - t.reshape(dx.shape)
        else:
            dx[np.arange(len(dx)), t] -= 1
        return (dx / len(dx) * dout).reshape(y.shape)


class Dropout:
    """Sets a share of the input to zero in training, and scales all of it otherwise.

    Parameters
    ----------
    dropout_ratio : float, optional
        The share, drawn from NumPy's global generator.

    Attributes
    ----------
    mask : ndarray
        True where the latest forward pass in training kept the input.

    References
    ----------
    N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
    JMLR 15, 2014.
    """

    def __init__(self, dropout_ratio: float = 0.5) -> None:
        self.dropout_ratio = dropout_ratio
        self.mask: Array | None = None

    def forward(self, x: Array, train_flg: bool = True) -> Array:
        """Return what is left of `x` in training, else ``x * (1 - dropout_ratio)``."""
        kept: Any = 1 - self.dropout_ratio
        if train_flg:
            drawn = np.random.rand(*x.shape)  # noqa: NPY002 - np.random.seed is what users call
            kept = self.mask = drawn > self.dropout_ratio
        out: Array = x * kept
        return out

    def backward(self, dout: Array) -> Array:
        """Return `dout` where the input was kept, else 0."""
        dx: Array = dout * after_forward(self.mask, self)
        return dx


class BatchNormalization:
    """Batch normalisation of each feature; each pixel of each channel is one.

    Parameters
    ----------
    gamma, beta : ndarray or number
        Scale and shift: (features,), where an image has C·H·W of them, or one number for all.
    momentum : float, optional
        What remains of the running statistics in each forward pass in training.
    running_mean, running_var : ndarray, optional
        Statistics for forward passes outside of training, zero at the start.

    Attributes
    ----------
    gamma, beta, momentum, running_mean, running_var
        The arguments; the statistics are replaced in training.
    input_shape, batch_size, xc, xn, std
        Of the latest forward pass in training: shape and length of the batch, then as rows the
        input less its mean, the same divided by the standard deviation, and that deviation.
    dgamma, dbeta : ndarray
        Gradients of the latest backward pass.

    References
    ----------
    S. Ioffe, C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing
    Internal Covariate Shift", ICML 2015.
    """

    def __init__(
        self,
        gamma: Any,
        beta: Any,
        momentum: float = 0.9,
        running_mean: Array | None = None,
        running_var: Array | None = None,
    ) -> None:
        self.gamma = gamma
        self.beta = beta
        self.momentum = momentum
        self.running_mean = running_mean
        self.running_var = running_var
        self.input_shape: tuple[int, ...] | None = None
        self.batch_size: int | None = None
        self.xc: Array | None = None
        self.xn: Array | None = None
        self.std: Array | None = None
        self.dgamma: Array | None = None
        self.dbeta: Array | None = None

    def forward(self, x: Array, train_flg: bool = True) -> Array:
        """Return the normalised `x`, by its own statistics in training or the running ones."""
        self.input_shape = x.shape
        rows = x.reshape(len(x), -1)
        if self.running_mean is None or self.running_var is None:
            self.running_mean = np.zeros(rows.shape[1])
            self.running_var = np.zeros(rows.shape[1])
        if train_flg:
            xn = self._normalise(rows)
        else:
            xn = (rows - self.running_mean) / np.sqrt(self.running_var + _EPSILON)
        out: Array = (self.gamma * xn + self.beta).reshape(x.shape)
        return out

    def _normalise(self, rows: Array) -> Array:
        mean = rows.mean(axis=0)
        self.batch_size = len(rows)
        self.xc = rows - mean
        variance = np.mean(self.xc**2, axis=0)
        self.std = np.sqrt(variance + _EPSILON)
        self.xn = self.xc / self.std
        self.running_mean = self._running(self.running_mean, mean)
        self.running_var = self._running(self.running_var, variance)
        return self.xn

    def _running(self, kept: Any, new: Array) -> Array:
        average: Array = self.momentum * kept + (1 - self.momentum) * new
        return average

    def backward(self, dout: Array) -> Array:
        """Keep `dgamma` and `dbeta`, and return the gradient of the input."""
        xn, std = after_forward(self.xn, self), after_forward(self.std, self)
        rows = dout.reshape(len(dout), -1)
        self.dbeta = rows.sum(axis=0)
        self.dgamma = np.sum(xn * rows, axis=0)
        centred = rows - (self.dbeta + xn * self.dgamma) / len(rows)
        dx: Array = (self.gamma / std * centred).reshape(self.input_shape)
        return dx


_EPSILON = 1e-6  # the book's, added to variances
