"""The benchmark of layers on a CUDA device: it measures there, or says why it does not."""

from __future__ import annotations

import sys

import pytest

import convolt
import run
from results import read_json

DEVICE = pytest.mark.skipif(
    not convolt.cuda.is_available(), reason=f"no device: {convolt.cuda.unavailable_reason()}"
)


@DEVICE
@pytest.mark.parametrize("direction", ["forward", "backward_data", "backward_weights"])
def test_layers_on_the_device(direction, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    file = tmp_path / "result.json"
    arguments = ["--device", "cuda", "--net", "lenet", "--layer", "conv1", "--pass", direction]
    run.main([*arguments, "--rounds", "1", "--json", str(file)])
    lines = capsys.readouterr().out.splitlines()
    assert any("of copy" in line for line in lines)
    document = read_json(str(file))
    assert document["contestants"]["convolt"]["name"] == convolt.cuda.device_properties()["name"]
    (result,) = document["results"]
    assert len(result.copies) == 1
    assert result.share_of_copy > 0
    assert result.share_of_peak("convolt") > 0


@pytest.mark.skipif(convolt.cuda.is_available(), reason="there is a device")
def test_without_a_device_the_reason_is_said(capsys):
    run.main(["--device", "cuda", "--net", "lenet"])
    reason = convolt.cuda.unavailable_reason()
    assert capsys.readouterr().out == f"skipped: there is no CUDA device to measure: {reason}\n"


def test_rivals_are_those_of_the_device(monkeypatch):
    monkeypatch.setattr(convolt.cuda, "unavailable_reason", lambda: None)
    with pytest.raises(SystemExit, match="--rivals must be among torch-cuda, got numpy"):
        run.main(["--device", "cuda", "--rivals", "numpy"])
