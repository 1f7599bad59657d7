"""Fast 2-D convolution and pooling for NumPy arrays, forward and backward.

The operators are in :mod:`convolt.functional` and, all of them, here; :mod:`convolt.reference`
defines them in pure NumPy. :mod:`convolt.layers`, :mod:`convolt.optim` and :mod:`convolt.models`
are a CNN on top; :mod:`convolt.cuda` has arrays on NVIDIA GPUs. ``import convolt`` is enough for
all of these: a submodule is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from convolt._engine import get_device, set_device
from convolt._openmp import _core  # before anything else that loads the engine
from convolt._summary import summary
from convolt.config import (
    build_info,
    get_algorithm,
    get_num_threads,
    num_threads,
    release_memory,
    scratch_bytes,
    set_algorithm,
    set_isa,
    set_num_threads,
)
from convolt.functional import (
    BatchNorm2dGradients,
    BatchNorm2dOutput,
    Conv2dGradients,
    PreparedConv2d,
    avg_pool2d,
    avg_pool2d_backward,
    batch_norm2d,
    batch_norm2d_backward,
    col2im,
    conv2d,
    conv2d_backward,
    conv_output_size,
    conv_transpose2d,
    conv_transpose2d_backward,
    fold,
    global_avg_pool2d,
    global_avg_pool2d_backward,
    global_max_pool2d,
    global_max_pool2d_backward,
    im2col,
    local_response_norm,
    local_response_norm_backward,
    max_pool2d,
    max_pool2d_backward,
    min_pool2d,
    min_pool2d_backward,
    pool_output_size,
    unfold,
)

if TYPE_CHECKING:
    from convolt import compat as compat
    from convolt import cuda as cuda
    from convolt import data as data
    from convolt import layers as layers
    from convolt import models as models
    from convolt import optim as optim
    from convolt import reference as reference
    from convolt import training as training
    from convolt import viz as viz
else:
    _SUBMODULES = {
        *("compat", "cuda", "data", "layers", "models"),
        *("optim", "reference", "training", "viz"),
    }

    def __getattr__(name: str) -> Any:
        """Import a submodule when it is first asked for: ``import convolt`` has to be quick."""
        if name in _SUBMODULES:
            return import_module(f"convolt.{name}")
        raise AttributeError(f"module 'convolt' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted(_SUBMODULES.union(globals()))


__version__ = _core.__version__

__all__ = [
    "BatchNorm2dGradients",
    "BatchNorm2dOutput",
    "Conv2dGradients",
    "PreparedConv2d",
    "__version__",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm2d",
    "batch_norm2d_backward",
    "build_info",
    "col2im",
    "conv2d",
    "conv2d_backward",
    "conv_output_size",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "fold",
    "get_algorithm",
    "get_device",
    "get_num_threads",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "global_max_pool2d",
    "global_max_pool2d_backward",
    "im2col",
    "local_response_norm",
    "local_response_norm_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "min_pool2d",
    "min_pool2d_backward",
    "num_threads",
    "pool_output_size",
    "release_memory",
    "scratch_bytes",
    "set_algorithm",
    "set_device",
    "set_isa",
    "set_num_threads",
    "summary",
    "unfold",
]
