from collections.abc import Sequence
from typing import Any, Literal, final, type_check_only

from numpy import dtype
from numpy.typing import DTypeLike, NDArray

# Arrays of a call are on one device, on which the call runs, and float arrays of a call have one
# dtype. Calls enqueue on the current stream of the thread and wait for nothing, but for copies from
# and to the host, synchronize(), Event.elapsed_ms() and pool2d_max_backward(), which checks the
# indices. An array that was made on another stream is waited for there, and that stream waits for
# the call.
# Pairs are (vertical, horizontal), paddings (top, bottom, left, right), shapes (N, C, H, W).

_Needs = Sequence[bool]
_Unary = Literal["negative", "absolute", "exp", "log", "sqrt", "reciprocal", "tanh"]
_Binary = Literal[
    "add",
    "subtract",
    "multiply",
    "divide",
    "maximum",
    "minimum",
    "power",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
]

# Contiguous elements of float32, float64, int64 or uint8 on a device.
@final
class DeviceArray:
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> dtype[Any]: ...
    @property
    def ndim(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def device(self) -> int: ...
    @property
    def stream(self) -> int: ...
    @property
    def pointer(self) -> int: ...
    @property
    def writeable(self) -> bool: ...

    # Whether the memory is somebody else's.
    @property
    def borrowed(self) -> bool: ...
    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...
    # Both share memory with the array.
    def reshape(self, shape: Sequence[int]) -> DeviceArray: ...
    def rows(self, start: int, stop: int) -> DeviceArray: ...
    def to_host(self, out: NDArray[Any] | None = None) -> NDArray[Any]: ...
    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> object: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

# --- arrays ---

# Uninitialised, on the current device.
def empty(shape: Sequence[int], dtype: DTypeLike) -> DeviceArray: ...

# Of any strides; a copy, on the current device.
def from_host(array: NDArray[Any]) -> DeviceArray: ...
def copy_from_host(array: DeviceArray, source: NDArray[Any]) -> None: ...
def copy(array: DeviceArray) -> DeviceArray: ...

# `array` gets the elements of `source`, of the same shape and dtype.
def copy_from(array: DeviceArray, source: DeviceArray) -> None: ...
def fill(array: DeviceArray, value: float) -> None: ...

# The memory of `owner`, which lives as long; a copy if it is not contiguous. `stream` as in
# __cuda_array_interface__: what fills the memory, or None. Of no elements the pointer does not tell
# the device.
def view(
    pointer: int,
    shape: Sequence[int],
    strides: Sequence[int] | None,
    dtype: DTypeLike,
    owner: object,
    stream: int | None,
    writeable: bool = True,
    device_of_none: int | None = None,
) -> DeviceArray: ...
def from_dlpack(array: object) -> DeviceArray: ...
def join(arrays: Sequence[DeviceArray], axis: int) -> DeviceArray: ...
def part(array: DeviceArray, axis: int, start: int, stop: int) -> DeviceArray: ...

# --- arithmetic, with NumPy's broadcasting ---

def unary(name: _Unary, x: DeviceArray, out: DeviceArray | None = None) -> DeviceArray: ...
def binary(
    name: _Binary,
    a: DeviceArray | float,
    b: DeviceArray | float,
    out: DeviceArray | None = None,
) -> DeviceArray: ...

# The result has no such axis any more.
def sum(x: DeviceArray, axis: int) -> DeviceArray: ...
def maximum(x: DeviceArray, axis: int) -> DeviceArray: ...

# (m, k) times (k, n), each of them perhaps stored as its transpose.
def matmul(a: DeviceArray, transpose_a: bool, b: DeviceArray, transpose_b: bool) -> DeviceArray: ...

# --- the operators, as in _core ---

def adam_update(
    gradient: DeviceArray,
    parameter: DeviceArray,
    first: DeviceArray,
    second: DeviceArray,
    decays: tuple[float, float],
    eps: float,
    rate: float,
) -> bool: ...
def sgd_update(
    gradient: DeviceArray,
    parameter: DeviceArray,
    velocity: DeviceArray,
    momentum: float,
    rate: float,
) -> bool: ...
def batch_norm2d(
    x: DeviceArray,
    weight: DeviceArray | None,
    bias: DeviceArray | None,
    mean: DeviceArray | None,
    var: DeviceArray | None,
    eps: float,
) -> tuple[DeviceArray, DeviceArray, DeviceArray]: ...
def batch_norm2d_backward(
    dy: DeviceArray,
    x: DeviceArray,
    weight: DeviceArray | None,
    mean: DeviceArray,
    var: DeviceArray,
    eps: float,
    training: bool,
) -> tuple[DeviceArray, DeviceArray, DeviceArray]: ...
def local_response_norm(
    x: DeviceArray, size: int, alpha: float, beta: float, k: float
) -> DeviceArray: ...
def local_response_norm_backward(
    dy: DeviceArray, x: DeviceArray, size: int, alpha: float, beta: float, k: float
) -> DeviceArray: ...

# None unless both have one shape and one dtype.
def relu_backward(dy: DeviceArray, y: DeviceArray, in_place: bool) -> DeviceArray | None: ...

# Algorithms are "auto" and "gemm"; None is "auto".
def conv2d_forward(
    x: DeviceArray,
    weight: DeviceArray,
    bias: DeviceArray | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    relu: bool,
    algorithm: str | None,
    out: DeviceArray | None,
) -> DeviceArray: ...
def conv2d_backward(
    dy: DeviceArray,
    x: DeviceArray,
    weight: DeviceArray,
    y: DeviceArray | None,
    overwrite_dy: bool,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    needs: _Needs,
    algorithm: str | None,
) -> tuple[DeviceArray | None, DeviceArray | None, DeviceArray | None]: ...

@type_check_only
class _PreparedConv2d:
    def __call__(
        self, x: DeviceArray, padding: Sequence[int], out: DeviceArray | None
    ) -> DeviceArray: ...
    def at_once(self, x: object, padding: Sequence[int] | None, out: object) -> None: ...
    def weight(self) -> DeviceArray: ...
    def bias(self) -> DeviceArray | None: ...

def prepare_conv2d(
    weight: DeviceArray,
    bias: DeviceArray | None,
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    relu: bool,
    algorithm: str | None,
) -> _PreparedConv2d: ...
def conv_transpose2d_forward(
    x: DeviceArray,
    weight: DeviceArray,
    bias: DeviceArray | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    output_size: Sequence[int],
    algorithm: str | None,
    out: DeviceArray | None,
) -> DeviceArray: ...
def conv_transpose2d_backward(
    dy: DeviceArray,
    x: DeviceArray,
    weight: DeviceArray,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    output_size: Sequence[int],
    algorithm: str | None,
    needs: _Needs,
) -> tuple[DeviceArray | None, DeviceArray | None, DeviceArray | None]: ...
def image_to_columns(
    function: str,
    x: DeviceArray,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    out: DeviceArray | None,
) -> DeviceArray: ...
def columns_to_image(
    function: str,
    col: DeviceArray,
    input_shape: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    out: DeviceArray | None,
) -> DeviceArray: ...
def pool2d_max_forward(
    function: str,
    x: DeviceArray,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    wanted: str,
    out: DeviceArray | None,
) -> DeviceArray | tuple[DeviceArray, DeviceArray]: ...
def pool2d_max_backward(
    function: str,
    dy: DeviceArray,
    indices: DeviceArray,
    input_shape: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> DeviceArray: ...
def pool2d_winners_backward(
    function: str,
    dy: DeviceArray,
    winners: DeviceArray,
    input_shape: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> DeviceArray: ...
def avg_pool2d_forward(
    x: DeviceArray,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int,
    out: DeviceArray | None,
) -> DeviceArray: ...
def avg_pool2d_backward(
    dy: DeviceArray,
    input_shape: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int,
) -> DeviceArray: ...
def global_avg_pool2d_forward(x: DeviceArray, out: DeviceArray | None) -> DeviceArray: ...
def global_avg_pool2d_backward(dy: DeviceArray, input_shape: Sequence[int]) -> DeviceArray: ...
def global_max_pool2d_forward(
    x: DeviceArray, return_indices: bool, out: DeviceArray | None
) -> DeviceArray | tuple[DeviceArray, DeviceArray]: ...
def global_max_pool2d_backward(
    dy: DeviceArray, indices: DeviceArray, input_shape: Sequence[int]
) -> DeviceArray: ...

# --- devices and streams, of the calling thread ---

# RuntimeError with the reason where there is no driver or no device.
def device_count() -> int: ...

# Why nothing can be computed on a device; empty if it can.
def device_problem(device: int) -> str: ...
def device_properties(device: int) -> dict[str, Any]: ...
def current_device() -> int: ...

# "driver" (what it supports), "runtime", "cublas": such as 13000 for 13.0.
def versions() -> dict[str, int]: ...

# (free, total) in bytes
def memory_use(device: int | None = None) -> tuple[int, int]: ...
def release_memory(device: int | None = None) -> None: ...
def is_host_stand_in() -> bool: ...

# A stream is a cudaStream_t as an int, 0 the legacy default stream. `keeper` is an object that
# keeps it alive; arrays that are made on the stream hold it. Returns both of before.
def current_stream() -> int: ...
def set_stream(stream: int, keeper: object = None) -> tuple[int, object]: ...
def make_wait(waiting: int, other: int) -> None: ...
def synchronize(device: int | None = None) -> None: ...

# A point on the stream that was current at record().
@final
class Event:
    def __init__(self) -> None: ...
    def record(self) -> None: ...
    def elapsed_ms(self, other: Event) -> float: ...

# Enqueues nothing but multiply-adds, and returns how many operations they are.
def fma_chains(dtype: str, iterations: int) -> float: ...

# --- how convolutions are computed ---

def allow_tf32(allowed: bool) -> None: ...
def tf32_allowed() -> bool: ...
def set_kernels(name: Literal["auto", "implicit_gemm", "columns", "direct"]) -> None: ...

# For tests: the tile of the implicit GEMM, or -1 for the best one; the bytes of columns at a time;
# the most blocks of a grid.
def set_tile_shape(shape: int) -> None: ...
def set_column_scratch(bytes: int) -> None: ...
def set_most_blocks(blocks: int) -> None: ...
