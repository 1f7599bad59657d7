"""What a layer is, and layers without operators."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


class Layer:
    """What all layers have in common: no parameters, and nothing to go backward from."""

    _saved: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle has: of a backend, which is a module, the name."""
        state = self.__dict__.copy()
        if "backend" in state:
            state["backend"] = state["backend"].__name__
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the place of a layer that was copied or pickled."""
        self.__dict__.update(state)
        if "backend" in state:
            self.backend = import_module(state["backend"])

    def __call__(self, x: Array) -> Array:
        """Return ``forward(x)``."""
        return self.forward(x)

    def forward(self, x: Array) -> Array:
        """Return the output for the input `x`, and keep what `backward` will need."""
        raise NotImplementedError

    def backward(self, dy: Array) -> Array | None:
        """Return the gradient with respect to the latest input, given that of the output.

        It frees what `forward` kept, so that each backward pass needs a forward pass of its own.

        Raises
        ------
        RuntimeError
            If `forward` was not called before.
        """
        raise NotImplementedError

    def prepare(self) -> None:
        """Pack the parameters for many forward passes without training in between.

        Until the next backward pass the layer then uses the parameters as they are now: after a
        change of them by hand, `prepare` has to be called again.
        """

    def parameters(self) -> dict[str, Array]:
        """Return the trainable arrays by name: the arrays themselves, to be updated in place."""
        return {}

    def gradients(self) -> dict[str, Array]:
        """Return the gradients of the latest `backward` under the names of `parameters`.

        Raises
        ------
        RuntimeError
            If the layer has parameters and `backward` was not called before.
        """
        return {}

    def _from_forward(self) -> Any:
        if self._saved is None:
            raise RuntimeError(f"{type(self).__name__}.backward: forward must be called before")
        # Kept until the next forward pass, large arrays would push the memory of a step beyond what
        # the allocator recycles, and fresh pages for each array cost a large part of the step.
        saved, self._saved = self._saved, None
        return saved


class Sequential(Layer):
    """Layers applied one after the other.

    Parameters
    ----------
    *layers
        In the order of the forward pass. The parameters of layer ``i`` are named ``"i.weight"`` and
        ``"i.bias"``.
    """

    def __init__(self, *layers: Layer) -> None:
        self.layers = layers

    def forward(self, x: Array) -> Array:
        """Return the output of the last layer."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy: Array) -> Array | None:
        """Return the gradient of the input, None if the first layer does not compute it."""
        gradient: Array | None = dy
        for layer in reversed(self.layers):
            if gradient is None:
                raise RuntimeError(
                    "Sequential.backward: needs_dx=False is for the first layer only, "
                    f"got it behind a {type(layer).__name__}"
                )
            gradient = layer.backward(gradient)
        return gradient

    def prepare(self) -> None:
        """Prepare all layers."""
        for layer in self.layers:
            layer.prepare()

    def parameters(self) -> dict[str, Array]:
        """Return the parameters of all layers."""
        return {
            f"{i}.{name}": array
            for i, layer in enumerate(self.layers)
            for name, array in layer.parameters().items()
        }

    def gradients(self) -> dict[str, Array]:
        """Return the gradients of all layers."""
        return {
            f"{i}.{name}": array
            for i, layer in enumerate(self.layers)
            for name, array in layer.gradients().items()
        }


class Flatten(Layer):
    """Make one row of each image: (N, C, H, W) to (N, C*H*W)."""

    def forward(self, x: Array) -> Array:
        """Return `x` as (N, the product of the other dimensions), a view where that is possible."""
        self._saved = x.shape
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, dy: Array) -> Array:
        """Return `dy` in the shape of the input."""
        dx: Array = dy.reshape(self._from_forward())
        return dx
