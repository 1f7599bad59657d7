"""Arrays on a device in the public functions: of which kind, in whose memory, what is refused.

What the operators compute is tested by the whole suite, with CONVOLT_DEVICE set.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import convolt
import foreign_arrays
from convolt.cuda import Array, asarray
from cuda_device import needs_device, needs_stand_in
from foreign_arrays import BareArray, CapsuleArray, InterfaceArray, on_host
from operator_calls import (
    BIAS,
    DY,
    FOLDED,
    KINDS,
    OPERATORS,
    POOLED,
    TRANSPOSED,
    VALUES,
    WEIGHT,
    X,
    Y,
    arrays_of,
    put_as,
)

pytestmark = [needs_device, pytest.mark.usefixtures("numpy_on_the_cpu")]

# Those whose results are rounded.
ROUNDED = {"batch_norm2d", "batch_norm2d_backward", "local_response_norm"}
ROUNDED |= {"local_response_norm_backward"}

with_out = pytest.mark.parametrize(
    "call",
    [
        lambda put, out: convolt.conv2d(put(X), put(WEIGHT), out=out(DY.shape)),
        lambda put, out: convolt.conv_transpose2d(put(X), put(TRANSPOSED), out=out((2, 4, 8, 7))),
        lambda put, out: convolt.PreparedConv2d(put(WEIGHT))(put(X), out=out(DY.shape)),
        lambda put, out: convolt.max_pool2d(put(X), 2, out=out(POOLED.shape)),
        lambda put, out: convolt.max_pool2d(put(X), 2, return_indices=True, out=out(POOLED.shape)),
        lambda put, out: convolt.avg_pool2d(put(X), 2, out=out(POOLED.shape)),
        lambda put, out: convolt.global_avg_pool2d(put(X), out=out((2, 3, 1, 1))),
        lambda put, out: convolt.global_max_pool2d(put(X), out=out((2, 3, 1, 1))),
        lambda put, out: convolt.im2col(put(X), 2, out=out((40, 12))),
        lambda put, out: convolt.fold(put(FOLDED), 3, 2, out=out((2, 1, 3, 3))),
    ],
)


@pytest.fixture(autouse=True)
def libraries(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    return foreign_arrays.install(monkeypatch)


# --- kinds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OPERATORS)
def test_the_kind_that_comes_in_comes_out(name: str, kind: str) -> None:
    expected = arrays_of(OPERATORS[name](lambda x: x))
    results = arrays_of(OPERATORS[name](put_as(kind)))
    assert len(results) == len(expected)
    for result, array in zip(results, expected, strict=True):
        assert type(result) is type(put_as(kind)(X))
        got = on_host(result)
        assert got.dtype == array.dtype
        if name in ROUNDED:
            np.testing.assert_allclose(got, array, rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(got, array)


@pytest.mark.parametrize("kind", KINDS)
@with_out
def test_the_result_goes_where_it_is_to_go(call: Callable[..., Any], kind: str) -> None:
    expected, *others = arrays_of(call(lambda x: x, lambda shape: np.empty(shape, np.float32)))
    made: list[Any] = []

    def out(shape: tuple[int, ...]) -> Any:
        made.append(put_as(kind)(np.full(shape, 99, np.float32)))
        return made[0]

    result, *rest = arrays_of(call(put_as(kind), out))
    assert result is made[0]
    np.testing.assert_array_equal(on_host(result), expected)
    for array, other in zip(rest, others, strict=True):
        np.testing.assert_array_equal(on_host(array), other)


def test_a_library_that_takes_nothing() -> None:
    y = convolt.max_pool2d(BareArray(asarray(X)), 2)
    assert type(y) is Array
    np.testing.assert_array_equal(y.numpy(), convolt.max_pool2d(X, 2))


def test_a_class_that_is_derived_from_another_library_s() -> None:
    class Mine(InterfaceArray):
        pass

    assert type(convolt.max_pool2d(Mine(asarray(X)), 2)) is InterfaceArray


def test_two_kinds_in_one_call_give_that_of_x() -> None:
    y = convolt.conv2d(InterfaceArray(asarray(X)), CapsuleArray(asarray(WEIGHT)), asarray(BIAS))
    assert type(y) is InterfaceArray
    np.testing.assert_array_equal(on_host(y), convolt.conv2d(X, WEIGHT, BIAS))


# --- whose memory ---------------------------------------------------------------------------------


def pointer(array: Array) -> int:
    return array.__cuda_array_interface__["data"][0]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_copied(kind: str) -> None:
    memory = asarray(X)
    own = asarray(KINDS[kind](memory))
    assert type(own) is Array
    assert type(convolt.max_pool2d(own, 2)) is Array
    assert pointer(own) == pointer(memory)
    own[...] = 3
    assert (memory.numpy() == 3).all()


@pytest.mark.parametrize("kind", ["interface", "capsule"])
def test_memory_lives_as_long_as_it_is_used(kind: str) -> None:
    memory = asarray(X)
    foreign, alive = KINDS[kind](memory), weakref.ref(memory)
    own = asarray(foreign)
    part = own[1:2].reshape(-1)
    owner = weakref.ref(foreign)
    del memory, foreign, own
    gc.collect()
    assert kind == "capsule" or owner() is not None
    np.testing.assert_array_equal(part.numpy(), X[1].ravel())
    del part
    gc.collect()
    assert owner() is None
    assert alive() is None


def test_other_strides_are_copied() -> None:
    rows, columns = X.strides[2:]
    memory = asarray(X.reshape(6, 6, 5))
    foreign = InterfaceArray(memory, (X.strides[1], columns, rows))
    foreign.shape = (6, 5, 6)
    own = asarray(foreign)
    assert pointer(own) != pointer(memory)
    np.testing.assert_array_equal(own.numpy(), X.reshape(6, 6, 5).transpose(0, 2, 1))


@with_out
def test_out_of_other_strides_is_refused(call: Callable[..., Any]) -> None:
    """A copy would be written, and dropped."""
    made: list[Array] = []

    def out(shape: tuple[int, ...]) -> Any:
        wide = np.zeros((*shape[:-1], 2 * shape[-1]), np.float32)
        made.append(asarray(wide))
        foreign = InterfaceArray(made[0], wide[..., ::2].strides)
        foreign.shape = shape
        return foreign

    message = r"^\w+: out must be C-contiguous, got an array that is not$"
    with pytest.raises(ValueError, match=message):
        call(asarray, out)
    assert not made[0].numpy().any()


def test_what_is_read_only_stays_so() -> None:
    foreign = InterfaceArray(asarray(np.zeros(POOLED.shape, np.float32)))
    foreign.read_only = True
    assert not asarray(foreign).flags.writeable
    with pytest.raises(ValueError, match="out must be writeable"):
        convolt.max_pool2d(asarray(X), 2, out=foreign)


def test_no_elements() -> None:
    for kind in KINDS:
        empty = KINDS[kind](asarray(np.zeros((0, 3, 6, 5), np.float32)))
        assert on_host(convolt.max_pool2d(empty, 2)).shape == (0, 3, 3, 2)


@needs_stand_in
def test_no_elements_on_another_device() -> None:
    shape = (0, *X.shape[1:])
    empty = asarray(np.zeros(shape, np.float32), device="cuda:1")
    weight = asarray(WEIGHT, device="cuda:1")
    y = convolt.conv2d(Located(empty), weight)
    assert y.shape == (0, *DY.shape[1:])
    assert asarray(Located(empty)).device == "cuda:1"


class Located(InterfaceArray):
    """An array that says where it is, as those of CuPy and PyTorch do."""

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.memory.__dlpack_device__()


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"typestr": ">f4"}, "must be in native byte order, got >f4"),
        ({"typestr": "<f2"}, "must be float32, float64, int64 or uint8, got float16"),
        ({"mask": object()}, "must be a plain array, got one with a mask"),
    ],
)
def test_what_the_interface_may_say_besides(entry: dict[str, Any], message: str) -> None:
    interface = {**asarray(X).__cuda_array_interface__, **entry}
    foreign = SimpleNamespace(__cuda_array_interface__=interface)
    with pytest.raises(TypeError, match=f"^max_pool2d: x {message}$"):
        convolt.max_pool2d(foreign, 2)
    with pytest.raises(TypeError, match=f"^avg_pool2d: out {message}$"):
        convolt.avg_pool2d(asarray(X), 2, out=foreign)
    with pytest.raises(TypeError, match=f"^convolt.cuda: an array {message}$"):
        asarray(foreign)


MIXTURES: dict[str, tuple[Callable[..., Any], list[str]]] = {
    "conv2d": (
        lambda x, weight, bias: convolt.conv2d(x(X), weight(WEIGHT), bias(BIAS)),
        ["x", "weight", "bias"],
    ),
    "conv2d_backward": (
        lambda x, dy, weight, y: convolt.conv2d_backward(
            dy(DY), x(X), weight(WEIGHT), activation="relu", y=y(Y)
        ),
        ["x", "dy", "weight", "y"],
    ),
    "max_pool2d_backward": (
        lambda dy, indices: convolt.max_pool2d_backward(
            dy(POOLED), indices(np.zeros(POOLED.shape, np.int64)), X.shape, 2
        ),
        ["dy", "indices"],
    ),
    "max_pool2d": (
        lambda x, out: convolt.max_pool2d(x(X), 2, out=out(np.zeros_like(POOLED))),
        ["x", "out"],
    ),
    "batch_norm2d": (
        lambda x, weight: convolt.batch_norm2d(x(X), weight(VALUES)),
        ["x", "weight"],
    ),
    "PreparedConv2d": (
        lambda weight, x: convolt.PreparedConv2d(weight(WEIGHT))(x(X)),
        ["weight", "x"],
    ),
}
MIXED = [(name, i) for name, (_, arguments) in MIXTURES.items() for i in range(1, len(arguments))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "which"), MIXED)
def test_a_mixture_of_host_and_device(name: str, which: int, kind: str) -> None:
    call, arguments = MIXTURES[name]
    here, there = (lambda x: x), put_as(kind)
    for one, others in ((here, there), (there, here)):
        places = [others] * len(arguments)
        places[which] = one
        with pytest.raises(TypeError) as caught:
            call(*places)
        where = "on the CUDA device" if one is here else "a NumPy array"
        assert str(caught.value).startswith(f"{name}: {arguments[which]} must be {where} as the")
        assert "convolt.cuda.asarray" in str(caught.value)


def test_dtypes() -> None:
    x = asarray(X)
    with pytest.raises(TypeError, match=r"^conv2d: weight must be float32 as the other operand is"):
        convolt.conv2d(x, asarray(WEIGHT.astype(np.float64)))
    with pytest.raises(TypeError, match=r"^max_pool2d: x must be float32 or float64, got int64$"):
        convolt.max_pool2d(asarray(X.astype(np.int64)), 2)
    with pytest.raises(TypeError, match=r"indices must be int64 on a CUDA device, got uint8$"):
        convolt.max_pool2d_backward(
            asarray(POOLED), asarray(np.zeros(POOLED.shape, np.uint8)), X.shape, 2
        )
    with pytest.raises(TypeError, match="indices must be integers, got float32"):
        convolt.max_pool2d_backward(asarray(POOLED), asarray(POOLED), X.shape, 2)


def test_shapes_are_refused_in_the_same_words() -> None:
    for name, x, weight in (("x", X[0], WEIGHT), ("weight", X, WEIGHT[0]), ("both", X, DY)):
        messages = []
        for put in (lambda array: array, asarray):
            with pytest.raises(ValueError, match=r"^conv2d: ") as caught:
                convolt.conv2d(put(x), put(weight))
            messages.append(str(caught.value))
        assert messages[0] == messages[1], name


def test_out_that_shares_memory_with_an_input() -> None:
    x = asarray(X)
    with pytest.raises(ValueError, match=r"^global_avg_pool2d: out must not share memory with x$"):
        convolt.global_avg_pool2d(x, out=InterfaceArray(x.reshape(-1)[0:6].reshape(2, 3, 1, 1)))


@pytest.mark.parametrize("algorithm", ["winograd", "winograd_2x2", "winograd_4x4"])
def test_winograd_is_for_the_cpu(algorithm: str) -> None:
    x, weight, dy = asarray(X), asarray(WEIGHT), asarray(DY)
    for function, call in {
        "conv2d": lambda: convolt.conv2d(x, weight, algorithm=algorithm),
        "conv2d_backward": lambda: convolt.conv2d_backward(dy, x, weight, algorithm=algorithm),
        "PreparedConv2d": lambda: convolt.PreparedConv2d(weight, algorithm=algorithm)(x),
    }.items():
        with pytest.raises(ValueError, match=f"^{function}: algorithm must be 'auto' or 'gemm' on"):
            call()
    convolt.set_algorithm(algorithm)
    try:
        y = convolt.conv2d(x, weight)
    finally:
        convolt.set_algorithm(None)
    np.testing.assert_array_equal(y.numpy(), convolt.conv2d(X, WEIGHT, algorithm="gemm"))
