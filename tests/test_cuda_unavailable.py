"""Without CUDA: the reasons, and that nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import convolt
from convolt.__main__ import main
from convolt.cuda import _load
from convolt.layers import ReLU
from subprocesses import run_script


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """Put something in the place of the compiled module, an exception for what its import does."""

    def replace(module: Any) -> None:
        def load() -> Any:
            if isinstance(module, Exception):
                raise module
            return module

        monkeypatch.setattr(_load, "_compiled", load)

    convolt.get_device()  # by now it is known what the environment names
    monkeypatch.setattr(_load, "_available", False)
    monkeypatch.setattr(_load, "_stand_in_wanted", False)
    _load._load_failure.cache_clear()
    yield replace
    monkeypatch.undo()
    _load._load_failure.cache_clear()


def failing(text: str) -> Callable[[], int]:
    def device_count() -> int:
        raise RuntimeError(text)

    return device_count


def module(
    count: Callable[[], int], *, stand_in: bool = False, problems: tuple[str, ...] = ("",) * 3
) -> SimpleNamespace:
    return SimpleNamespace(
        device_count=count,
        is_host_stand_in=lambda: stand_in,
        device_problem=lambda number: problems[number],
    )


NOT_BUILT = ModuleNotFoundError("No module named 'convolt._cuda'", name="convolt._cuda")
NO_LIBRARY = ImportError("libcublas.so.13: cannot open shared object file")

REASONS = {
    "not built": (NOT_BUILT, "convolt was built without CUDA: -C cmake.define.CONVOLT_CUDA=ON"),
    "no library": (
        NO_LIBRARY,
        "convolt._cuda could not be loaded: libcublas.so.13: cannot open shared object file; "
        "pip install nvidia-cublas",
    ),
    "damaged": (ImportError("bad ELF"), "convolt._cuda could not be loaded: bad ELF"),
    "no driver": (module(failing("no driver")), "no driver"),
    "no device": (module(lambda: 0), "there is no CUDA device"),
    "old device": (module(lambda: 1, problems=("cuda:0 is too old",)), "cuda:0 is too old"),
    "stand-in": (
        module(lambda: 2, stand_in=True),
        "convolt was built for the stand-in of a CUDA device on the host, which is for tests: "
        "CONVOLT_DEVICE=cuda-host selects it",
    ),
}


@pytest.fixture(params=REASONS)
def reason(request: pytest.FixtureRequest, compiled: Callable[[Any], None]) -> str:
    replacement, text = REASONS[request.param]
    compiled(replacement)
    return text


def test_the_reason(reason: str) -> None:
    assert convolt.cuda.unavailable_reason().startswith(reason)
    assert not convolt.cuda.is_available()
    assert convolt.cuda.device_count() == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: convolt.cuda.asarray(np.zeros(3)),
        lambda: convolt.cuda.empty(3),
        lambda: convolt.cuda.device_properties(),
        lambda: convolt.cuda.memory_info(),
        lambda: convolt.cuda.synchronize(),
        lambda: convolt.cuda.allow_tf32(True),
        lambda: convolt.set_device("cuda"),
        lambda: ReLU().to("cuda"),
    ],
)
def test_it_comes_with_every_error(reason: str, call: Callable[[], Any]) -> None:
    before = convolt.get_device()
    with pytest.raises(RuntimeError) as caught:
        call()
    assert reason in str(caught.value)
    assert convolt.get_device() == before


def test_a_command_says_it(reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--device", "cuda"])
    message = f"argument --device: device 'cuda' must be available: {reason}"
    assert message in capsys.readouterr().err


def test_a_module_that_lacks_another_is_not_taken_for_missing(
    compiled: Callable[[Any], None],
) -> None:
    compiled(ModuleNotFoundError("No module named 'other'", name="other"))
    with pytest.raises(ModuleNotFoundError, match="other"):
        convolt.cuda.is_available()


def test_a_device_that_is_there(compiled: Callable[[Any], None]) -> None:
    compiled(module(lambda: 3))
    assert convolt.cuda.is_available()
    assert convolt.cuda.device_count() == 3
    assert _load.resolve("cuda", "f") == "cuda:0"
    assert _load.resolve("cuda:2", "f") == "cuda:2"
    with pytest.raises(RuntimeError, match=r"^f: device must be one of 3, got 'cuda:3'$"):
        _load.resolve("cuda:3", "f")


def test_one_device_of_two_can_be_used(compiled: Callable[[Any], None]) -> None:
    compiled(module(lambda: 2, problems=("cuda:0 is too old", "")))
    assert convolt.cuda.is_available()
    assert _load.resolve("cuda:1", "f") == "cuda:1"
    with pytest.raises(RuntimeError, match=r"^f: device 'cuda' must be available: cuda:0 is too"):
        _load.resolve("cuda", "f")


def test_the_stand_in_is_no_device_and_a_device_no_stand_in(
    compiled: Callable[[Any], None],
) -> None:
    compiled(module(lambda: 3))
    with pytest.raises(RuntimeError, match="'cuda-host' must be available: convolt was built for"):
        _load.resolve("cuda-host", "f")
    compiled(module(lambda: 2, stand_in=True))
    assert _load.resolve("cuda-host", "f") == "cuda:0"
    assert convolt.cuda.is_available()


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "CUDA", ""])
def test_names_of_no_device(device: str) -> None:
    for call, function in ((convolt.set_device, "set_device"), (ReLU().to, "to")):
        with pytest.raises(ValueError, match=f"^{function}: device must be 'cpu', 'cuda' or"):
            call(device)


def test_what_is_no_name() -> None:
    with pytest.raises(TypeError, match=r"^set_device: device must be a str, got 3$"):
        convolt.set_device(3)


def test_an_array_on_a_device_that_cannot_be_used(reason: str) -> None:
    described = {"shape": (1, 1, 1, 1), "typestr": "<f4", "data": (1, False)}
    with pytest.raises(RuntimeError) as caught:
        convolt.global_avg_pool2d(SimpleNamespace(__cuda_array_interface__=described))
    assert reason in str(caught.value)


def test_import_costs_nothing() -> None:
    run_script(
        "import sys, convolt, numpy as np\n"
        "assert convolt.get_device() == 'cpu'\n"
        "convolt.set_device('cpu')\n"
        "convolt.max_pool2d(np.ones((1, 1, 2, 2))[..., ::-1], 2)\n"
        "import convolt.training\n"
        "assert not [name for name in sys.modules if name.startswith('convolt.cuda')]\n"
        "assert 'convolt._cuda' not in sys.modules\n"
        "assert convolt.cuda is sys.modules['convolt.cuda']\n"
    )


NAMED = """
import convolt, numpy as np, sys
assert "convolt.cuda" not in sys.modules
for use in (convolt.get_device, lambda: convolt.max_pool2d(np.ones((1, 1, 2, 2)), 2)):
    try:
        use()
    except {error} as error:
        assert "set_device: device" in str(error), error
    else:
        raise AssertionError("no error")
convolt.set_device("cpu")
assert convolt.max_pool2d(np.ones((1, 1, 2, 2)), 2)[0, 0, 0, 0] == 1
"""


@pytest.mark.parametrize(("device", "error"), [("gpu", "ValueError"), ("cuda:99", "RuntimeError")])
def test_the_environment_is_read_at_the_first_use(device: str, error: str) -> None:
    run_script(NAMED.format(error=error), CONVOLT_DEVICE=device)


def test_the_environment_may_name_the_cpu() -> None:
    source = "import convolt; assert convolt.get_device() == 'cpu'"
    run_script(source, CONVOLT_DEVICE="cpu")
    run_script(source, CONVOLT_DEVICE="")
