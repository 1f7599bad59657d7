"""Arrays in the memory of a CUDA device."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from convolt._arrays import is_on_device
from convolt.cuda import _ufuncs
from convolt.cuda._foreign import DTYPES, Kind, take
from convolt.cuda._load import index_of, module, resolve

if TYPE_CHECKING:
    from convolt.cuda._engine import DeviceEngine


class Flags:
    """How the memory of an array may be used, as ``ndarray.flags``."""

    c_contiguous = True
    aligned = True

    def __init__(self, writeable: bool) -> None:
        self.writeable = writeable


class Array(NDArrayOperatorsMixin):
    """An array in the memory of a CUDA device, always C-contiguous.

    Made by :func:`convolt.cuda.asarray` and by operators; it does what the layers and optimizers
    of convolt need, and is no replacement for a library of arrays. Elements are float32 or
    float64, and where pooling leaves its indices int64 or uint8. Comparisons give 1 or 0 in the
    dtype of their operands. ``numpy()`` copies to the host; nothing else does.

    Attributes
    ----------
    shape, dtype, ndim, size, nbytes, flags
        As those of an ndarray.
    device : str
        "cuda:0", ...
    """

    def __init__(self, data: Any, kind: Kind | None = None, writeable: bool = True) -> None:
        self._data = data
        self._kind = kind
        self.flags = Flags(writeable and data.writeable)

    # --- what it is -------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of the axes."""
        return cast("tuple[int, ...]", self._data.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return cast("np.dtype[Any]", self._data.dtype)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.size * self.dtype.itemsize

    @property
    def device(self) -> str:
        """Where the memory is."""
        return f"cuda:{self._data.device}"

    @property
    def engine(self) -> DeviceEngine:
        """What computes with the array, see `convolt._engine`."""
        from convolt.cuda._engine import DeviceEngine

        return DeviceEngine(self._kind)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return cast("dict[str, Any]", self._data.__cuda_array_interface__)

    def __dlpack__(self, **options: Any) -> Any:
        """Return the memory for another library, see ``numpy.from_dlpack``."""
        return self._data.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return the device as DLPack names it."""
        return cast("tuple[int, int]", self._data.__dlpack_device__())

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("convolt.cuda.Array: len() must come with an axis, got a 0-d array")
        return self.shape[0]

    def __bool__(self) -> bool:
        return bool(self.numpy())

    def __float__(self) -> float:
        return float(self.numpy())

    def __repr__(self) -> str:
        return f"convolt.cuda.Array(shape={self.shape}, dtype={self.dtype}, device={self.device!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.numpy(), self.device)

    # --- copies and views -------------------------------------------------------------------------

    def numpy(self) -> NDArray[Any]:
        """Return a copy on the host, when it is there."""
        return cast("NDArray[Any]", self._data.to_host())

    def copy(self) -> Array:
        """Return a copy on the device."""
        return Array(module().copy(self._data))

    def __deepcopy__(self, memo: dict[int, Any]) -> Array:
        return self.copy()

    def view(self) -> Array:
        """Return another array over the same memory, with flags of its own."""
        return Array(self._data, self._kind, self.flags.writeable)

    def reshape(self, *shape: Any) -> Array:
        """Return a view of another shape, in which one extent may be -1."""
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
        extents = _complete(tuple(int(extent) for extent in wanted), self.size)
        return Array(self._data.reshape(extents), None, self.flags.writeable)

    @property
    def T(self) -> Transposed:
        """Transpose of a matrix, for a product with ``@``."""
        if self.ndim != 2:
            raise ValueError(
                f"convolt.cuda.Array: T must be of a matrix, got an array of shape {self.shape}"
            )
        return Transposed(self)

    def __getitem__(self, key: Any) -> Array:
        axis, start, stop = self._part(key)
        if axis == 0:
            return Array(self._data.rows(start, stop), None, self.flags.writeable)
        return Array(module().part(self._data, axis, start, stop))

    def __setitem__(self, key: Any, value: Any) -> None:
        axis, start, stop = self._part(key)
        if axis != 0:
            raise TypeError(
                "convolt.cuda.Array: assignment must be to x[...] or to a slice of the first axis"
            )
        target = Array(self.writable(), None).reshape(self.shape)._data.rows(start, stop)
        if isinstance(value, Real):
            module().fill(target, float(value))
        elif isinstance(value, np.ndarray):
            _check_like(target, value)
            module().copy_from_host(target, value)
        else:
            source = as_own(value, "convolt.cuda.Array: what is assigned")
            _check_like(target, source)
            module().copy_from(target, source._data)

    def _part(self, key: Any) -> tuple[int, int, int]:
        """Return axis, start and stop of what an index selects."""
        keys = key if isinstance(key, tuple) else (key,)
        if keys == (Ellipsis,) or keys == ():
            keys = (slice(None),)
        *before, last = keys
        is_simple = isinstance(last, slice) and last.step in (None, 1)
        if not is_simple or len(keys) > self.ndim or any(k != slice(None) for k in before):
            raise TypeError(
                "convolt.cuda.Array: an index must be a slice without a step, of one axis, as "
                f"x[a:b] or x[:, a:b], got {key!r}; x.numpy() has all that NumPy has"
            )
        start, stop, _ = last.indices(self.shape[len(before)])
        return len(before), start, max(start, stop)

    def overlaps(self, other: Array) -> bool:
        """Tell whether there are bytes that belong to both."""
        first, second = self._data.pointer, other._data.pointer
        return bool(first < second + other.nbytes and second < first + self.nbytes)

    @property
    def borrowed(self) -> bool:
        """Whether the memory is that of another library's array, and no copy of it."""
        return bool(self._data.borrowed)

    def writable(self) -> Any:
        """Return what `_cuda` writes into; a ValueError for a read-only array."""
        if not self.flags.writeable:
            raise ValueError("convolt.cuda.Array: out must be writeable, got a read-only array")
        return self._data

    # --- arithmetic -------------------------------------------------------------------------------

    def sum(self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Array:
        """Return the sums along one axis or several, all of them by default."""
        return self._reduced(module().sum, axis, keepdims)

    def mean(self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Array:
        """Return the averages along one axis or several, all of them by default."""
        total = self.sum(axis, keepdims=keepdims)
        total /= self.size / total.size if total.size else math.nan
        return total

    def max(self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Array:
        """Return the maxima along one axis or several, all of them by default."""
        return self._reduced(module().maximum, axis, keepdims)

    def _reduced(
        self, reduce: Callable[[Any, int], Any], axis: int | Sequence[int] | None, keepdims: bool
    ) -> Array:
        axes = _axes(axis, self.ndim)
        data = self._data
        for number in sorted(axes, reverse=True):
            data = reduce(data, number)
        if keepdims:
            data = data.reshape([1 if i in axes else n for i, n in enumerate(self.shape)])
        return Array(data)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Compute one of NumPy's functions of each element, or a product of matrices."""
        return _ufuncs.apply(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        """Compute one of the few other functions of NumPy that take these arrays."""
        return _ufuncs.call(function, arguments, options)

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        """Refuse the conversion that would be a copy to the host that nobody sees."""
        raise TypeError(
            "convolt.cuda.Array: a conversion to a NumPy array must be explicit, use x.numpy()"
        )


class Transposed:
    """The transpose of a matrix as an operand of ``@``; nothing is moved."""

    __array_ufunc__ = None

    def __init__(self, array: Array) -> None:
        self.array = array
        self.shape = array.shape[::-1]

    def __matmul__(self, other: Any) -> Array:
        result: Array = _ufuncs.product(self, other)
        return result

    def __rmatmul__(self, other: Any) -> Array:
        result: Array = _ufuncs.product(other, self)
        return result


def asarray(x: Any, dtype: Any = None, *, device: str | None = None) -> Array:
    """Return `x` on a CUDA device.

    Parameters
    ----------
    x : ndarray, Array, or an array of another library on a CUDA device
        A NumPy array is copied. What is on the device already is not, unless it is not contiguous:
        it shares memory with the result.
    dtype : dtype, optional
        float32 or float64, for a conversion of a NumPy array on its way.
    device : {"cuda", "cuda:0", "cuda:1", ...}, optional
        Where to; by default where `x` is, or "cuda:0".

    Returns
    -------
    Array

    Raises
    ------
    RuntimeError
        With the reason, where there is no device.
    """
    function = "asarray"
    name = None if device is None else resolve(device, function)
    if is_on_device(x):
        array = x if isinstance(x, Array) else Array(take(x)[0])
        if dtype is not None and np.dtype(dtype) != array.dtype:
            raise TypeError(
                f"asarray: dtype must be {array.dtype} as that of x, which is on a device already, "
                f"got {np.dtype(dtype)}"
            )
        if name in (None, array.device):
            return array
        x = array.numpy()
    host = np.asarray(x, dtype)
    host = host.astype(host.dtype.newbyteorder("="), copy=False)
    _check_dtype(host.dtype, function)
    return Array(module().from_host(host, index_of(name or "cuda:0")))


def _restored(host: NDArray[Any], device: str) -> Array:
    """Return a pickled array to the device that it was on."""
    return asarray(host, device=device)


def asnumpy(x: Any) -> NDArray[Any]:
    """Return an array on the host: a copy of one that is on a device, `x` itself of NumPy's."""
    return as_own(x).numpy() if is_on_device(x) else np.asarray(x)


def empty(shape: int | Sequence[int], dtype: Any = np.float32, *, device: str = "cuda") -> Array:
    """Return an array whose elements are not set."""
    extents = (shape,) if isinstance(shape, int) else tuple(shape)
    _check_dtype(np.dtype(dtype), "empty")
    number = index_of(resolve(device, "empty"))
    return Array(module().empty(extents, np.dtype(dtype), number))


def zeros(shape: int | Sequence[int], dtype: Any = np.float32, *, device: str = "cuda") -> Array:
    """Return an array of zeros."""
    array = empty(shape, dtype, device=device)
    array[...] = 0
    return array


def zeros_like(x: Array) -> Array:
    """Return an array of zeros with shape, dtype and device of `x`."""
    return zeros(x.shape, x.dtype, device=x.device)


def as_own(value: Any, subject: str = "convolt.cuda: an array") -> Array:
    """Return an `Array` over what is on a device, which keeps in mind where it came from."""
    if isinstance(value, Array):
        return value
    if not is_on_device(value):
        raise TypeError(
            f"{subject} must be NumPy's or on a CUDA device, got {type(value).__name__}"
        )
    return Array(*take(value, subject))


def _check_dtype(dtype: np.dtype[Any], function: str) -> None:
    if dtype not in DTYPES:
        raise TypeError(
            f"{function}: dtype must be float32 or float64, or int64 or uint8 for indices, "
            f"got {dtype}"
        )


def _check_like(target: Any, value: Any) -> None:
    if value.shape != target.shape or value.dtype != target.dtype:
        raise ValueError(
            f"convolt.cuda.Array: what is assigned must be {target.dtype} of shape "
            f"{target.shape}, got {value.dtype} of shape {value.shape}"
        )


def _complete(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """Return a shape of `size` elements, the extent that is left in the place of -1."""
    others = -math.prod(shape)
    complete = shape
    if shape.count(-1) == 1 and others > 0:
        complete = tuple(size // others if extent == -1 else extent for extent in shape)
    if math.prod(complete) != size or min(complete, default=0) < 0:
        raise ValueError(
            f"convolt.cuda.Array.reshape: shape must hold {size} elements, got {shape}"
        )
    return complete


def _axes(axis: int | Sequence[int] | None, ndim: int) -> set[int]:
    if axis is None:
        return set(range(ndim))
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    if any(not -ndim <= number < ndim for number in axes):
        raise ValueError(
            f"convolt.cuda.Array: axis must be from {-ndim} to {ndim - 1}, got {axis!r}"
        )
    return {number % ndim for number in axes}
