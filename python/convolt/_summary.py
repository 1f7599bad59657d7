"""A table of what a model is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from convolt._padding import is_int

if TYPE_CHECKING:
    from convolt.layers import Layer

_HEADER = ("layer", "output shape", "parameters", "MFLOPs")


class LayerSummary(NamedTuple):
    """A line of a :class:`Summary`.

    Attributes
    ----------
    name : str
        Where the layer is, as in the names of its parameters: "2.1".
    kind : str
        Its class.
    output_shape : tuple of int
        (C, H, W) or (features,).
    parameters, flops : int
        The number of its parameters, and two for each multiplication of an image with one of them;
        those of its children included.
    children : tuple of LayerSummary
        What it is made of.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    flops: int
    children: tuple[LayerSummary, ...]


class Summary:
    """What :func:`summary` returns; `str` makes the table of it.

    Attributes
    ----------
    input_shape, output_shape : tuple of int
        Without the batch.
    parameters, flops : int
        Of the whole model.
    layers : tuple of LayerSummary
        The children of the model, or the model itself if it has none.
    """

    def __init__(self, input_shape: tuple[int, ...], model: LayerSummary) -> None:
        self.input_shape = input_shape
        self.output_shape = model.output_shape
        self.parameters = model.parameters
        self.flops = model.flops
        self.layers = model.children or (model,)
        self._kind = model.kind

    def __str__(self) -> str:
        lines = [
            _HEADER,
            *_lines(self.layers, ""),
            ("total", "", f"{self.parameters:,}", _millions(self.flops)),
        ]
        first, second, third, fourth = (
            max(map(len, column)) for column in zip(*lines, strict=True)
        )
        table = [f"{a:{first}}  {b:{second}}  {c:>{third}}  {d:>{fourth}}" for a, b, c, d in lines]
        table = [line.rstrip() for line in table]
        rule = "-" * len(table[0])
        title = f"{self._kind} for an input of {self.input_shape}"
        return "\n".join([title, "", table[0], rule, *table[1:-1], rule, table[-1]])

    __repr__ = __str__


def summary(model: Layer, input_shape: tuple[int, ...]) -> Summary:
    """Return a table of the layers of a model: output shapes, parameters, arithmetic.

    Parameters
    ----------
    model : Layer
        It is built if it has to be, see :meth:`convolt.layers.Layer.build`.
    input_shape : (C, H, W) or (features,)
        The shape of one input, without the batch.

    Returns
    -------
    Summary
        ``print`` it. A MFLOP is a million of the operations that `convolt.layers.Layer.flops`
        counts, for one image.

    Raises
    ------
    TypeError
        If `model` is no layer, or `input_shape` not a tuple of ints.
    ValueError
        If a layer does not take the shape that comes to it; the message names its place.

    Examples
    --------
    >>> import convolt
    >>> from convolt.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
    >>> model = Sequential(Conv2d(3, 6, 16), ReLU(), MaxPool2d(2), Flatten(), Linear(None, 10))
    >>> print(convolt.summary(model, (3, 32, 32)))
    Sequential for an input of (3, 32, 32)
    <BLANKLINE>
    layer        output shape  parameters  MFLOPs
    ---------------------------------------------
    0 Conv2d     (6, 17, 17)        4,614    2.66
    1 ReLU       (6, 17, 17)
    2 MaxPool2d  (6, 8, 8)
    3 Flatten    (384,)
    4 Linear     (10,)              3,850    0.01
    ---------------------------------------------
    total                           8,464    2.67
    """
    from convolt.layers import Layer

    if not isinstance(model, Layer):
        raise TypeError(f"summary: model must be a layer, got {type(model).__name__}")
    shape = tuple(input_shape) if isinstance(input_shape, (tuple, list)) else ()
    if not shape or not all(map(is_int, shape)):
        raise TypeError(
            f"summary: input_shape must be ints, (C, H, W) or (features,), got {input_shape!r}"
        )
    if min(shape) < 1:
        raise ValueError(f"summary: input_shape must hold sizes of at least 1, got {shape}")
    model.build(shape)
    return Summary(shape, _summary_of("", model, shape))


def _summary_of(name: str, layer: Layer, input_shape: tuple[int, ...]) -> LayerSummary:
    inputs = layer.child_inputs(input_shape)
    prefix = f"{name}." if name else ""
    return LayerSummary(
        name,
        type(layer).__name__,
        layer.output_shape(input_shape),
        sum(array.size for array in layer.parameters().values()),
        layer.flops(input_shape),
        tuple(
            _summary_of(f"{prefix}{key}", child, inputs[key])
            for key, child in layer.children().items()
        ),
    )


def _lines(
    layers: tuple[LayerSummary, ...], indentation: str
) -> Iterator[tuple[str, str, str, str]]:
    for layer in layers:
        own = not layer.children  # the numbers of the others stand at their children
        yield (
            indentation + f"{layer.name} {layer.kind}".lstrip(),
            str(layer.output_shape),
            f"{layer.parameters:,}" if own and layer.parameters else "",
            _millions(layer.flops) if own and layer.flops else "",
        )
        yield from _lines(layer.children, indentation + "  ")


def _millions(flops: int) -> str:
    return f"{flops / 1e6:,.2f}"
