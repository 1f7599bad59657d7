"""The contestants: each computes a ``Problem`` with one library.

A contestant lives in a process of its own and imports its library in its constructor, so that this
package can be imported where none of them is installed. A further rival is one class in a file of
its own, and one line here.
"""

from contestants.contestant import Contestant, Unsupported
from contestants.numpy_blas import NumPy
from contestants.on_device import ConvoltCuda, TorchCuda
from contestants.onnx_runtime import OnnxRuntime
from contestants.open_vino import OpenVino
from contestants.ours import Convolt, ConvoltPrepared
from contestants.pytorch import Torch, TorchChannelsLast

OURS: dict[str, type[Contestant]] = {"convolt": Convolt, "convolt-prepared": ConvoltPrepared}
RIVALS: dict[str, type[Contestant]] = {
    "numpy": NumPy,
    "torch": Torch,
    "torch-channels-last": TorchChannelsLast,
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVino,
}
OURS_ON_DEVICE: dict[str, type[Contestant]] = {"convolt": ConvoltCuda}
RIVALS_ON_DEVICE: dict[str, type[Contestant]] = {"torch-cuda": TorchCuda}

__all__ = [
    "OURS",
    "OURS_ON_DEVICE",
    "RIVALS",
    "RIVALS_ON_DEVICE",
    "Contestant",
    "Unsupported",
]
