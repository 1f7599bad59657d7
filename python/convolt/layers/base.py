"""What a layer is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from convolt._checks import check_flag
from convolt._engine import host_copy, is_array, placed, resolve_device
from convolt.layers.state import assign_arrays, assign_generators, generator_state

Array = NDArray[Any]
Shape = tuple[int, ...]
"""The shape of one input or output, without the batch: (C, H, W) or (features,)."""

# Infinities and NaNs follow the rules of IEEE 754, in silence.
quiet = np.errstate(over="ignore", invalid="ignore")

_Self = TypeVar("_Self", bound="Layer")
_Value = TypeVar("_Value")


class Layer:
    """What all layers have in common; a model is a layer too.

    A layer of other layers says which they are in `children` and what input each gets in
    `child_inputs`, and has from here all that concerns them together. Their arrays are named after
    the path to them: "2.1.bias" is the bias of child "1" of child "2".

    Attributes
    ----------
    training : bool
        Whether to behave as in training, as all layers do at first; see `train` and `eval`.
    device : str
        Where its arrays are, "cpu" at first; see `to`.
    """

    training: bool = True
    device: str = "cpu"
    _saved: Any = None
    _prepared: Any = None

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

    # --- the two passes ---------------------------------------------------------------------------

    def forward(self, x: Array) -> Array:
        """Return the output for the input `x`, and keep what `backward` will need."""
        raise NotImplementedError

    def backward(self, dy: Array) -> Array | None:
        """Return the gradient with respect to the latest input, given that of the output.

        It frees what `forward` kept, so that each backward pass needs a forward pass of its own.

        Raises
        ------
        RuntimeError
            If `forward` was not called before, or not since the last `backward`.
        """
        raise NotImplementedError

    def prepare(self) -> None:
        """Pack the parameters for many forward passes without training in between.

        Until the next backward pass, or `load_state_dict`, the layer then uses the parameters as
        they are now: after a change of them by hand, `prepare` has to be called again.
        """
        for child in self.children().values():
            child.prepare()

    def _from_forward(self) -> Any:
        if self._saved is None:
            raise RuntimeError(
                f"{type(self).__name__}.backward: forward must be called before each backward"
            )
        # Kept until the next forward pass, large arrays would push the memory of a step beyond what
        # the allocator recycles, and fresh pages for each array cost a large part of the step.
        saved, self._saved = self._saved, None
        return saved

    # --- layers of layers -------------------------------------------------------------------------

    def children(self) -> dict[str, Layer]:
        """Return the layers that this one is made of, by name; none by default."""
        return {}

    def train(self: _Self, mode: bool = True) -> _Self:
        """Behave as in training, or with ``mode=False`` as in use; return the layer itself."""
        self.training = check_flag(mode, "mode", "train")
        for child in self.children().values():
            child.train(mode)
        return self

    def eval(self: _Self) -> _Self:
        """Behave as in use, not as in training; return the layer itself."""
        return self.train(False)

    def _of_children(self, what: Callable[[Layer], Mapping[str, _Value]]) -> dict[str, _Value]:
        return {
            f"{name}.{key}": value
            for name, child in self.children().items()
            for key, value in what(child).items()
        }

    # --- where it is ------------------------------------------------------------------------------

    def to(self: _Self, device: str) -> _Self:
        """Move parameters, buffers and gradients to a device; return the layer itself.

        On a CUDA device the layer takes and gives arrays that are there, `convolt.cuda.Array`, and
        `convolt.optim` updates its parameters there. They are other arrays than before: what
        `parameters` returned earlier is no longer in use. What `forward` kept is dropped.

        Parameters
        ----------
        device : {"cpu", "cuda", "cuda:0", "cuda:1", ...}
            "cuda" is "cuda:0".

        Raises
        ------
        ValueError
            For what names no device.
        RuntimeError
            With the reason, where the device cannot be used.
        MemoryError
            If the device has no room; then everything is where it was.
        """
        name = resolve_device(device, "to")
        for layer, arrays in list(self._copies(name)):
            layer._move(name, arrays)
        return self

    def _copies(self, device: str) -> Iterator[tuple[Layer, dict[str, Array]]]:
        """Yield the layers inside and then this one, each with what its arrays are on a device."""
        for child in self.children().values():
            yield from child._copies(device)
        arrays = {
            name: placed(value, device) for name, value in self.__dict__.items() if is_array(value)
        }
        yield self, arrays

    def _move(self, device: str, arrays: dict[str, Array]) -> None:
        self._saved = self._prepared = None
        self.device = device
        for name, array in arrays.items():
            setattr(self, name, array)

    # --- shapes -----------------------------------------------------------------------------------

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the output, both without the batch: (C, H, W) or (features,).

        Raises
        ------
        ValueError
            If the layer does not take such an input; it names the layer and the reason.
        """
        raise NotImplementedError(f"{type(self).__name__}.output_shape")

    def child_inputs(self, input_shape: Shape) -> dict[str, Shape]:
        """Return the input shape of each of the `children`, given that of the layer itself."""
        if self.children():
            raise NotImplementedError(f"{type(self).__name__}.child_inputs")
        return {}

    def build(self, input_shape: Shape) -> Shape:
        """Create the parameters that depend on the input, and return the `output_shape`.

        These are the weights of a ``Linear(None, ...)``. The first forward pass does the same.

        Raises
        ------
        ValueError
            As `output_shape`, and then nothing has been created.
        """
        output = self.output_shape(input_shape)
        inputs = self.child_inputs(input_shape)
        for name, child in self.children().items():
            child.build(inputs[name])
        return output

    def flops(self, input_shape: Shape) -> int:
        """Return the arithmetic of a forward pass: two for each multiplication with a weight.

        Convolutions and linear layers have it, all others count 0. It is for a single image, given
        its shape.
        """
        inputs = self.child_inputs(input_shape)
        return sum(child.flops(inputs[name]) for name, child in self.children().items())

    # --- state ------------------------------------------------------------------------------------

    def parameters(self) -> dict[str, Array]:
        """Return the trainable arrays by name: the arrays themselves, to be updated in place.

        Raises
        ------
        RuntimeError
            If there are none yet because the layer has to be built, see `build`.
        """
        return self._of_children(lambda child: child.parameters())

    def gradients(self) -> dict[str, Array]:
        """Return the gradients of the latest `backward` under the names of `parameters`.

        Raises
        ------
        RuntimeError
            If the layer has parameters and `backward` was not called before.
        """
        return self._of_children(lambda child: child.gradients())

    def buffers(self) -> dict[str, Array]:
        """Return by name the arrays that forward passes change and no optimizer does."""
        return self._of_children(lambda child: child.buffers())

    def state_dict(self) -> dict[str, Array]:
        """Return copies of all parameters and buffers by name, as NumPy arrays."""
        return {name: host_copy(array) for name, array in self._state().items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Copy into the parameters and buffers what `state_dict` of such a layer returned.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or an array has another shape.
        TypeError
            If an array has another dtype. After an error nothing has changed.
        """
        assign_arrays(self._state(), state)
        self._forget_preparation()

    def random_state(self) -> dict[str, dict[str, Any]]:
        """Return the state of each random generator by name, as values that JSON can hold."""
        generators = self._generators()
        return {name: generator_state(generator) for name, generator in generators.items()}

    def load_random_state(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Set the random generators to what `random_state` of such a layer returned.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or a generator is of another kind. After an error
            nothing has changed.
        """
        assign_generators(self._generators(), state)

    def _state(self) -> dict[str, Array]:
        return {**self.parameters(), **self.buffers()}

    def _generators(self) -> dict[str, np.random.Generator]:
        return self._of_children(lambda child: child._generators())

    def _forget_preparation(self) -> None:
        self._prepared = None
        for child in self.children().values():
            child._forget_preparation()


class ShapeKeepingLayer(Layer):
    """A layer whose output has the shape of its input, whichever that is."""

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape`."""
        return input_shape
