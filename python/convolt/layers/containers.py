"""Layers that are made of other layers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from convolt.layers.base import Array, Layer, Shape


class Sequential(Layer):
    """Layers applied one after the other.

    Where a layer refuses its input, the error begins with its place, such as "2 (Conv2d): ...".

    Parameters
    ----------
    *layers : Layer
        In the order of the forward pass. The parameters of layer ``i`` are named ``"i.weight"`` and
        ``"i.bias"``.
    """

    def __init__(self, *layers: Layer) -> None:
        self.layers = _checked(layers, "Sequential", "layers")

    def children(self) -> dict[str, Layer]:
        """Return the layers by their numbers."""
        return {str(i): layer for i, layer in enumerate(self.layers)}

    def forward(self, x: Array) -> Array:
        """Return the output of the last layer."""
        try:
            for layer in self.layers:
                x = layer.forward(x)
        except (ValueError, TypeError) as error:
            _name_place(error, self.layers.index(layer), layer)
            raise
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

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the last layer's output."""
        return self._shapes(input_shape)[-1]

    def child_inputs(self, input_shape: Shape) -> dict[str, Shape]:
        """Return for each layer the output shape of the one before."""
        return dict(zip(self.children(), self._shapes(input_shape), strict=False))

    def _shapes(self, input_shape: Shape) -> list[Shape]:
        shapes = [input_shape]
        for i, layer in enumerate(self.layers):
            shapes.append(_placed_output_shape(i, layer, shapes[-1]))
        return shapes


class Parallel(Layer):
    """Layers that are all applied to the same input, their outputs concatenated.

    Outputs are joined along axis 1, the channels of images or the features of rows, and must agree
    in all other axes. This is the joint of an Inception module [1]_.

    All branches read one array, which comes to them read-only: the first layer of a branch must not
    be ``ReLU(inplace=True)``.

    Parameters
    ----------
    *branches : Layer
        In the order of their channels. The weight of branch ``i`` is named ``"i.weight"``, or
        ``"i.j.weight"`` for layer ``j`` of a branch that is a `Sequential`.

    References
    ----------
    .. [1] C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from convolt.layers import Conv2d, MaxPool2d
    >>> layer = Parallel(Conv2d(3, 8, 1), MaxPool2d(3, stride=1, padding=1))
    >>> layer(np.zeros((1, 3, 14, 14), dtype=np.float32)).shape
    (1, 11, 14, 14)
    """

    def __init__(self, *branches: Layer) -> None:
        self.branches = _checked(branches, "Parallel", "branches")
        if not branches:
            raise ValueError("Parallel: branches must be at least one, got none")

    def children(self) -> dict[str, Layer]:
        """Return the branches by their numbers."""
        return {str(i): branch for i, branch in enumerate(self.branches)}

    def forward(self, x: Array) -> Array:
        """Return the outputs of the branches side by side."""
        shared = x.view()
        shared.flags.writeable = False
        outputs: list[Array] = []
        try:
            for branch in self.branches:
                outputs.append(branch.forward(shared))
        except (ValueError, TypeError) as error:
            _name_place(error, len(outputs), self.branches[len(outputs)])
            raise
        _check_joinable([y.shape[1:] for y in outputs])
        self._saved = [y.shape[1] for y in outputs]
        return np.concatenate(outputs, axis=1)

    def backward(self, dy: Array) -> Array | None:
        """Return the sum of the branches' gradients, None if no branch computes its own.

        Raises
        ------
        RuntimeError
            If some branches compute it and others, with ``needs_dx=False``, do not.
        """
        ends = list(itertools.accumulate(self._from_forward()))
        starts = [0, *ends[:-1]]
        gradients = [
            branch.backward(dy[:, start:end])
            for branch, start, end in zip(self.branches, starts, ends, strict=True)
        ]
        computed = [dx for dx in gradients if dx is not None]
        if not computed:
            return None
        if len(computed) < len(gradients):
            lacking = ", ".join(str(i) for i, dx in enumerate(gradients) if dx is None)
            raise RuntimeError(
                "Parallel.backward: needs_dx=False must be set in all branches or in none, "
                f"got it in {lacking} of {len(gradients)} branches"
            )
        if len(computed) == 1:
            return computed[0]
        # The first sum is a new array: a branch that does nothing has returned a part of dy.
        dx: Array = computed[0] + computed[1]
        for other in computed[2:]:
            dx += other
        return dx

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the joined outputs."""
        shapes = [
            _placed_output_shape(i, branch, input_shape) for i, branch in enumerate(self.branches)
        ]
        _check_joinable(shapes)
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])

    def child_inputs(self, input_shape: Shape) -> dict[str, Shape]:
        """Return `input_shape` for each branch."""
        return dict.fromkeys(self.children(), input_shape)


def _checked(layers: Iterable[Layer], container: str, argument: str) -> tuple[Layer, ...]:
    layers = tuple(layers)
    for layer in layers:
        if not isinstance(layer, Layer):
            raise TypeError(f"{container}: {argument} must be layers, got {layer!r}")
    return layers


def _check_joinable(shapes: list[Shape]) -> None:
    if len({shape[1:] for shape in shapes}) > 1:
        raise ValueError(
            "Parallel: branches must have outputs that agree but for the channels, "
            f"got {', '.join(map(str, shapes))} without the batch"
        )


def _placed_output_shape(number: int, layer: Layer, input_shape: Shape) -> Shape:
    try:
        return layer.output_shape(input_shape)
    except (ValueError, TypeError) as error:
        _name_place(error, number, layer)
        raise


def _name_place(error: ValueError | TypeError, number: int, layer: Layer) -> None:
    """Let the message of `error` begin with where it came up: "2.1 (Conv2d): ..."."""
    # A container inside has put the rest of the path in front already.
    path, message = getattr(error, "_place_and_message", (None, None))
    if path is None:
        name = type(layer).__name__
        path, message = f"{number}", f"({name}): {str(error).removeprefix(f'{name}: ')}"
    else:
        path = f"{number}.{path}"
    error._place_and_message = (path, message)  # type: ignore[union-attr]
    error.args = (f"{path} {message}",)
