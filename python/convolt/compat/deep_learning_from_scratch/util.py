"""Drop-in for ``common/util.py`` of the book."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

import convolt
from convolt.compat.deep_learning_from_scratch._dtypes import Array, computing_dtype, result_dtype

__all__ = ["col2im", "conv_output_size", "im2col", "shuffle_dataset", "smooth_curve"]


def im2col(input_data: Array, filter_h: int, filter_w: int, stride: int = 1, pad: int = 0) -> Array:
    """Lay the windows of a batch of images out as the rows of a matrix.

    Parameters
    ----------
    input_data : ndarray
        Images (N, C, H, W).
    filter_h, filter_w : int
        The window.
    stride, pad : int, optional
        Step of the window, and rows and columns of zeros on each side.

    Returns
    -------
    ndarray
        (N·OH·OW, C·filter_h·filter_w), in the dtype of the images; float64 for integers.

    Examples
    --------
    >>> import numpy as np
    >>> im2col(np.arange(9).reshape(1, 1, 3, 3), 2, 2)
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.],
           [3., 4., 6., 7.],
           [4., 5., 7., 8.]])
    """
    dtype = result_dtype("im2col", input_data)
    images = input_data.astype(computing_dtype(dtype), copy=False)
    return convolt.im2col(images, (filter_h, filter_w), stride, pad).astype(dtype, copy=False)


def col2im(
    col: Array,
    input_shape: tuple[int, int, int, int],
    filter_h: int,
    filter_w: int,
    stride: int = 1,
    pad: int = 0,
) -> Array:
    """Add the rows of a column matrix up into images: the adjoint of :func:`im2col`.

    Parameters
    ----------
    col : ndarray
        (N·OH·OW, C·filter_h·filter_w), or any shape that holds these rows one after the other.
    input_shape : (N, C, H, W)
        Shape of the images.
    filter_h, filter_w, stride, pad : int
        Those of :func:`im2col`.

    Returns
    -------
    ndarray
        (N, C, H, W), in the dtype of `col`; float64 for integers.

    Examples
    --------
    >>> import numpy as np
    >>> col2im(np.ones((4, 4)), (1, 1, 3, 3), 2, 2)[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    dtype = result_dtype("col2im", col)
    taps = input_shape[1] * filter_h * filter_w
    if col.size % taps:
        raise ValueError(
            f"col2im: col must hold rows of C*filter_h*filter_w = {taps} elements, "
            f"got shape {col.shape}"
        )
    rows = col.astype(computing_dtype(dtype), copy=False).reshape(-1, taps)
    images = convolt.col2im(rows, input_shape, (filter_h, filter_w), stride, pad)
    return images.astype(dtype, copy=False)


def conv_output_size(input_size: int, filter_size: int, stride: int = 1, pad: int = 0) -> int:
    """Size of the output of a convolution along one axis.

    An integer, with the rest that the stride leaves over ignored, as `Convolution` does.

    Examples
    --------
    >>> conv_output_size(28, 5), conv_output_size(28, 3, stride=2, pad=1)
    (24, 14)
    """
    return convolt.conv_output_size(input_size, filter_size, stride, pad)


def shuffle_dataset(x: Array, t: Array) -> tuple[Array, Array]:
    """Return `x` and `t` in one random order, drawn from NumPy's global generator.

    Examples
    --------
    >>> import numpy as np
    >>> x, t = shuffle_dataset(np.arange(6).reshape(3, 2), np.arange(3))
    >>> bool((x[:, 0] == 2 * t).all())
    True
    """
    order = np.random.permutation(len(x))  # noqa: NPY002 - np.random.seed is what users call
    return x[order], t[order]


def smooth_curve(x: ArrayLike) -> NDArray[np.float64]:
    """Smooth a curve, of losses for example, by a Kaiser window of 11 points; as long as `x`.

    Examples
    --------
    >>> smooth_curve([2.0] * 12)
    array([2., 2., 2., 2., 2., 2., 2., 2., 2., 2., 2., 2.])
    """
    values = np.asarray(x, dtype=np.float64)
    window = np.kaiser(11, 2)
    mirrored = np.concatenate([values[5:0:-1], values, values[:-6:-1]])
    return np.convolve(window / window.sum(), mirrored, mode="valid")
