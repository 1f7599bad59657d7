"""The layers of "Deep Learning from Scratch" in plain NumPy, by the book's method.

Columns by loops over the taps of the window, products with them, the largest of each window by
argmax, a mask of what ReLU sets to zero: everything in float64. Names, arguments and attributes are
the book's, so that a script runs on this module or on its replacement in ``convolt.compat``.

References
----------
K. Saitoh, "Deep Learning from Scratch" (O'Reilly Japan, 2016), chapters 5 to 7.
"""

from __future__ import annotations

import numpy as np


def im2col(
    input_data: np.ndarray, filter_h: int, filter_w: int, stride: int = 1, pad: int = 0
) -> np.ndarray:
    """Return the windows as rows: (N * OH * OW, C * filter_h * filter_w)."""
    n, c, h, w = input_data.shape
    oh = (h + 2 * pad - filter_h) // stride + 1
    ow = (w + 2 * pad - filter_w) // stride + 1
    images = np.pad(input_data, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    columns = np.zeros((n, c, filter_h, filter_w, oh, ow))
    for i in range(filter_h):
        for j in range(filter_w):
            columns[:, :, i, j] = images[
                :, :, i : i + stride * oh : stride, j : j + stride * ow : stride
            ]
    return columns.transpose(0, 4, 5, 1, 2, 3).reshape(n * oh * ow, -1)


def col2im(
    col: np.ndarray,
    input_shape: tuple[int, int, int, int],
    filter_h: int,
    filter_w: int,
    stride: int = 1,
    pad: int = 0,
) -> np.ndarray:
    """Add rows of windows up into images of the given shape."""
    n, c, h, w = input_shape
    oh = (h + 2 * pad - filter_h) // stride + 1
    ow = (w + 2 * pad - filter_w) // stride + 1
    columns = col.reshape(n, oh, ow, c, filter_h, filter_w).transpose(0, 3, 4, 5, 1, 2)
    images = np.zeros((n, c, h + 2 * pad + stride - 1, w + 2 * pad + stride - 1))
    for i in range(filter_h):
        for j in range(filter_w):
            images[:, :, i : i + stride * oh : stride, j : j + stride * ow : stride] += columns[
                :, :, i, j
            ]
    return images[:, :, pad : pad + h, pad : pad + w]


class Convolution:
    """A product of the columns and the filters."""

    def __init__(self, W, b, stride: int = 1, pad: int = 0) -> None:
        self.W, self.b = W, b
        self.stride, self.pad = stride, pad

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the images (N, FN, OH, OW), and keep the columns."""
        filters, _, *window = self.W.shape
        n = len(x)
        oh, ow = (
            (size + 2 * self.pad - length) // self.stride + 1
            for size, length in zip(x.shape[2:], window, strict=True)
        )
        self.x = x
        self.col = im2col(x, *window, self.stride, self.pad)
        self.col_W = self.W.reshape(filters, -1).T
        out = np.dot(self.col, self.col_W) + self.b
        return out.reshape(n, oh, ow, filters).transpose(0, 3, 1, 2)

    def backward(self, dout: np.ndarray) -> np.ndarray:
        """Keep the gradients of filters and bias; return that of the images."""
        filters, _, *window = self.W.shape
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, filters)
        self.db = np.sum(dout, axis=0)
        self.dW = np.dot(self.col.T, dout).transpose(1, 0).reshape(self.W.shape)
        dcol = np.dot(dout, self.col_W.T)
        return col2im(dcol, self.x.shape, *window, self.stride, self.pad)


class Pooling:
    """The largest of each window."""

    def __init__(self, pool_h: int, pool_w: int, stride: int = 1, pad: int = 0) -> None:
        self.pool_h, self.pool_w = pool_h, pool_w
        self.stride, self.pad = stride, pad

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the maxima (N, C, OH, OW), and keep where they were."""
        n, c, h, w = x.shape
        oh = (h - self.pool_h) // self.stride + 1
        ow = (w - self.pool_w) // self.stride + 1
        columns = im2col(x, self.pool_h, self.pool_w, self.stride, self.pad)
        columns = columns.reshape(-1, self.pool_h * self.pool_w)
        self.x, self.arg_max = x, np.argmax(columns, axis=1)
        return np.max(columns, axis=1).reshape(n, oh, ow, c).transpose(0, 3, 1, 2)

    def backward(self, dout: np.ndarray) -> np.ndarray:
        """Return the gradient of the images: dout where the largest were."""
        dout = dout.transpose(0, 2, 3, 1)
        columns = np.zeros((dout.size, self.pool_h * self.pool_w))
        columns[np.arange(dout.size), self.arg_max] = dout.flatten()
        columns = columns.reshape(dout.size // dout.shape[3], -1)
        return col2im(columns, self.x.shape, self.pool_h, self.pool_w, self.stride, self.pad)


class Affine:
    """A fully connected layer; images become rows."""

    def __init__(self, W, b) -> None:
        self.W, self.b = W, b

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return x times W, plus b."""
        self.original_x_shape = x.shape
        self.x = x.reshape(len(x), -1)
        return np.dot(self.x, self.W) + self.b

    def backward(self, dout: np.ndarray) -> np.ndarray:
        """Keep the gradients of W and b; return that of x."""
        self.dW = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return np.dot(dout, self.W.T).reshape(self.original_x_shape)


class Relu:
    """Sets what is not positive to zero by a mask."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the positive part."""
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout: np.ndarray) -> np.ndarray:
        """Return dout, changed in place, where the input was positive."""
        dout[self.mask] = 0
        return dout


class Dropout:
    """Sets a share of the input to zero in training, and scales all of it otherwise."""

    def __init__(self, dropout_ratio: float = 0.5) -> None:
        self.dropout_ratio = dropout_ratio

    def forward(self, x: np.ndarray, train_flg: bool = True) -> np.ndarray:
        """Return what is left of the input, or its expectation."""
        if not train_flg:
            return x * (1 - self.dropout_ratio)
        self.mask = np.random.rand(*x.shape) > self.dropout_ratio  # noqa: NPY002
        return x * self.mask

    def backward(self, dout: np.ndarray) -> np.ndarray:
        """Return dout where the input was kept."""
        return dout * self.mask


class SoftmaxWithLoss:
    """The mean cross entropy of the softmax."""

    def forward(self, x: np.ndarray, t: np.ndarray) -> float:
        """Return the loss, for labels (N,) or their one-hot form."""
        exponentials = np.exp(x - np.max(x, axis=1, keepdims=True))
        self.y = exponentials / np.sum(exponentials, axis=1, keepdims=True)
        self.t = t
        rows, labels = np.arange(len(x)), t.argmax(axis=1) if t.ndim == 2 else t
        self.loss = -np.sum(np.log(self.y[rows, labels] + 1e-7)) / len(x)
        return self.loss

    def backward(self, dout: float = 1) -> np.ndarray:
        """Return the gradient of the scores."""
        onehot = self.t if self.t.ndim == 2 else np.eye(self.y.shape[1])[self.t]
        return (self.y - onehot) / len(onehot)
