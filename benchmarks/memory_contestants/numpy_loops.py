"""NumPy: whole-array operations in a loop over the taps of the window, or a view of all windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from time import perf_counter

import numpy as np
from numpy.lib.stride_tricks import as_strided

from contestants.contestant import Unsupported
from contestants.numpy_blas import NumPy
from memory_problem import ColumnProblem, PoolProblem


class Windows:
    """All windows of images that are padded in a buffer; without padding, of the images."""

    def __init__(
        self, problem: PoolProblem | ColumnProblem, images: np.ndarray, fill: float
    ) -> None:
        shape = problem.shape
        self.kernel_size, self.output_size = shape.kernel_size, shape.output_size
        self.stride, self.dilation = shape.stride, problem.arguments().get("dilation", (1, 1))
        height, width = images.shape[2:]
        rows, columns = map(self._reach, range(2))
        (top, _), (left, _) = shape.padding
        self.images = self.inside = self.buffer = images
        if (padded := (max(top + height, rows), max(left + width, columns))) != (height, width):
            self.buffer = np.full((*images.shape[:2], *padded), fill, images.dtype)
            self.inside = self.buffer[:, :, top : top + height, left : left + width]

    def _reach(self, axis: int) -> int:
        """Count the elements from the first to the last that a window holds."""
        last_window = (self.output_size[axis] - 1) * self.stride[axis]
        return last_window + (self.kernel_size[axis] - 1) * self.dilation[axis] + 1

    def pad(self) -> None:
        """Bring the images into the buffer, whose border stays as it is."""
        if self.inside is not self.images:
            self.inside[...] = self.images

    def view(self) -> np.ndarray:
        """View the buffer as (N, C, KH, KW, OH, OW)."""
        by_image, by_channel, by_row, by_column = self.buffer.strides
        (sh, sw), (dh, dw) = self.stride, self.dilation
        strides = (by_row * dh, by_column * dw, by_row * sh, by_column * sw)
        shape = (*self.buffer.shape[:2], *self.kernel_size, *self.output_size)
        return as_strided(self.buffer, shape, (by_image, by_channel, *strides))

    def taps(self) -> Iterator[np.ndarray]:
        """Yield a view (N, C, OH, OW) for each tap."""
        view = self.view()
        for kh, kw in np.ndindex(*self.kernel_size):
            yield view[:, :, kh, kw]


class NumPyLoops(NumPy):
    """Pads in a buffer that every call uses again, and allocates the result."""

    def prepare(self, problem: PoolProblem | ColumnProblem) -> Callable[[], np.ndarray]:
        """Return the function to time."""
        if isinstance(problem, PoolProblem):
            pool = {"max": _max_pool, "average": _average_pool}[problem.shape.kind]
            return pool(problem)
        if problem.from_image:
            return _faster(_columns_of_view(problem), _columns_by_taps(problem))
        return _image_of(problem)


def _max_pool(problem: PoolProblem) -> Callable[[], np.ndarray]:
    x, dy = problem.images(), problem.output_gradients()
    windows = Windows(problem, x, -np.inf)

    def pool() -> np.ndarray:
        windows.pad()
        taps = windows.taps()
        y = next(taps).copy()
        for tap in taps:
            np.maximum(y, tap, out=y)
        return y

    def pool_with_places(places: np.ndarray) -> np.ndarray:
        windows.pad()
        y = np.full(dy.shape, -np.inf, dy.dtype)
        for number, tap in enumerate(windows.taps()):
            better = tap > y
            np.copyto(y, tap, where=better)
            np.copyto(places, number, where=better)
        return y

    if problem.operation == "pool":
        return pool
    if problem.operation == "pool_with_indices":  # the place in the window; PyTorch's is in x
        return lambda: pool_with_places(np.zeros(dy.shape, np.uint8))
    places = np.zeros(dy.shape, np.uint8)
    pool_with_places(places)
    gradients = Windows(problem, np.zeros_like(x), 0)

    def backward() -> np.ndarray:
        gradients.buffer = np.zeros_like(windows.buffer)
        for number, tap in enumerate(gradients.taps()):
            tap += dy * (places == number)
        return _inside(problem, gradients.buffer)

    return backward


def _average_pool(problem: PoolProblem) -> Callable[[], np.ndarray]:
    shape, x, dy = problem.shape, problem.images(), problem.output_gradients()
    if any(map(any, shape.padding)):
        raise Unsupported("averages without padding only")
    divisor = x.dtype.type(math.prod(shape.kernel_size))

    def pool() -> np.ndarray:
        taps = Windows(problem, x, 0).taps()
        y = next(taps).copy()
        for tap in taps:
            y += tap
        y /= divisor
        return y

    def backward() -> np.ndarray:
        dx, shares = np.zeros_like(x), dy / divisor
        for tap in Windows(problem, dx, 0).taps():
            tap += shares
        return dx

    if shape.is_global and problem.operation == "pool":
        return lambda: x.mean(axis=(2, 3), keepdims=True)
    if shape.is_global:
        return lambda: np.ascontiguousarray(np.broadcast_to(dy / divisor, x.shape))
    return pool if problem.operation == "pool" else backward


def _matrix_axes(problem: ColumnProblem) -> tuple[int, ...]:
    """Return the order in which the matrix has the axes of (N, C, KH, KW, OH, OW)."""
    return (0, 4, 5, 1, 2, 3) if problem.rows_are_windows else (0, 1, 2, 3, 4, 5)


def _matrix_shape(problem: ColumnProblem) -> tuple[int, ...]:
    windows, rows = math.prod(problem.shape.output_size), problem.shape.in_channels * problem.taps
    if problem.rows_are_windows:
        return (problem.batch * windows, rows)
    return (problem.batch, rows, windows)


def _columns_of_view(problem: ColumnProblem) -> Callable[[], np.ndarray]:
    """Copy the view of all windows."""
    windows, shape = Windows(problem, problem.images(), 0), _matrix_shape(problem)

    def columns() -> np.ndarray:
        windows.pad()
        return np.ascontiguousarray(windows.view().transpose(_matrix_axes(problem))).reshape(shape)

    return columns


def _columns_by_taps(problem: ColumnProblem) -> Callable[[], np.ndarray]:
    """Copy tap by tap, as the book does, and turn the result in memory where rows are windows."""
    windows, shape = Windows(problem, problem.images(), 0), _matrix_shape(problem)

    def columns() -> np.ndarray:
        windows.pad()
        view = windows.view()
        col = np.empty(view.shape, view.dtype)
        for kh, kw in np.ndindex(*windows.kernel_size):
            col[:, :, kh, kw] = view[:, :, kh, kw]
        return np.ascontiguousarray(col.transpose(_matrix_axes(problem))).reshape(shape)

    return columns


def _image_of(problem: ColumnProblem) -> Callable[[], np.ndarray]:
    """Add tap by tap; where rows are windows, the matrix may be turned before that."""
    windows = Windows(problem, np.zeros(problem.input_shape, problem.dtype), 0)
    axes, shape, matrix = _matrix_axes(problem), windows.view().shape, problem.columns()
    col = matrix.reshape([shape[axis] for axis in axes]).transpose(np.argsort(axes))
    taps = list(np.ndindex(*windows.kernel_size))

    def add(columns: np.ndarray) -> np.ndarray:
        windows.buffer = np.zeros_like(windows.buffer)
        for (kh, kw), tap in zip(taps, windows.taps(), strict=True):
            tap += columns[:, :, kh, kw]
        return _inside(problem, windows.buffer)

    return _faster(lambda: add(col), lambda: add(np.ascontiguousarray(col)))


def _inside(problem: PoolProblem | ColumnProblem, buffer: np.ndarray) -> np.ndarray:
    (top, _), (left, _) = problem.shape.padding
    height, width = problem.shape.input_size
    return buffer[:, :, top : top + height, left : left + width]


def _faster(*functions: Callable[[], np.ndarray]) -> Callable[[], np.ndarray]:
    """Return the function that takes the least time."""

    def seconds(function: Callable[[], np.ndarray]) -> float:
        times = []
        for _ in range(4):
            start = perf_counter()
            function()
            times.append(perf_counter() - start)
        return min(times)

    return min(functions, key=seconds)
