"""NumPy arrays computed on a device: convolt.set_device.

That the results are right is tested by the whole suite, with CONVOLT_DEVICE set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import convolt
from convolt import _core
from convolt.layers import ReLU
from convolt.optim import SGD
from cuda_device import needs_device
from memory_layouts import LAYOUTS
from strategies import exact_integers
from subprocesses import run_script

pytestmark = needs_device

NAME = os.environ.get("CONVOLT_DEVICE") or "cuda"
RNG = np.random.default_rng(2)
X, WEIGHT = (exact_integers(RNG, shape, np.float32) for shape in [(2, 3, 6, 5), (4, 3, 3, 3)])


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    convolt.set_device(NAME)
    yield
    convolt.set_device(None)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is computed on the device."""
    cuda, made = convolt.cuda._load.module(), []

    def watch(name: str) -> None:
        function = getattr(cuda, name)

        def call(*arguments: Any) -> Any:
            made.append(name)
            return function(*arguments)

        monkeypatch.setattr(cuda, name, call)

    for name in ("conv2d_forward", "pool2d_max_forward", "batch_norm2d", "local_response_norm"):
        watch(name)
    return made


def test_where_arrays_are_computed(calls: list[str]) -> None:
    assert convolt.get_device() == "cuda:0"
    convolt.conv2d(X, WEIGHT)
    convolt.max_pool2d(X, 2)
    convolt.batch_norm2d(X)
    convolt.local_response_norm(X, 3)
    assert calls == ["conv2d_forward", "pool2d_max_forward", "batch_norm2d", "local_response_norm"]
    convolt.set_device("cpu")
    assert convolt.get_device() == "cpu"
    assert _core.conv2d_at_once(X, WEIGHT, None, 1, 0, 1, 1, None, None, None) is not None
    convolt.conv2d(X, WEIGHT)
    convolt.max_pool2d(X[::-1], 2)
    assert len(calls) == 4
    convolt.set_device(NAME)
    assert _core.conv2d_at_once(X, WEIGHT, None, 1, 0, 1, 1, None, None, None) is None


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_array_in_and_an_ndarray_out(layout: str) -> None:
    expected = convolt.reference.conv2d(X, WEIGHT)
    x = LAYOUTS[layout](X)
    y = convolt.conv2d(x, WEIGHT)
    assert type(y) is np.ndarray
    assert y.flags.owndata or y.base is not None
    np.testing.assert_array_equal(y, expected)
    y[...] = 0  # it is the caller's own


def test_out() -> None:
    out = np.full((2, 4, 4, 3), 99, np.float32)
    assert convolt.conv2d(X, WEIGHT, out=out) is out
    np.testing.assert_array_equal(out, convolt.reference.conv2d(X, WEIGHT))
    out = np.full((2, 3, 3, 2), 99, np.float32)
    y, indices = convolt.max_pool2d(X, 2, return_indices=True, out=out)
    assert y is out
    expected = convolt.reference.max_pool2d(X, 2, return_indices=True)
    np.testing.assert_array_equal(y, expected[0])
    np.testing.assert_array_equal(indices, expected[1])


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


OUTPUTS = {
    "dtype": np.empty((2, 4, 4, 3)),
    "byte order": np.empty((2, 4, 4, 3), ">f4"),
    "shape": np.empty((2, 4, 4, 4), np.float32),
    "read-only": read_only(np.empty((2, 4, 4, 3), np.float32)),
    "strides": np.empty((2, 4, 3, 4), np.float32).transpose(0, 1, 3, 2),
    "alignment": np.empty(4 * 96 + 1, np.uint8)[1:].view(np.float32).reshape(2, 4, 4, 3),
    "kind": [[1.0]],
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_out_is_refused_in_the_same_words(name: str) -> None:
    messages = []
    for device in (NAME, "cpu"):
        convolt.set_device(device)
        for call in (
            lambda: convolt.conv2d(X, WEIGHT, out=OUTPUTS[name]),
            lambda: convolt.PreparedConv2d(WEIGHT)(X, out=OUTPUTS[name]),
        ):
            with pytest.raises((TypeError, ValueError)) as caught:
                call()
            messages.append(f"{caught.type.__name__}: {caught.value}")
    assert messages[:2] == messages[2:]


def test_a_prepared_convolution_stays_where_it_was_made() -> None:
    expected = convolt.reference.conv2d(X, WEIGHT)
    there = convolt.PreparedConv2d(WEIGHT)
    convolt.set_device("cpu")
    here = convolt.PreparedConv2d(WEIGHT)
    for device in ("cpu", NAME):
        convolt.set_device(device)
        np.testing.assert_array_equal(here(X), expected)
        np.testing.assert_array_equal(there(X), expected)


def test_updates_in_place_stay_on_the_cpu() -> None:
    params = {"weight": np.ones(4, np.float32)}
    weight = params["weight"]
    SGD(0.5).update(params, {"weight": np.ones(4, np.float32)})
    assert params["weight"] is weight
    np.testing.assert_array_equal(weight, np.full(4, 0.5, np.float32))
    layer = ReLU()
    layer(np.array([-1.0, 2.0]))
    np.testing.assert_array_equal(layer.backward(np.array([3.0, 4.0])), [0, 4])


def test_a_name_that_fails_changes_nothing() -> None:
    for name in ("gpu", "cuda:99"):
        with pytest.raises((ValueError, RuntimeError)):
            convolt.set_device(name)
        assert convolt.get_device() == "cuda:0"
        np.testing.assert_array_equal(convolt.max_pool2d(X, 2), convolt.reference.max_pool2d(X, 2))


def test_the_environment() -> None:
    run_script(
        "import convolt, numpy as np, sys\n"
        "assert 'convolt.cuda' not in sys.modules\n"
        "y = convolt.avg_pool2d(np.ones((1, 1, 2, 2)), 2)\n"
        "assert y[0, 0, 0, 0] == 1 and 'convolt._cuda' in sys.modules\n"
        "assert convolt.get_device() == 'cuda:0' and convolt.cuda.is_available()\n",
        CONVOLT_DEVICE=NAME,
    )
