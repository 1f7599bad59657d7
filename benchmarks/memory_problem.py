"""Pooling and column matrices, which memory limits: their data and what the result must be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from problem import CHECKED_CHANNELS, CHECKED_IMAGES, Expectation, rounding_bound, spread, stack
from shapes import Conv2dShape, Pool2dShape

POOLING = ("pool", "pool_with_indices", "pool_backward")
COLUMN_MATRICES = ("im2col", "unfold", "col2im", "fold")
OPERATIONS = POOLING + COLUMN_MATRICES


@dataclass(frozen=True)
class PoolProblem:
    """One pass of one pooling layer on random data."""

    shape: Pool2dShape
    batch: int
    dtype: str
    operation: str

    @property
    def name(self) -> str:
        """The name of the layer."""
        return self.shape.name

    @property
    def moved_bytes(self) -> int:
        """What must be read and written once: x and y, or dy and dx, and the indices if any."""
        shape, size = self.shape, np.dtype(self.dtype).itemsize
        pixels, windows = math.prod(shape.input_size), math.prod(shape.output_size)
        with_indices = self.operation != "pool" and shape.kind == "max"
        index_size = np.dtype(np.int64).itemsize if with_indices else 0
        return self.batch * shape.channels * (size * (pixels + windows) + index_size * windows)

    def arguments(self) -> dict:
        """Return the keyword arguments of the functions in ``convolt.functional``."""
        shape = self.shape
        return {
            "kernel_size": shape.kernel_size,
            "stride": shape.stride,
            "padding": shape.padding_before,
            "ceil_mode": shape.ceil_mode,
        }

    def images(self, numbers=None) -> np.ndarray:
        """Return x (N, C, H, W), or only the images with the given numbers."""
        return self._stack(self.shape.input_size, 0, numbers)

    def output_gradients(self, numbers=None) -> np.ndarray:
        """Return dy (N, C, OH, OW), or only those of the images with the given numbers."""
        return self._stack(self.shape.output_size, 1, numbers)

    def _stack(self, size, stream: int, numbers) -> np.ndarray:
        numbers = range(self.batch) if numbers is None else numbers
        return stack((self.shape.channels, *size), self.dtype, stream, numbers)


@dataclass(frozen=True)
class ColumnProblem:
    """The column matrix of one convolution layer, or the image from one."""

    shape: Conv2dShape
    batch: int
    dtype: str
    operation: str

    @property
    def name(self) -> str:
        """The name of the layer."""
        return self.shape.name

    @property
    def rows_are_windows(self) -> bool:
        """Whether the matrix is the book's, of (N*OH*OW, C*KH*KW), or PyTorch's by taps."""
        return self.operation in ("im2col", "col2im")

    @property
    def from_image(self) -> bool:
        """Whether the matrix is the result."""
        return self.operation in ("im2col", "unfold")

    @property
    def taps(self) -> int:
        """Elements of a window in one channel."""
        return math.prod(self.shape.kernel_size)

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """Shape of the images."""
        return (self.batch, self.shape.in_channels, *self.shape.input_size)

    @property
    def moved_bytes(self) -> int:
        """What must be read and written once: the images and the matrix."""
        columns = self.shape.in_channels * self.taps * math.prod(self.shape.output_size)
        elements = math.prod(self.input_shape) + self.batch * columns
        return np.dtype(self.dtype).itemsize * elements

    def arguments(self) -> dict:
        """Return the keyword arguments of the functions in ``convolt.functional``."""
        shape = self.shape
        return {
            "kernel_size": shape.kernel_size,
            "stride": shape.stride,
            "padding": shape.padding,
            "dilation": shape.dilation,
        }

    def images(self, numbers=None) -> np.ndarray:
        """Return x (N, C, H, W), or only the images with the given numbers."""
        numbers = range(self.batch) if numbers is None else numbers
        return stack(self.input_shape[1:], self.dtype, 0, numbers)

    def columns(self, numbers=None) -> np.ndarray:
        """Return the matrix, or only its part of the images with the given numbers."""
        numbers = range(self.batch) if numbers is None else numbers
        windows, rows = math.prod(self.shape.output_size), self.shape.in_channels * self.taps
        shape = (windows, rows) if self.rows_are_windows else (rows, windows)
        matrices = stack(shape, self.dtype, 1, numbers)
        return matrices.reshape(-1, rows) if self.rows_are_windows else matrices


def expectation(problem: PoolProblem | ColumnProblem) -> Expectation:
    """Compute some channels of some images with ``convolt.reference`` in float64.

    The bound is ``rounding_bound`` times the sum of the magnitudes; copies must be exact.
    """
    images = spread(0, problem.batch, CHECKED_IMAGES)
    if isinstance(problem, PoolProblem):
        channels = spread(0, problem.shape.channels, CHECKED_CHANNELS)
        sample = np.ix_(images, channels)
        operand, terms, compute = _pool(problem, images, channels)
    else:
        channels = spread(0, problem.shape.in_channels, CHECKED_CHANNELS)
        rows = (channels[:, None] * problem.taps + np.arange(problem.taps)).ravel()
        sample = _column_sample(problem, images, channels, rows)
        operand, terms, compute = _columns(problem, images, channels, rows)
    bound = rounding_bound(terms, problem.dtype) * compute(np.abs(operand))
    return Expectation((sample,), (compute(operand),), (bound,))


def _pool(problem: PoolProblem, images, channels):
    """Return the operand, the terms of a sum, and the function of the reference."""
    from convolt import reference

    arguments, window = problem.arguments(), math.prod(problem.shape.kernel_size)
    x = problem.images(images)[:, channels].astype(np.float64)
    dy = problem.output_gradients(images)[:, channels].astype(np.float64)
    backward, kind = problem.operation == "pool_backward", problem.shape.kind
    if kind == "max" and backward:
        _, indices = reference.max_pool2d(x, return_indices=True, **arguments)
        place = {"indices": indices, "input_shape": x.shape}
        return dy, window, partial(reference.max_pool2d_backward, **place, **arguments)
    if kind == "max":
        return x, 0, partial(reference.max_pool2d, **arguments)
    if backward:
        function = partial(reference.avg_pool2d_backward, input_shape=x.shape, **arguments)
        return dy, window + 1, function  # the division rounds too
    return x, window + 1, partial(reference.avg_pool2d, **arguments)


def _columns(problem: ColumnProblem, images, channels, rows):
    """Return the operand, the terms of a sum, and the function of the reference."""
    from convolt import reference

    arguments, size = problem.arguments(), problem.shape.input_size
    if problem.from_image:
        x = problem.images(images)[:, channels].astype(np.float64)
        return x, 0, partial(getattr(reference, problem.operation), **arguments)
    col = problem.columns(images)[:, rows].astype(np.float64)
    if problem.rows_are_windows:
        shape = (len(images), len(channels), *size)
        return col, problem.taps, partial(reference.col2im, input_shape=shape, **arguments)
    return col, problem.taps, partial(reference.fold, output_size=size, **arguments)


def _column_sample(problem: ColumnProblem, images, channels, rows):
    if not problem.from_image:
        return np.ix_(images, channels)
    if not problem.rows_are_windows:
        return np.ix_(images, rows)
    windows = math.prod(problem.shape.output_size)
    return np.ix_((images[:, None] * windows + np.arange(windows)).ravel(), rows)
