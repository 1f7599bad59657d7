"""A layer with its batch, element type and pass: the data for it and what its result must be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from shapes import Conv2dShape

PASSES = ("forward", "backward_data", "backward_weights")

# The check samples this many images and channels: a whole batch in the reference would take longer
# than the benchmark, and a wrong kernel is wrong in more than one place.
CHECKED_IMAGES = 2
CHECKED_CHANNELS = 6

WEIGHT_SEED = 1 << 32  # apart from the seeds of the images, which are their numbers


@dataclass(frozen=True)
class Problem:
    """What every contestant has to compute: one pass of one layer on the same random data."""

    shape: Conv2dShape
    batch: int
    dtype: str
    direction: str

    @property
    def name(self) -> str:
        """The name of the layer."""
        return self.shape.name

    @property
    def flops(self) -> int:
        """Floating-point operations of the whole batch, see ``Conv2dShape.flops``."""
        return self.batch * self.shape.flops

    @property
    def moved_bytes(self) -> int:
        """The least that a pass reads and writes: input, weight and output, each once."""
        shape = self.shape
        images = shape.in_channels * math.prod(shape.input_size)
        images += shape.out_channels * math.prod(shape.output_size)
        elements = self.batch * images + math.prod(shape.weight_shape)
        return elements * np.dtype(self.dtype).itemsize

    def arguments(self) -> dict:
        """Return the keyword arguments of the functions in ``convolt.functional``."""
        shape = self.shape
        return {
            "stride": shape.stride,
            "padding": shape.padding,
            "dilation": shape.dilation,
            "groups": shape.groups,
        }

    def weight(self) -> np.ndarray:
        """Return the filters (OC, C/groups, KH, KW)."""
        return normal(self.shape.weight_shape, self.dtype, WEIGHT_SEED)

    def images(self, numbers=None) -> np.ndarray:
        """Return x (N, C, H, W), or only the images with the given numbers."""
        shape = (self.shape.in_channels, *self.shape.input_size)
        return stack(shape, self.dtype, 0, self._all_or(numbers))

    def output_gradients(self, numbers=None) -> np.ndarray:
        """Return dy (N, OC, OH, OW), or only those of the images with the given numbers."""
        shape = (self.shape.out_channels, *self.shape.output_size)
        return stack(shape, self.dtype, 1, self._all_or(numbers))

    def _all_or(self, numbers):
        return range(self.batch) if numbers is None else numbers


def stack(shape, dtype, stream: int, numbers) -> np.ndarray:
    """Make the random arrays with the given numbers, each by a seed of its own."""
    arrays = np.empty((len(numbers), *shape), dtype)
    for array, number in zip(arrays, numbers, strict=True):
        array[...] = normal(shape, dtype, number, stream)
    return arrays


def normal(shape, dtype, *seed) -> np.ndarray:
    """Make an array of normally distributed numbers."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=dtype)


@dataclass(frozen=True)
class Expectation:
    """A sample of the right result, in float64, with the rounding error that is allowed."""

    samples: tuple[tuple, ...]  # what to take of the result: for numpy indexing
    values: tuple[np.ndarray, ...]
    bounds: tuple[np.ndarray, ...]

    def check(self, results: list[np.ndarray], who: str) -> None:
        """Raise ``ArithmeticError`` where a sampled result lies outside of the bound."""
        for result, value, bound in zip(results, self.values, self.bounds, strict=True):
            if result.shape != value.shape:
                raise ArithmeticError(f"{who}: shape {result.shape}, expected {value.shape}")
            error = np.abs(result - value)
            if not np.all(error <= bound):  # so written that NaN fails
                worst = np.nanmax(error / np.maximum(bound, np.finfo(np.float64).tiny))
                raise ArithmeticError(f"{who}: wrong result, {worst:.3g} times the rounding bound")


def expectation(problem: Problem) -> Expectation:
    """Compute a sample of the result with ``convolt.reference``, in the first and the last group.

    The bound is ``rounding_bound`` times sum|x||w|.
    """
    sampler = {
        "forward": _sample_forward,
        "backward_data": _sample_backward_data,
        "backward_weights": _sample_backward_weights,
    }[problem.direction]
    samples, values, bounds = [], [], []
    for group in sorted({0, problem.shape.groups - 1}):
        sample, operands, terms, compute = sampler(problem, group)
        samples.append(sample)
        values.append(compute(*operands))
        magnitude = compute(*(np.abs(operand) for operand in operands))
        bounds.append(rounding_bound(terms, problem.dtype) * magnitude)
    return Expectation(tuple(samples), tuple(values), tuple(bounds))


def rounding_bound(terms: int, dtype: str) -> float:
    """Bound the error of a sum of n products, relative to the sum of their magnitudes.

    min(n, 8 sqrt(n)) u, with unit roundoff u: the worst case, or what random roundings exceed with
    a probability of 2n exp(-8**2 / 2) (N. Higham, T. Mary, "A New Approach to Probabilistic
    Rounding Error Analysis", SIAM J. Sci. Comput. 41, 2019). Layers have millions of elements:
    tighter bounds are exceeded by chance.
    """
    return min(terms, 8 * math.sqrt(terms)) * float(np.finfo(dtype).eps) / 2


def spread(start: int, count: int, at_most: int) -> np.ndarray:
    """Choose evenly among ``count`` numbers from ``start`` on, the first and the last included."""
    return np.unique(np.linspace(start, start + count - 1, at_most).astype(int))


def _channels(problem: Problem, group: int):
    """Return the group's input and output channels, and those of each that the check samples."""
    shape = problem.shape
    c, oc = shape.in_channels // shape.groups, shape.out_channels // shape.groups
    inputs = slice(group * c, (group + 1) * c)
    outputs = slice(group * oc, (group + 1) * oc)
    sampled_inputs = spread(inputs.start, c, CHECKED_CHANNELS)
    sampled_outputs = spread(outputs.start, oc, CHECKED_CHANNELS)
    return inputs, outputs, sampled_inputs, sampled_outputs


def _sample_forward(problem: Problem, group: int):
    from convolt import reference

    inputs, _, _, channels = _channels(problem, group)
    images = spread(0, problem.batch, CHECKED_IMAGES)
    x = problem.images(images)[:, inputs].astype(np.float64)
    weight = problem.weight()[channels].astype(np.float64)
    arguments = problem.arguments() | {"groups": 1}

    def compute(x, weight):
        return reference.conv2d(x, weight, **arguments)

    return np.ix_(images, channels), (x, weight), math.prod(weight.shape[1:]), compute


def _sample_backward_data(problem: Problem, group: int):
    from convolt import reference

    inputs, outputs, channels, _ = _channels(problem, group)
    images = spread(0, problem.batch, CHECKED_IMAGES)
    dy = problem.output_gradients(images)[:, outputs].astype(np.float64)
    weight = problem.weight()[outputs, channels - inputs.start].astype(np.float64)
    x = np.zeros((len(images), len(channels), *problem.shape.input_size))
    arguments = problem.arguments() | {"groups": 1}

    def compute(dy, weight):
        return reference.conv2d_backward(dy, x, weight, needs=("dx",), **arguments).dx

    terms = weight.shape[0] * math.prod(problem.shape.kernel_size)
    return np.ix_(images, channels), (dy, weight), terms, compute


def _sample_backward_weights(problem: Problem, group: int):
    from convolt import reference

    inputs, _, in_channels, out_channels = _channels(problem, group)
    # One image after the other: the reference's column matrix of a whole batch would be large.
    x = np.concatenate([problem.images([n])[:, in_channels] for n in range(problem.batch)])
    dy = np.concatenate(
        [problem.output_gradients([n])[:, out_channels] for n in range(problem.batch)]
    )
    kernel_size = problem.shape.kernel_size
    weight = np.zeros((len(out_channels), len(in_channels), *kernel_size))
    arguments = problem.arguments() | {"groups": 1}

    def compute(dy, x):
        return sum(
            reference.conv2d_backward(
                dy[n : n + 1], x[n : n + 1], weight, needs=("dweight",), **arguments
            ).dweight
            for n in range(problem.batch)
        )

    terms = dy[:, 0].size
    sample = np.ix_(out_channels, in_channels - inputs.start)
    return sample, (dy.astype(np.float64), x.astype(np.float64)), terms, compute
