"""The networks in PyTorch, eager, with the fused Adam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from contestants.pytorch import Torch
from network_contestants.ours import flat
from network_problem import LEARNING_RATE, NetworkProblem


class TorchNetwork(Torch):
    """Modules of ``torch.nn``."""

    def prepare(self, problem: NetworkProblem) -> Callable[[], list[Any]]:
        """Return the function to time."""
        if problem.task == "training":
            with self.torch.inference_mode(False):
                return self._training(problem)
        network, x = self._build(problem).eval(), self._tensor(problem.images())
        return lambda: [network(x)]

    def as_array(self, result: list[Any]) -> np.ndarray:
        """Put the tensors one after the other, linear weights as (inputs, outputs)."""
        return flat([tensor.numpy().T if tensor.ndim == 2 else tensor.numpy() for tensor in result])

    def _training(self, problem: NetworkProblem) -> Callable[[], list[Any]]:
        torch = self.torch
        network, x = self._build(problem), self._tensor(problem.images())
        labels, parameters = torch.from_numpy(problem.labels()), list(network.parameters())
        adam = torch.optim.Adam(parameters, lr=LEARNING_RATE, fused=True)
        cross_entropy = torch.nn.functional.cross_entropy

        @torch.inference_mode(False)
        def step() -> list[Any]:
            adam.zero_grad()
            loss = cross_entropy(network(x), labels)
            loss.backward()
            adam.step()
            return [loss.detach(), *(parameter.grad for parameter in parameters)]

        return step

    def _build(self, problem: NetworkProblem):
        torch, nn = self.torch, self.torch.nn
        modules = []
        for kind, sizes, parameters in problem.layers():
            match kind:
                case "conv":
                    filters, kernel, padding = sizes
                    channels = parameters[0].shape[1]
                    module = nn.Conv2d(channels, filters, kernel, padding=padding)
                case "linear":
                    module = nn.Linear(*parameters[0].shape)
                    parameters = (parameters[0].T, parameters[1])
                case "pool":
                    module = nn.MaxPool2d(*sizes)
                case "relu":
                    module = nn.ReLU(inplace=True)
                case "flatten":
                    module = nn.Flatten()
            for mine, given in zip(module.parameters(), parameters, strict=True):
                mine.data.copy_(torch.from_numpy(given))
            modules.append(module)
        memory_format = getattr(torch, self.memory_format)
        return nn.Sequential(*modules).to(memory_format=memory_format)


class TorchChannelsLastNetwork(TorchNetwork):
    """Images, and with them all maps, in NHWC order."""

    memory_format = "channels_last"
