from collections.abc import Sequence
from typing import Any, type_check_only

from numpy.typing import NDArray

# Arrays are C-contiguous, aligned and of native byte order; all of a call have one dtype. Pairs are
# (vertical, horizontal), paddings (top, bottom, left, right), shapes (N, C, H, W).
_Array = NDArray[Any]

# What ends in _at_once takes the arguments of the public function as they came, and returns None
# unless all of them are in this form already or are ints, or None, that stand for it; or always,
# after set_at_once(False).

__version__: str

def adam_update(
    gradient: _Array,
    parameter: _Array,
    first: _Array,
    second: _Array,
    decays: tuple[float, float],
    eps: float,
    rate: float,
) -> bool: ...
def batch_norm2d(
    x: _Array,
    weight: _Array | None,
    bias: _Array | None,
    mean: _Array | None,
    var: _Array | None,
    eps: float,
) -> tuple[_Array, _Array, _Array]: ...
def batch_norm2d_backward(
    dy: _Array,
    x: _Array,
    weight: _Array | None,
    mean: _Array,
    var: _Array,
    eps: float,
    training: bool,
) -> tuple[_Array, _Array, _Array]: ...
def build_info() -> dict[str, Any]: ...
def selected_isa() -> str: ...
def set_isa(name: str | None) -> None: ...
def algorithm() -> str: ...
def set_algorithm(name: str | None) -> None: ...
def set_at_once(allowed: bool) -> None: ...
def num_threads() -> int: ...
def set_num_threads(threads: int) -> None: ...
def limit_threads(threads: int) -> None: ...
def thread_limit() -> int: ...
def busy_threads() -> int: ...
def scratch_bytes() -> int: ...
def release_memory() -> None: ...
def measure_fma_peak(dtype: str, threads: int) -> float: ...
def relu_backward(dy: object, y: object, in_place: bool) -> _Array | None: ...
def conv2d_forward(
    x: _Array,
    weight: _Array,
    bias: _Array | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    relu: bool,
    algorithm: str | None,
    out: _Array | None,
) -> _Array: ...
def conv2d_at_once(
    x: object,
    weight: object,
    bias: object,
    stride: object,
    padding: object,
    dilation: object,
    groups: object,
    activation: object,
    algorithm: object,
    out: object,
) -> _Array | None: ...
def conv2d_backward(
    dy: _Array,
    x: _Array,
    weight: _Array,
    y: _Array | None,
    overwrite_dy: bool,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    needs: Sequence[bool],
    algorithm: str | None,
) -> tuple[_Array | None, _Array | None, _Array | None]: ...
def conv2d_backward_at_once(
    dy: object,
    x: object,
    weight: object,
    y: object,
    overwrite_dy: object,
    stride: object,
    padding: object,
    dilation: object,
    groups: object,
    activation: object,
    needs: object,
    algorithm: object,
) -> tuple[_Array | None, _Array | None, _Array | None] | None: ...

@type_check_only
class _PreparedConv2d:
    def __call__(self, x: _Array, padding: Sequence[int], out: _Array | None) -> _Array: ...
    def at_once(self, x: object, padding: Sequence[int] | None, out: object) -> _Array | None: ...
    def weight(self) -> _Array: ...
    def bias(self) -> _Array | None: ...

def prepare_conv2d(
    weight: _Array,
    bias: _Array | None,
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    relu: bool,
    algorithm: str | None,
) -> _PreparedConv2d: ...
def conv_transpose2d_forward(
    x: _Array,
    weight: _Array,
    bias: _Array | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    output_size: Sequence[int],
    algorithm: str | None,
    out: _Array | None,
) -> _Array: ...
def conv_transpose2d_backward(
    dy: _Array,
    x: _Array,
    weight: _Array,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    output_size: Sequence[int],
    algorithm: str | None,
    needs: Sequence[bool],
) -> tuple[_Array | None, _Array | None, _Array | None]: ...
def image_to_columns(
    function: str,
    x: _Array,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    out: _Array | None,
) -> _Array: ...
def columns_to_image(
    function: str,
    col: _Array,
    input_shape: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    out: _Array | None,
) -> _Array: ...
def image_to_columns_at_once(
    function: str,
    x: object,
    kernel: object,
    stride: object,
    padding: object,
    dilation: object,
    out: object,
) -> _Array | None: ...
def columns_to_image_at_once(
    function: str,
    col: object,
    size: object,
    kernel: object,
    stride: object,
    padding: object,
    dilation: object,
    out: object,
) -> _Array | None: ...
def pool2d_max_forward(
    function: str,
    x: _Array,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    wanted: str,
    out: _Array | None,
) -> _Array | tuple[_Array, _Array]: ...
def pool2d_max_at_once(
    function: str,
    x: object,
    kernel: object,
    stride: object,
    padding: object,
    dilation: object,
    ceil_mode: object,
    wanted: str,
    out: object,
) -> _Array | tuple[_Array, _Array] | None: ...
def pool2d_max_backward(
    function: str,
    dy: _Array,
    indices: _Array,
    input_shape: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> _Array: ...
def pool2d_winners_backward(
    function: str,
    dy: _Array,
    winners: _Array,
    input_shape: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> _Array: ...
def avg_pool2d_forward(
    x: _Array,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int,
    out: _Array | None,
) -> _Array: ...
def avg_pool2d_at_once(
    x: object,
    kernel: object,
    stride: object,
    padding: object,
    ceil_mode: object,
    count_include_pad: object,
    out: object,
) -> _Array | None: ...
def avg_pool2d_backward(
    dy: _Array,
    input_shape: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int,
) -> _Array: ...
def global_avg_pool2d_forward(x: _Array, out: _Array | None) -> _Array: ...
def global_avg_pool2d_backward(dy: _Array, input_shape: Sequence[int]) -> _Array: ...
def global_max_pool2d_forward(
    x: _Array, return_indices: bool, out: _Array | None
) -> _Array | tuple[_Array, _Array]: ...
def global_max_pool2d_backward(
    dy: _Array, indices: _Array, input_shape: Sequence[int]
) -> _Array: ...
def sgd_update(
    gradient: _Array, parameter: _Array, velocity: _Array, momentum: float, rate: float
) -> bool: ...
