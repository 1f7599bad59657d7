"""A network of ``convolt.layers`` as facts, which a process without convolt can read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class LayerFacts:
    """A layer without its arrays."""

    kind: str  # the name of its class, "Sequential" for all models
    options: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, tuple[int, ...]] = field(default_factory=dict)  # their shapes
    children: tuple[LayerFacts, ...] = ()

    def leaves(self) -> Iterator[LayerFacts]:
        """Yield the layers that are made of no others, in the order of the parameters."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()


def _window(*names: str) -> Callable[[Any], dict[str, Any]]:
    names = ("kernel_size", "stride", "padding", *names)
    return lambda layer: dict(zip(names, layer._window, strict=False))


def _attributes(*names: str) -> Callable[[Any], dict[str, Any]]:
    return lambda layer: {name: getattr(layer, name) for name in names}


# What each kind of layer was told besides the shapes of its parameters.
OPTIONS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "AvgPool2d": _window("ceil_mode", "count_include_pad", "divisor_override"),
    "BatchNorm2d": _attributes("eps", "momentum"),
    "Conv2d": lambda layer: dict(layer._options),
    "Dropout": _attributes("p"),
    "Flatten": _attributes(),
    "GlobalAvgPool2d": _attributes(),
    "Linear": _attributes(),
    "LocalResponseNorm": lambda layer: dict(
        zip(("size", "alpha", "beta", "k"), layer._options, strict=True)
    ),
    "LogSoftmax": _attributes(),
    "MaxPool2d": _window("dilation", "ceil_mode"),
    "ReLU": _attributes(),
    "Sigmoid": _attributes(),
}


def describe(layer: Any) -> LayerFacts:
    """Return the facts of a layer of ``convolt.layers``."""
    from convolt.layers import Parallel

    if layer.children():
        kind = "Parallel" if isinstance(layer, Parallel) else "Sequential"
        return LayerFacts(kind, children=tuple(map(describe, layer.children().values())))
    kind = type(layer).__name__
    if kind not in OPTIONS:
        raise ValueError(f"describe: layer must be one of {', '.join(OPTIONS)}, got a {kind}")
    shapes = {name: array.shape for name, array in layer.parameters().items()}
    return LayerFacts(kind, OPTIONS[kind](layer), shapes)
