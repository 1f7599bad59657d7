"""Layers that normalize their input."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
from numpy.typing import DTypeLike

from convolt import functional
from convolt._checks import check_flag
from convolt._padding import integer
from convolt.layers.base import Array, Shape, ShapeKeepingLayer
from convolt.layers.shapes import image_size
from convolt.layers.weights import parameter_dtype


class BatchNorm2d(ShapeKeepingLayer):
    """Batch normalization of images, as `convolt.batch_norm2d`.

    In training each channel is normalized by its mean and variance in the batch, which also move
    the running ones::

        running = (1 - momentum) * running + momentum * batch

    with the unbiased variance of the batch, divided by N*H*W - 1. In use (`eval`) the running ones
    take their place.

    Parameters
    ----------
    num_features : int
        Number of channels.
    eps : float
        Added to the variance.
    momentum : float
        From 0 to 1, how much of the running values a batch replaces.
    affine : bool
        Whether to scale and shift each channel by trainable numbers, 1 and 0 at the start.
    dtype : dtype
        float32 or float64, of the parameters and of every input.
    backend : module
        Where the operators are taken from.

    Attributes
    ----------
    weight, bias : (num_features,) array or None
        Scale and shift.
    dweight, dbias : (num_features,) array or None
        Their gradients of the latest `backward`.
    running_mean, running_var : (num_features,) array
        The buffers, 0 and 1 at the start.

    Examples
    --------
    >>> import numpy as np
    >>> layer = BatchNorm2d(1, dtype=np.float64)
    >>> x = np.array([1.0, 3.0]).reshape(2, 1, 1, 1)
    >>> layer(x).ravel().round(3)
    array([-1.,  1.])
    >>> layer.running_mean, layer.running_var
    (array([0.2]), array([1.1]))
    """

    weight: Array | None = None
    bias: Array | None = None
    dweight: Array | None = None
    dbias: Array | None = None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        *,
        dtype: DTypeLike = np.float32,
        backend: ModuleType = functional,
    ) -> None:
        channels = integer(num_features, "num_features", "BatchNorm2d", minimum=1)
        dtype = parameter_dtype(dtype, "BatchNorm2d")
        if not 0 < eps < math.inf:
            raise ValueError(f"BatchNorm2d: eps must be a positive number, got {eps!r}")
        if not 0 <= momentum <= 1:
            raise ValueError(f"BatchNorm2d: momentum must be from 0 to 1, got {momentum!r}")
        if check_flag(affine, "affine", "BatchNorm2d"):
            self.weight, self.bias = np.ones(channels, dtype), np.zeros(channels, dtype)
        self.running_mean, self.running_var = np.zeros(channels, dtype), np.ones(channels, dtype)
        self.eps = eps
        self.momentum = momentum
        self.backend = backend

    def forward(self, x: Array) -> Array:
        """Return `x` normalized by its own statistics in training, else by the running ones."""
        self._check(x)
        statistics = () if self.training else (self.running_mean, self.running_var)
        y: Array
        y, mean, var = self.backend.batch_norm2d(
            x, self.weight, self.bias, *statistics, eps=self.eps
        )
        if self.training and len(x):
            count = x.size // len(mean)
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_var += self.momentum * (var * (count / (count - 1)) - self.running_var)
        self._saved = (x, mean, var, self.training)
        return y

    def backward(self, dy: Array) -> Array:
        """Keep `dweight` and `dbias`, and return dx."""
        x, mean, var, training = self._from_forward()
        dx: Array
        dx, self.dweight, self.dbias = self.backend.batch_norm2d_backward(
            dy, x, self.weight, mean, var, eps=self.eps, training=training
        )
        return dx

    def parameters(self) -> dict[str, Array]:
        """Return the weight and the bias, unless ``affine=False``."""
        if self.weight is None or self.bias is None:
            return {}
        return {"weight": self.weight, "bias": self.bias}

    def gradients(self) -> dict[str, Array]:
        """Return the gradients of the weight and the bias, unless ``affine=False``."""
        if self.weight is None:
            return {}
        if self.dweight is None or self.dbias is None:
            raise RuntimeError("BatchNorm2d.gradients: backward must be called before")
        return {"weight": self.dweight, "bias": self.dbias}

    def buffers(self) -> dict[str, Array]:
        """Return the running mean and variance."""
        return {"running_mean": self.running_mean, "running_var": self.running_var}

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape`, (num_features, H, W)."""
        image_size(input_shape, "BatchNorm2d", len(self.running_mean))
        return input_shape

    def _check(self, x: Array) -> None:
        channels, dtype = len(self.running_mean), self.running_mean.dtype
        if x.ndim != 4 or x.shape[1] != channels:
            raise ValueError(f"BatchNorm2d: x must have shape (N, {channels}, H, W), got {x.shape}")
        if x.dtype != dtype:
            raise TypeError(f"BatchNorm2d: x must be {dtype} as the statistics, got {x.dtype}")


class LocalResponseNorm(ShapeKeepingLayer):
    """Local response normalization across channels, as `convolt.local_response_norm`.

    Parameters
    ----------
    size, alpha, beta, k
        As for `convolt.local_response_norm`.
    backend : module
        Where the operators are taken from.
    """

    def __init__(
        self,
        size: int,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 1.0,
        *,
        backend: ModuleType = functional,
    ) -> None:
        self.backend = backend
        self._options = (integer(size, "size", "LocalResponseNorm", minimum=1), alpha, beta, k)

    def forward(self, x: Array) -> Array:
        """Return `x`, each value divided by what its neighbours in channel amount to."""
        y: Array = self.backend.local_response_norm(x, *self._options)
        self._saved = x
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx."""
        x = self._from_forward()
        dx: Array = self.backend.local_response_norm_backward(dy, x, *self._options)
        return dx

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape`, (C, H, W)."""
        image_size(input_shape, "LocalResponseNorm")
        return input_shape
