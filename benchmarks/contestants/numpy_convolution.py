"""The rival that needs no compiler: convolution in NumPy, as fast as we can make it.

im2col by a copy of a strided view, then one matrix product a group in NumPy's BLAS. It takes an
image at a time, so that the column matrix stays in cache, or several where an image alone would
make a narrow product; it writes into buffers that every call uses again; it has the pixels last, so
that the product of one image is its output in NCHW; and a 1x1 convolution copies nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from problem import Problem

WORTHWHILE_COLUMNS = 256  # from here on a wider matrix product gains little


class NumPyConvolution:
    """The three passes of one layer over buffers of its own."""

    def __init__(self, problem: Problem) -> None:
        shape = self.shape = problem.shape
        self.batch, self.dtype = problem.batch, problem.dtype
        self.images_at_once = _images_at_once(problem.batch, math.prod(shape.output_size))
        self._make_padded_images()
        size = (shape.in_channels, *shape.kernel_size, self.images_at_once, *shape.output_size)
        self.columns = np.empty(size, self.dtype)
        pixels = self.images_at_once * math.prod(shape.output_size)
        self.column_matrix = self.columns.reshape(shape.groups, -1, pixels)
        one_by_one = shape.kernel_size == (1, 1) and self.padded.shape[2:] == shape.output_size
        self.columns_are_image = one_by_one and self.images_at_once == 1

    def forward(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return y (N, OC, OH, OW)."""
        y = np.empty((self.batch, self.shape.out_channels, *self.shape.output_size), self.dtype)
        filters = self._filter_matrix(weight)
        for chunk in self._chunks():
            self._multiply(filters, self._im2col(x[chunk]), y[chunk])
        return y

    def backward_data(self, dy: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return dx (N, C, H, W)."""
        dx = np.empty((self.batch, self.shape.in_channels, *self.shape.input_size), self.dtype)
        filters = self._filter_matrix(weight).transpose(0, 2, 1)
        for chunk in self._chunks():
            gradients = self._matrix(dy[chunk])
            if self.columns_are_image:
                self._multiply(filters, gradients, dx[chunk])
            else:
                np.matmul(filters, gradients, out=self.column_matrix)
                dx[chunk] = self._col2im()
        return dx

    def backward_weights(self, dy: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return dweight (OC, C/groups, KH, KW)."""
        dweight = np.zeros(self.shape.weight_shape, self.dtype)
        total = self._filter_matrix(dweight)
        for chunk in self._chunks():
            total += np.matmul(self._matrix(dy[chunk]), self._im2col(x[chunk]).transpose(0, 2, 1))
        return dweight

    def _make_padded_images(self) -> None:
        """Make the zero-padded images, and the views of their inside and of their windows."""
        (top, bottom), (left, right) = self.shape.padding
        (h, w), (sh, sw), (dh, dw) = self.shape.input_size, self.shape.stride, self.shape.dilation
        size = (self.images_at_once, self.shape.in_channels, top + h + bottom, left + w + right)
        self.padded = np.zeros(size, self.dtype)
        self.inside = self.padded[:, :, top : top + h, left : left + w]
        kh, kw = self.shape.kernel_size
        reach = ((kh - 1) * dh + 1, (kw - 1) * dw + 1)
        windows = sliding_window_view(self.padded, reach, axis=(2, 3), writeable=True)
        windows = windows[:, :, ::sh, ::sw, ::dh, ::dw]
        self.windows = windows.transpose(1, 4, 5, 0, 2, 3)  # C, KH, KW, images, OH, OW

    def _chunks(self) -> Iterator[slice]:
        for first in range(0, self.batch, self.images_at_once):
            yield slice(first, first + self.images_at_once)

    def _filter_matrix(self, weight: np.ndarray) -> np.ndarray:
        """View the filters as (groups, OC/groups, C/groups * KH * KW)."""
        return weight.reshape(self.shape.groups, -1, self.column_matrix.shape[1])

    def _matrix(self, images: np.ndarray) -> np.ndarray:
        """Turn NCHW into (groups, channels/groups, pixels): a view of one image, else a copy."""
        pixels = images[:, 0].size
        return images.transpose(1, 0, 2, 3).reshape(self.shape.groups, -1, pixels)

    def _multiply(self, a: np.ndarray, b: np.ndarray, images: np.ndarray) -> None:
        """Write the product a b, a matrix as ``_matrix`` makes it, into images in NCHW."""
        if self.images_at_once == 1:
            np.matmul(a, b, out=self._matrix(images))
        else:
            n, c, h, w = images.shape
            images[...] = np.matmul(a, b).reshape(c, n, h, w).transpose(1, 0, 2, 3)

    def _im2col(self, images: np.ndarray) -> np.ndarray:
        if self.columns_are_image:
            return self._matrix(images)
        self.inside[...] = images
        self.columns[...] = self.windows
        return self.column_matrix

    def _col2im(self) -> np.ndarray:
        """Add the columns up where they came from; tap by tap, because the windows overlap."""
        self.padded[...] = 0
        for tap in np.ndindex(*self.shape.kernel_size):
            self.windows[(slice(None), *tap)] += self.columns[(slice(None), *tap)]
        return self.inside


def _images_at_once(batch: int, pixels: int) -> int:
    """Return the divisor of the batch that makes a matrix product just wide enough."""
    wanted = min(batch, math.ceil(WORTHWHILE_COLUMNS / pixels))
    return max(divisor for divisor in range(1, wanted + 1) if batch % divisor == 0)
