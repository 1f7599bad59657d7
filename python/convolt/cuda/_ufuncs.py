"""What NumPy's functions do with arrays on a device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from convolt.cuda._load import module

_UNARY = {
    np.negative: "negative",
    np.absolute: "absolute",
    np.exp: "exp",
    np.log: "log",
    np.sqrt: "sqrt",
    np.reciprocal: "reciprocal",
    np.tanh: "tanh",
}
_BINARY = {
    np.add: "add",
    np.subtract: "subtract",
    np.multiply: "multiply",
    np.divide: "divide",
    np.maximum: "maximum",
    np.minimum: "minimum",
    np.power: "power",
    np.greater: "greater",
    np.greater_equal: "greater_equal",
    np.less: "less",
    np.less_equal: "less_equal",
}


def apply(ufunc: Any, method: str, inputs: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """Compute a ufunc as `Array.__array_ufunc__` is asked to."""
    from convolt.cuda._array import Array

    name = _UNARY.get(ufunc) or _BINARY.get(ufunc)
    outs = options.get("out", ())
    known = method == "__call__" and options.keys() <= {"out", "dtype"} and len(outs) <= 1
    if not known or (name is None and ufunc is not np.matmul):
        what = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        raise TypeError(
            f"convolt.cuda.Array: {what} must be one of "
            f"{', '.join(sorted({*_UNARY.values(), *_BINARY.values(), 'matmul'}))} without options "
            "but out, got another function or option; use x.numpy()"
        )
    out = outs[0] if outs else None
    if ufunc is np.matmul and out is None:
        return product(*inputs)
    operands = [_operand(value, ufunc.__name__) for value in inputs]
    _check_dtype_option(options.get("dtype"), inputs, ufunc.__name__)
    written = None if out is None else _operand(out, ufunc.__name__, writable=True)
    compute = module().unary if ufunc in _UNARY else module().binary
    result = compute(name, *operands, written)
    return Array(result) if out is None else out


def product(a: Any, b: Any) -> Any:
    """Compute ``a @ b`` of matrices, each of them perhaps `Transposed`."""
    from convolt.cuda._array import Array, Transposed

    arguments: list[Any] = []
    for value in (a, b):
        is_transposed = isinstance(value, Transposed)
        matrix = value.array if isinstance(value, Transposed) else value
        arguments += [_operand(matrix, "matmul"), is_transposed]
    return Array(module().matmul(*arguments))


def call(function: Callable[..., Any], arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """Compute another function of NumPy as `Array.__array_function__` is asked to."""
    implementation = _FUNCTIONS.get(function)
    if implementation is None:
        raise TypeError(
            f"convolt.cuda.Array: {function.__name__} must be one of "
            f"{', '.join(f.__name__ for f in _FUNCTIONS)}, got another function; use x.numpy()"
        )
    return implementation(*arguments, **options)


def _concatenate(arrays: Sequence[Any], axis: int = 0) -> Any:
    from convolt.cuda._array import Array

    return Array(module().join([_operand(array, "concatenate") for array in arrays], axis))


def _zeros_like(x: Any) -> Any:
    from convolt.cuda._array import zeros_like

    return zeros_like(x)


_FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.concatenate: _concatenate,
    np.zeros_like: _zeros_like,
}


def _operand(value: Any, function: str, *, writable: bool = False) -> Any:
    """Return what `_cuda` takes: a number or its own array."""
    from convolt.cuda._array import Array

    if isinstance(value, Array):
        return value.writable() if writable else value._data
    is_number = isinstance(value, (Real, np.bool_))
    if not writable and (is_number or (isinstance(value, np.ndarray) and value.ndim == 0)):
        return float(value)
    raise TypeError(
        f"convolt.cuda.Array: operands of {function} must be arrays on the device or numbers, got "
        f"{type(value).__name__}; convolt.cuda.asarray(x) puts an array on the device"
    )


def _check_dtype_option(dtype: Any, inputs: Sequence[Any], function: str) -> None:
    if dtype is None:
        return
    for value in inputs:
        if hasattr(value, "dtype") and np.dtype(dtype) != value.dtype:
            raise TypeError(
                f"convolt.cuda.Array: dtype of {function} must be {value.dtype} as the operands "
                f"are, got {np.dtype(dtype)}"
            )
