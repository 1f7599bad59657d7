"""The contestants of ``memory_bound.py``: pooling and column matrices with one library each.

They are contestants as in ``contestants``, for the problems of ``memory_problem``.
"""

from memory_contestants.numpy_loops import NumPyLoops
from memory_contestants.onnx_pool import OnnxPool
from memory_contestants.open_vino_pool import OpenVinoPool
from memory_contestants.ours import ConvoltMemory
from memory_contestants.pytorch import TorchChannelsLastMemory, TorchMemory

OURS: dict[str, type] = {"convolt": ConvoltMemory}
RIVALS: dict[str, type] = {
    "numpy": NumPyLoops,
    "torch": TorchMemory,
    "torch-channels-last": TorchChannelsLastMemory,
    "onnxruntime": OnnxPool,
    "openvino": OpenVinoPool,
}

__all__ = ["OURS", "RIVALS"]
