"""The layers with windows, over the compiled engine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convolt import functional
from convolt.compat.deep_learning_from_scratch._dtypes import (
    Array,
    after_forward,
    computing_dtype,
    result_dtype,
)


class Convolution:
    """Convolution of (N, C, H, W) to (N, FN, OH, OW), without a column matrix.

    Parameters
    ----------
    W : ndarray
        Filters (FN, C, FH, FW).
    b : ndarray or number
        (FN,), or one number for all filters.
    stride, pad : int, optional
        Step of the window, and rows and columns of zeros on each side.

    Attributes
    ----------
    W, b, stride, pad
        The arguments; each forward pass reads them anew, so that W and b may be changed in place or
        replaced.
    x : ndarray
        Input of the latest forward pass.
    col, col_W : ndarray
        The matrices (N·OH·OW, C·FH·FW) and (C·FH·FW, FN) whose product the latest forward pass
        stands for; both are made when they are read.
    dW, db : ndarray
        Gradients of the latest backward pass, in the shape of W and (FN,).

    Notes
    -----
    The output has the dtype that NumPy promotes x, W and b to, the gradients that of x, W, b and
    dout: float32 with float32 stays float32, and float32, float16 or integers with float64 give
    float64. float16 with float16 is computed in float32 and rounded once at the end. Integers with
    integers give float64, as in the book.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Convolution(np.ones((1, 1, 2, 2)), b=0)
    >>> layer.forward(np.arange(9).reshape(1, 1, 3, 3))[0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    >>> layer.backward(np.ones((1, 1, 2, 2)))[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    >>> layer.dW[0, 0], layer.db
    (array([[ 8., 12.],
           [20., 24.]]), array([4.]))
    """

    def __init__(self, W: Array, b: Any, stride: int = 1, pad: int = 0) -> None:
        self.W = W
        self.b = b
        self.stride = stride
        self.pad = pad
        self.x: Array | None = None
        self.dW: Array | None = None
        self.db: Array | None = None
        self._images: Array | None = None  # x as it was, in the dtype of the computation
        self._filters = W  # those of the latest forward pass
        self._dtype: np.dtype[Any] | None = None

    def forward(self, x: Array) -> Array:
        """Return the convolution of `x` plus b, as a new array."""
        self._dtype = result_dtype("Convolution.forward", x, self.W, self.b)
        computed = computing_dtype(self._dtype)
        self.x, self._filters = x, self.W
        # A copy, as the column matrix is one in the book: x may change before the backward pass.
        self._images = x.astype(computed, order="C")
        out = functional.conv2d(
            self._images,
            self.W.astype(computed, copy=False),
            self._bias(computed),
            stride=self.stride,
            padding=self.pad,
        )
        return out.astype(self._dtype, copy=False)

    def backward(self, dout: Array) -> Array:
        """Keep `dW` and `db`, and return the gradient of the input as a new array."""
        images = after_forward(self._images, self)
        dtype = result_dtype("Convolution.backward", dout, self._dtype)
        dout, images, filters = (
            array.astype(computing_dtype(dtype), copy=False)
            for array in (dout, images, self._filters)
        )
        dx, dweight, dbias = functional.conv2d_backward(
            *(dout, images, filters),
            stride=self.stride,
            padding=self.pad,
        )
        self.dW, self.db = np.asarray(dweight, dtype), np.asarray(dbias, dtype)
        return np.asarray(dx, dtype)

    @property
    def col(self) -> Array | None:
        """The column matrix of the latest forward pass, made anew at each access."""
        if self._images is None:
            return None
        return functional.im2col(self._images, self._filters.shape[2:], self.stride, self.pad)

    @property
    def col_W(self) -> Array | None:
        """The filters of the latest forward pass as columns."""
        if self._images is None:
            return None
        columns: Array = self._filters.reshape(len(self._filters), -1).T
        return columns

    def _bias(self, dtype: np.dtype[Any]) -> Array:
        bias = np.empty(len(self.W), dtype)
        try:
            bias[...] = self.b
        except ValueError:
            raise ValueError(
                f"Convolution.forward: b must be a number or have shape {bias.shape}, "
                f"got shape {np.shape(self.b)}"
            ) from None
        return bias


class Pooling:
    """Largest value of each window.

    Parameters
    ----------
    pool_h, pool_w : int
        The window.
    stride : int, optional
        Step of the window; 1 as in the printed book (its repositories have 2 since 2020).
    pad : int, optional
        Rows and columns around the image, fewer than the window has, that are never the largest.

    Attributes
    ----------
    pool_h, pool_w, stride, pad
        The arguments.
    x : ndarray
        Input of the latest forward pass.
    arg_max : ndarray
        Where in its window each maximum is: the number of the element in row-major order, the first
        of equal ones, for all N·OH·OW·C windows in this order; made when it is read.

    Notes
    -----
    Rows and columns that the stride leaves over are ignored. A NaN is the largest. The output has
    the dtype of the input, the gradient that of dout; both float64 for integers.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Pooling(2, 2, stride=2)
    >>> layer.forward(np.array([[[[1.0, 2.0], [4.0, 4.0]]]]))
    array([[[[4.]]]])
    >>> layer.arg_max
    array([2])
    >>> layer.backward(np.full((1, 1, 1, 1), 5.0))[0, 0]
    array([[0., 0.],
           [5., 0.]])
    """

    def __init__(self, pool_h: int, pool_w: int, stride: int = 1, pad: int = 0) -> None:
        self.pool_h = pool_h
        self.pool_w = pool_w
        self.stride = stride
        self.pad = pad
        self.x: Array | None = None
        self._winners: Array | None = None

    def forward(self, x: Array) -> Array:
        """Return the maxima, as a new array, and keep where they were."""
        dtype = result_dtype("Pooling.forward", x)
        images = x.astype(computing_dtype(dtype), copy=False)
        out, self._winners = functional.max_pool2d_winners(images, *self._window())
        self.x = x
        return out.astype(dtype, copy=False)

    def backward(self, dout: Array) -> Array:
        """Return each entry of `dout` at the place of its maximum, as a new array."""
        winners, x = after_forward(self._winners, self), after_forward(self.x, self)
        dtype = result_dtype("Pooling.backward", dout)
        dx = functional.max_pool2d_winners_backward(
            dout.astype(computing_dtype(dtype), copy=False), winners, x.shape, *self._window()
        )
        return dx.astype(dtype, copy=False)

    @property
    def arg_max(self) -> NDArray[np.intp] | None:
        """The maxima of the latest forward pass as numbers of elements of their windows."""
        if self._winners is None or self.x is None:
            return None
        taps = self._winners
        if taps.dtype != np.uint8:  # pixels of the image, where the window has more than 255
            rows, columns = np.divmod(taps, self.x.shape[3])
            first_row, first_column = (
                start * self.stride - self.pad
                for start in np.ogrid[: taps.shape[2], : taps.shape[3]]
            )
            taps = (rows - first_row) * self.pool_w + columns - first_column
        numbers: NDArray[np.intp] = taps.transpose(0, 2, 3, 1).ravel().astype(np.intp)
        return numbers

    def _window(self) -> tuple[tuple[int, int], int, int]:
        return (self.pool_h, self.pool_w), self.stride, self.pad
