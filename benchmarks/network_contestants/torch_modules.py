"""The layers of convolt as modules of PyTorch, one by one. Imported where PyTorch is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from network_facts import LayerFacts


class Parallel(nn.Module):
    """Modules that are applied to the same input, their outputs concatenated."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs side by side."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def module_of(facts: LayerFacts, parameters: Iterator[np.ndarray]) -> nn.Module:
    """Return the module of a layer, which takes its parameters from the iterator."""
    inside = [module_of(child, parameters) for child in facts.children]
    if facts.kind == "Parallel":
        return Parallel(*inside)
    if facts.kind == "Sequential":
        return nn.Sequential(*inside)
    return MODULES[facts.kind](facts, [next(parameters) for _ in facts.parameters])


def _convolution(facts: LayerFacts, parameters: list[np.ndarray]) -> nn.Module:
    weight, options = parameters[0], dict(facts.options)
    activation = options.pop("activation")
    del options["algorithm"]
    in_channels = weight.shape[1] * options["groups"]
    sizes = (in_channels, len(weight), weight.shape[2:])
    module = _filled(nn.Conv2d(*sizes, bias=len(parameters) > 1, **options), parameters)
    return nn.Sequential(module, nn.ReLU(inplace=True)) if activation == "relu" else module


def _linear(facts: LayerFacts, parameters: list[np.ndarray]) -> nn.Module:
    weight, *bias = parameters
    return _filled(nn.Linear(*weight.shape, bias=bool(bias)), [weight.T, *bias])


def _batch_norm(facts: LayerFacts, parameters: list[np.ndarray]) -> nn.Module:
    weight = parameters[0]
    module = nn.BatchNorm2d(len(weight), **facts.options)
    return _filled(module.to(torch.from_numpy(weight).dtype), parameters)


def _filled(module: nn.Module, parameters: list[np.ndarray]) -> nn.Module:
    for mine, given in zip(module.parameters(), parameters, strict=True):
        mine.data = torch.from_numpy(np.array(given, order="C"))
    return module


def _plain(make: Callable[..., nn.Module], **fixed: object) -> Callable[..., nn.Module]:
    return lambda facts, parameters: make(**facts.options, **fixed)


MODULES: dict[str, Callable[[LayerFacts, list[np.ndarray]], nn.Module]] = {
    "AvgPool2d": _plain(nn.AvgPool2d),
    "BatchNorm2d": _batch_norm,
    "Conv2d": _convolution,
    "Dropout": _plain(nn.Dropout),
    "Flatten": _plain(nn.Flatten),
    "GlobalAvgPool2d": _plain(nn.AdaptiveAvgPool2d, output_size=1),
    "Linear": _linear,
    "LocalResponseNorm": _plain(nn.LocalResponseNorm),
    "LogSoftmax": _plain(nn.LogSoftmax, dim=1),
    "MaxPool2d": _plain(nn.MaxPool2d),
    "ReLU": _plain(nn.ReLU, inplace=True),
    "Sigmoid": _plain(nn.Sigmoid),
}


def loss_of(facts: LayerFacts) -> Callable[..., torch.Tensor]:
    """Return the loss that goes with what the network ends with."""
    *_, last = facts.leaves()
    functions = nn.functional
    return functions.nll_loss if last.kind == "LogSoftmax" else functions.cross_entropy
