"""The operators of `_cuda` as engines: for arrays on a device, and for NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convolt._openmp import _core
from convolt.cuda._array import Array, as_own
from convolt.cuda._foreign import Kind
from convolt.cuda._load import index_of, module
from convolt.cuda._streams import callers_stream

# The functions whose last argument is `out`, and the public function that an error names; that of
# the others is their first argument.
_WITH_OUT = {
    "avg_pool2d_forward": "avg_pool2d",
    "columns_to_image": None,
    "conv2d_forward": "conv2d",
    "conv_transpose2d_forward": "conv_transpose2d",
    "global_avg_pool2d_forward": "global_avg_pool2d",
    "global_max_pool2d_forward": "global_max_pool2d",
    "image_to_columns": None,
    "pool2d_max_forward": None,
}

# Updates of NumPy arrays in place take less time than their copies would.
_LEFT_TO_THE_CPU = frozenset({"adam_update", "relu_backward", "sgd_update"})


class DeviceEngine:
    """Computes with arrays on a device; what comes out is of the kind that came in."""

    def __init__(self, kind: Kind | None) -> None:
        self._kind = kind

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(module(), name)

        def call(*arguments: Any) -> Any:
            return self.run(function, arguments, with_out=name in _WITH_OUT)

        return call

    def prepare_conv2d(self, *arguments: Any) -> _Prepared:
        """Return a convolution whose weight stays on the device."""
        return _Prepared(module().prepare_conv2d(*map(_unwrapped, arguments)), None)

    def run(self, function: Callable[..., Any], arguments: Sequence[Any], *, with_out: bool) -> Any:
        """Call `function` on the caller's stream, with the arrays inside `arguments`."""
        out = arguments[-1] if with_out else None
        if out is not None:
            arguments = [*arguments[:-1], as_own(out).writable()]
        with callers_stream(None if self._kind is None else self._kind.stream):
            result = _each(function(*map(_unwrapped, arguments)), self._wrapped)
        return result if out is None else _with_first(result, out)

    def _wrapped(self, data: Any) -> Any:
        array = Array(data)
        if self._kind is None or self._kind.from_dlpack is None:
            return array
        return self._kind.from_dlpack(array)


class HostEngine:
    """Computes with NumPy arrays on a device: copies them there, and the results back."""

    def __init__(self, device: str) -> None:
        self.device = device
        self._number = index_of(device)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in _LEFT_TO_THE_CPU:
            return getattr(_core, name)  # type: ignore[no-any-return]
        function = getattr(module(), name)

        def call(*arguments: Any) -> Any:
            out_of = None
            if name in _WITH_OUT:
                out_of = _WITH_OUT[name] or arguments[0]
            return self.run(function, arguments, out_of=out_of)

        return call

    def prepare_conv2d(self, *arguments: Any) -> _Prepared:
        """Return a convolution whose weight stays on the device."""
        return _Prepared(module().prepare_conv2d(*map(self._uploaded, arguments)), self)

    def run(
        self, function: Callable[..., Any], arguments: Sequence[Any], *, out_of: str | None
    ) -> Any:
        """Call `function` with copies of the arrays; `out_of` names the one that has an `out`."""
        out = None if out_of is None else arguments[-1]
        if out is None:
            return _each(function(*map(self._uploaded, arguments)), lambda data: data.to_host())
        dtype = next(value.dtype for value in arguments if isinstance(value, np.ndarray))
        _check_host_output(out, dtype, f"{out_of}")
        target = module().empty(out.shape, dtype, self._number)
        result = function(*map(self._uploaded, arguments[:-1]), target)
        written, *others = result if isinstance(result, tuple) else (result,)
        written.to_host(out)
        return (out, *(data.to_host() for data in others)) if others else out

    def _uploaded(self, value: Any) -> Any:
        is_array = isinstance(value, np.ndarray)
        return module().from_host(value, self._number) if is_array else value


class _Prepared:
    """A convolution with a weight on the device, as `_core.prepare_conv2d` returns one."""

    def __init__(self, prepared: Any, host: HostEngine | None) -> None:
        self._prepared = prepared
        self._host = host

    def at_once(self, x: object, padding: object, out: object) -> None:
        """Return None: there is no quick way in."""

    def __call__(self, x: Any, padding: Sequence[int], out: Any) -> Any:
        """Return the convolution of `x`."""
        if self._host is None:
            return x.engine.run(self._prepared, (x, padding, out), with_out=True)
        return self._host.run(self._prepared, (x, padding, out), out_of="PreparedConv2d")

    def weight(self) -> Any:
        """Return the weight, where it was given."""
        return self._returned(self._prepared.weight())

    def bias(self) -> Any:
        """Return the bias, where it was given, or None."""
        return self._returned(self._prepared.bias())

    def _returned(self, data: Any) -> Any:
        return _each(data, Array if self._host is None else lambda data: data.to_host())


def _unwrapped(value: Any) -> Any:
    return value._data if isinstance(value, Array) else value


def _each(result: Any, convert: Callable[[Any], Any]) -> Any:
    """Convert each array of a result: one, a tuple of them, or none, which may be None or bool."""
    if isinstance(result, tuple):
        return tuple(_each(part, convert) for part in result)
    return convert(result) if isinstance(result, module().DeviceArray) else result


def _with_first(result: Any, out: Any) -> Any:
    """Return the caller's own `out` in place of the same array in the result."""
    return (out, *result[1:]) if isinstance(result, tuple) else out


def _check_host_output(out: NDArray[Any], dtype: np.dtype[Any], function: str) -> None:
    """Refuse what the engine of the CPU refuses to write into; the device checks the shape."""
    if out.dtype != dtype:
        raise TypeError(f"{function}: out must have dtype {dtype}, got {out.dtype}")
    if not out.flags.writeable:
        raise ValueError(f"{function}: out must be writeable, got a read-only array")
    if not (out.flags.c_contiguous and out.flags.aligned):
        elements = "" if out.flags.aligned else "misaligned elements, "
        raise ValueError(
            f"{function}: out must be C-contiguous and aligned, got {elements}strides "
            f"{out.strides} for shape {out.shape}"
        )
