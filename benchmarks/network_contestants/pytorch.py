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
        from network_contestants.torch_modules import loss_of

        torch = self.torch
        network, x = self._build(problem), self._tensor(problem.images())
        labels, parameters = torch.from_numpy(problem.labels()), list(network.parameters())
        adam = torch.optim.Adam(parameters, lr=LEARNING_RATE, fused=True)
        loss_function = loss_of(problem.facts)

        @torch.inference_mode(False)
        def step() -> list[Any]:
            adam.zero_grad()
            loss = loss_function(network(x), labels)
            loss.backward()
            adam.step()
            return [loss.detach(), *(parameter.grad for parameter in parameters)]

        return step

    def _build(self, problem: NetworkProblem) -> Any:
        from network_contestants.torch_modules import module_of

        dtype = getattr(self.torch, problem.dtype)
        memory_format = getattr(self.torch, self.memory_format)
        network = module_of(problem.facts, problem.parameters())
        return network.to(dtype).to(memory_format=memory_format)


class TorchChannelsLastNetwork(TorchNetwork):
    """Images, and with them all maps, in NHWC order."""

    memory_format = "channels_last"
