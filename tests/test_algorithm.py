"""algorithm=: the names, what each call makes of them, and the default of the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import convolt
from conv2d_cases import normal
from convolt import functional, reference
from convolt.layers import Conv2d, Sequential
from subprocesses import run_script

WINOGRAD = ["winograd", "winograd_2x2", "winograd_4x4"]
NAMES = ["auto", "gemm", *WINOGRAD]
EXPECTED = "algorithm must be 'auto', 'gemm', 'winograd', 'winograd_2x2' or 'winograd_4x4', got "
BACKENDS = pytest.mark.parametrize("backend", [functional, reference], ids=["convolt", "reference"])

# Few channels: "auto" takes the row kernels, and their dweight has other bits than that of "gemm".
X, WEIGHT = normal(1, (2, 4, 9, 11), (4, 4, 3, 3))


@pytest.fixture(autouse=True)
def no_default_is_left() -> Iterator[None]:
    yield
    convolt.set_algorithm(None)


def arrays(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def bits(result: Any) -> list[bytes]:
    return [array.tobytes() for array in arrays(result)]


def forward(x: Any, weight: Any, backend: Any = functional, **keywords: Any) -> Any:
    return backend.conv2d(x, weight, **keywords)


def backward(x: Any, weight: Any, backend: Any = functional, **keywords: Any) -> Any:
    dy = functional.conv2d(x, weight, **{**keywords, "algorithm": "gemm"})
    return backend.conv2d_backward(dy, x, weight, **keywords)


def transposed(x: Any, weight: Any, backend: Any = functional, **keywords: Any) -> Any:
    return backend.conv_transpose2d(x, weight, **keywords)


def transposed_backward(x: Any, weight: Any, backend: Any = functional, **keywords: Any) -> Any:
    dy = functional.conv_transpose2d(x, weight, **{**keywords, "algorithm": "gemm"})
    return backend.conv_transpose2d_backward(dy, x, weight, **keywords)


def prepared(x: Any, weight: Any, backend: Any = functional, **keywords: Any) -> Any:
    return backend.PreparedConv2d(weight, **keywords)(x)


def make_layer(weight: Any, backend: Any = functional, **keywords: Any) -> Conv2d:
    layer = Conv2d(*weight.shape[1::-1], weight.shape[2:], backend=backend, **keywords)
    layer.weight[...] = weight
    return layer


def layer_passes(x: Any, weight: Any, backend: Any = functional, **keywords: Any) -> Any:
    """Forward, backward, and forward with a packed weight."""
    layer = make_layer(weight, backend, **keywords)
    y = layer(x)
    dx = layer.backward(y)
    layer.prepare()
    return y, dx, layer.dweight, layer(x)


CALLS: dict[str, Callable[..., Any]] = {
    "conv2d": forward,
    "conv2d_backward": backward,
    "conv_transpose2d": transposed,
    "conv_transpose2d_backward": transposed_backward,
    "PreparedConv2d": prepared,
    "Conv2d": layer_passes,
}
EVERY_CALL = pytest.mark.parametrize("call", CALLS)
WITH_DWEIGHT = ["conv2d_backward", "conv_transpose2d_backward", "Conv2d"]


# --- a name in the call -------------------------------------------------------------------------


@EVERY_CALL
@pytest.mark.parametrize("layout", [np.asarray, np.asfortranarray])
def test_each_name_computes_in_its_own_way(call: str, layout: Any) -> None:
    """The first result is y or dx, which each algorithm rounds otherwise."""
    x = layout(X)
    results = {name: CALLS[call](x, WEIGHT, padding=1, algorithm=name) for name in NAMES}
    first = {name: bits(result)[0] for name, result in results.items()}
    assert len({first[name] for name in ("gemm", "winograd_2x2", "winograd_4x4")}) == 3
    assert first["winograd"] in (first["winograd_2x2"], first["winograd_4x4"])


@pytest.mark.parametrize("call", [backward, transposed_backward])
def test_the_small_tile_leaves_dweight_to_gemm(call: Callable[..., Any]) -> None:
    results = {name: bits(call(X, WEIGHT, algorithm=name))[1:] for name in NAMES}
    assert results["winograd_2x2"] == results["gemm"]
    assert results["winograd"] == results["winograd_4x4"]
    assert len({results[name][0] for name in ("auto", "gemm", "winograd")}) == 3


@pytest.mark.parametrize("name", NAMES)
def test_gradients_go_the_way_of_the_transpose(name: str) -> None:
    dx = functional.conv2d_backward(X, X, WEIGHT, padding=1, needs=["dx"], algorithm=name).dx
    y = functional.conv_transpose2d(X, WEIGHT, padding=1, algorithm=name)
    assert bits(dx) == bits(y)
    gradients = functional.conv_transpose2d_backward(X, X, WEIGHT, padding=1, algorithm=name)
    assert bits(gradients.dx) == bits(functional.conv2d(X, WEIGHT, padding=1, algorithm=name))


# --- what is refused ----------------------------------------------------------------------------

# Kernel, stride, dilation; none of them for any tile.
UNFIT = {
    "4x4": ((4, 4), (1, 1), (1, 1)),
    "3x5": ((3, 5), (1, 1), (1, 1)),
    "3x1": ((3, 1), (1, 1), (1, 1)),
    "1x3": ((1, 3), (1, 1), (1, 1)),
    "horizontal stride": ((3, 3), (1, 2), (1, 1)),
    "vertical stride": ((3, 3), (2, 1), (1, 1)),
    "vertical dilation": ((3, 3), (1, 1), (2, 1)),
    "horizontal dilation": ((3, 3), (1, 1), (1, 3)),
}
EVERY_UNFIT = pytest.mark.parametrize(("kernel", "stride", "dilation"), UNFIT.values(), ids=UNFIT)


@BACKENDS
@EVERY_UNFIT
@EVERY_CALL
@pytest.mark.parametrize("layout", [np.asarray, np.asfortranarray])
def test_winograd_where_it_does_not_apply(
    call: str, kernel: Any, stride: Any, dilation: Any, backend: Any, layout: Any
) -> None:
    weight = np.ones((4, 4, *kernel), np.float32)
    for name in WINOGRAD:
        keywords = {"stride": stride, "dilation": dilation, "algorithm": name}
        for x in (layout(X), layout(X[:0])):
            with pytest.raises(ValueError, match="algorithm must be") as caught:
                CALLS[call](x, weight, backend, **keywords)
            assert str(caught.value) == (
                f"{call}: algorithm must be 'auto' or 'gemm' unless the kernel is (3, 3)"
                f"{'' if name == 'winograd_4x4' else ' or (5, 5)'}, stride (1, 1) and dilation "
                f"(1, 1), got {name!r} for a kernel of {kernel}, stride {stride}, dilation "
                f"{dilation}"
            )


@BACKENDS
@EVERY_CALL
def test_the_large_tile_is_for_3x3(call: str, backend: Any) -> None:
    weight = np.ones((4, 4, 5, 5), np.float32)
    with pytest.raises(ValueError, match=r"unless the kernel is \(3, 3\), stride"):
        CALLS[call](X, weight, backend, algorithm="winograd_4x4")
    results = [bits(CALLS[call](X, weight, backend, algorithm=name)) for name in WINOGRAD[:2]]
    assert WINOGRAD[:2] == ["winograd", "winograd_2x2"]
    assert results[0] == results[1]


@EVERY_UNFIT
def test_it_is_refused_before_there_are_images(kernel: Any, stride: Any, dilation: Any) -> None:
    weight = np.ones((4, 4, *kernel), np.float32)
    for make in (functional.PreparedConv2d, reference.PreparedConv2d, make_layer):
        with pytest.raises(ValueError, match="algorithm must be"):
            make(weight, stride=stride, dilation=dilation, algorithm="winograd")


def test_nothing_is_written_before_it_is_refused() -> None:
    weight = np.ones((4, 4, 5, 5), np.float32)
    out, dy = np.full((2, 4, 5, 7), 7, np.float32), np.full((2, 4, 5, 7), 7, np.float32)
    with pytest.raises(ValueError, match="algorithm must be"):
        functional.conv2d(X, weight, algorithm="winograd_4x4", out=out)
    relu = {"activation": "relu", "y": np.zeros_like(dy), "overwrite_dy": True}
    with pytest.raises(ValueError, match="algorithm must be"):
        functional.conv2d_backward(dy, X, weight, algorithm="winograd_4x4", **relu)
    assert (out == 7).all()
    assert (dy == 7).all()


@BACKENDS
@EVERY_CALL
@pytest.mark.parametrize("name", ["fft", "", "Winograd", "winograd_3x3", "depthwise", 1])
def test_unknown_name(call: str, backend: Any, name: Any) -> None:
    with pytest.raises(ValueError, match="algorithm must be") as caught:
        CALLS[call](X, WEIGHT, backend, algorithm=name)
    assert str(caught.value) == f"{call}: {EXPECTED}{name!r}"


# --- the default --------------------------------------------------------------------------------


def test_set_and_get() -> None:
    before = convolt.get_algorithm()
    for name in NAMES:
        convolt.set_algorithm(name)
        assert convolt.get_algorithm() == convolt.build_info()["algorithm"] == name
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(convolt.get_algorithm).result() == NAMES[-1]
    convolt.set_algorithm(None)
    assert convolt.get_algorithm() == before


@pytest.mark.parametrize("name", ["fft", "", "GEMM", "depthwise", b"auto", 1, False, ["auto"]])
def test_wrong_default_changes_nothing(name: Any) -> None:
    convolt.set_algorithm("gemm")
    with pytest.raises(ValueError, match="algorithm must be") as caught:
        convolt.set_algorithm(name)
    assert str(caught.value) == f"set_algorithm: {EXPECTED}{name!r}"
    assert convolt.get_algorithm() == "gemm"


@EVERY_CALL
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", [np.asarray, np.asfortranarray])
def test_default_is_what_a_call_without_a_name_takes(call: str, name: str, layout: Any) -> None:
    expected = bits(CALLS[call](X, WEIGHT, padding=1, algorithm=name))
    for default in NAMES:
        convolt.set_algorithm(default)
        assert bits(CALLS[call](layout(X), WEIGHT, padding=1, algorithm=name)) == expected
    convolt.set_algorithm(name)
    assert bits(CALLS[call](layout(X), WEIGHT, padding=1)) == expected


@EVERY_UNFIT
@EVERY_CALL
def test_default_of_winograd_is_auto_where_it_does_not_apply(
    call: str, kernel: Any, stride: Any, dilation: Any
) -> None:
    (weight,) = normal(2, (4, 4, *kernel))
    window = {"stride": stride, "dilation": dilation}
    expected, gemm = (bits(CALLS[call](X, weight, algorithm=a, **window)) for a in NAMES[:2])
    assert (expected != gemm) == (call in WITH_DWEIGHT)
    for name in WINOGRAD:
        convolt.set_algorithm(name)
        assert bits(CALLS[call](X, weight, **window)) == expected


def test_prepared_weight_and_layer_follow_the_default_of_each_call() -> None:
    convolutions = (functional.PreparedConv2d(WEIGHT), make_layer(WEIGHT))
    named = tuple(
        make(WEIGHT, algorithm="gemm") for make in (functional.PreparedConv2d, make_layer)
    )
    gemm = bits(functional.conv2d(X, WEIGHT, algorithm="gemm"))
    for name in (*NAMES, *NAMES[::-1]):
        convolt.set_algorithm(name)
        for convolution in convolutions:
            assert bits(convolution(X)) == bits(functional.conv2d(X, WEIGHT, algorithm=name))
        for convolution in named:
            assert bits(convolution(X)) == gemm


def mixed_network(algorithms: list[str | None]) -> Sequential:
    options = [{}, {"stride": 2}, {"kernel_size": 7}, {}, {"dilation": 2}]
    return Sequential(
        *(
            Conv2d(4, 4, **{"kernel_size": 3, "padding": 2, "rng": 1, **own}, algorithm=algorithm)
            for own, algorithm in zip(options, algorithms, strict=True)
        )
    )


def test_default_of_winograd_in_a_network_of_all_kinds_of_layers() -> None:
    results = []
    for default, algorithms in (
        ("winograd", [None] * 5),
        ("gemm", ["winograd", "auto", "auto", "winograd", "auto"]),
    ):
        network = mixed_network(algorithms)
        convolt.set_algorithm(default)
        y = network(X)
        dx = network.backward(y)
        network.prepare()
        results.append(bits((y, dx, network(X), *network.gradients().values())))
    assert results[0] == results[1]


# --- the environment ----------------------------------------------------------------------------

REPORT = "import convolt; print(convolt.get_algorithm(), convolt.build_info()['algorithm'])"
FIRST_USE = """
import numpy as np, convolt
x = np.ones((1, 1, 3, 3))
prepared = convolt.PreparedConv2d(x)
for use in (lambda: convolt.conv2d(x, x), lambda: prepared(x), lambda: convolt.build_info(),
            lambda: convolt.conv_transpose2d(x, x), convolt.get_algorithm):
    try:
        use()
    except ValueError as error:
        print(error)
convolt.conv2d(x, x, algorithm="gemm")
convolt.set_algorithm("gemm")
convolt.conv2d(x, x)
"""


@pytest.mark.parametrize("name", NAMES)
def test_environment(name: str) -> None:
    assert run_script(REPORT, CONVOLT_ALGORITHM=name).split() == [name, name]


@pytest.mark.parametrize("env", [{}, {"CONVOLT_ALGORITHM": ""}])
def test_default_is_auto(env: dict[str, str]) -> None:
    assert run_script(REPORT, **env).split() == ["auto", "auto"]


def test_set_algorithm_overrules_the_environment_until_none() -> None:
    source = "import convolt; convolt.set_algorithm('auto'); print(convolt.get_algorithm());"
    source += "convolt.set_algorithm(None);" + REPORT
    output = run_script(source, CONVOLT_ALGORITHM="winograd_2x2")
    assert output.split() == ["auto", "winograd_2x2", "winograd_2x2"]


@pytest.mark.parametrize("name", ["fft", "Auto", "gemm "])
def test_wrong_environment_is_an_error_at_first_use(name: str) -> None:
    output = run_script(FIRST_USE, CONVOLT_ALGORITHM=name)
    assert output.splitlines() == [f"CONVOLT_ALGORITHM: {EXPECTED}{name!r}"] * 5
