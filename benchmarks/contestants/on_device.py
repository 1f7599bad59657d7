"""The contestants on a CUDA device: arrays that live there, times by events of the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from contestants.contestant import Unsupported
from contestants.ours import Convolt
from contestants.pytorch import Torch
from problem import Problem

CHAIN_LENGTH = 1 << 12  # multiply-adds one after the other: tens of microseconds


class ConvoltCuda(Convolt):
    """The functions on arrays of the device."""

    isa_variables = ()

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.cuda = self.convolt.cuda
        reason = self.cuda.unavailable_reason()
        if reason is not None:
            raise Unsupported(reason)
        from convolt import _cuda

        self.native = _cuda
        properties = self.cuda.device_properties()
        self.details = {key: str(value) for key, value in properties.items()}

    def prepare(self, problem: Problem) -> Callable[[], Any]:
        """Return the function to time."""
        return super().prepare(_OnDevice(problem, self.cuda.asarray))

    def as_array(self, result: Any) -> np.ndarray:
        """Copy the array to the host."""
        return result.numpy()

    def time(self, function: Callable[[], Any]) -> float:
        """Call the function; return the seconds that the device took."""
        start, end = self.native.Event(), self.native.Event()
        start.record()
        function()
        end.record()
        return start.elapsed_ms(end) / 1e3

    def fma_peak(self, dtype: str, threads: int) -> float:
        """Measure the GFLOP/s of bare multiply-adds in registers, on the whole device."""
        operations = self.native.fma_chains(dtype, CHAIN_LENGTH)
        seconds = self.time(lambda: self.native.fma_chains(dtype, CHAIN_LENGTH))
        return operations / seconds / 1e9

    def copy(self, size: int) -> Callable[[], Any]:
        """Return a copy on the device that reads and writes so many bytes together."""
        source = self.cuda.asarray(np.ones(size // 8, np.float32))
        target = self.cuda.asarray(np.ones(size // 8, np.float32))

        def copy() -> None:
            target[...] = source

        return copy


class TorchCuda(Torch):
    """PyTorch with cuDNN, float32 without TF32; cuDNN chooses among its algorithms beforehand."""

    isa_variables = ()

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        torch = self.torch
        if not torch.cuda.is_available():
            raise Unsupported("PyTorch sees no CUDA device")
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = True
        self.details = {
            "version": str(torch.__version__),
            "cudnn": str(torch.backends.cudnn.version()),
            "device": torch.cuda.get_device_name(),
        }

    def as_array(self, result: Any) -> np.ndarray:
        """Copy the tensor to the host."""
        return result.cpu().numpy()

    def time(self, function: Callable[[], Any]) -> float:
        """Call the function; return the seconds that the device took."""
        start, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        function()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1e3

    def _tensor(self, array: np.ndarray) -> Any:
        return super()._tensor(array).cuda()


class _OnDevice:
    """A problem whose arrays are on the device."""

    def __init__(self, problem: Problem, to_device: Callable[[np.ndarray], Any]) -> None:
        self._problem, self._to_device = problem, to_device

    def __getattr__(self, name: str) -> Any:
        return getattr(self._problem, name)

    def images(self) -> Any:
        return self._to_device(self._problem.images())

    def weight(self) -> Any:
        return self._to_device(self._problem.weight())

    def output_gradients(self) -> Any:
        return self._to_device(self._problem.output_gradients())
