"""Models in files: what is kept, what is refused, and that a good file is never lost."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from convolt.layers import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    Sequential,
    load,
    load_arrays,
    save,
    save_arrays,
)

pytest.importorskip("safetensors", reason="the extra safetensors is not installed")

SUFFIXES = pytest.mark.parametrize("suffix", [".npz", ".safetensors"])


def network(seed: int = 0, dtype: type = np.float32) -> Sequential:
    layer = {"dtype": dtype, "rng": seed}
    return Sequential(
        *(Conv2d(1, 4, 3, **layer), BatchNorm2d(4, dtype=dtype), Dropout(), Flatten()),
        Linear(16, 3, bias=False, **layer),
    )


@SUFFIXES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_model_comes_back_to_the_bit(tmp_path, suffix, dtype):
    model, other, path = network(0, dtype), network(1, dtype), tmp_path / f"model{suffix}"
    model(np.random.default_rng(0).standard_normal((2, 1, 4, 4)).astype(dtype))
    save(model, path)
    assert load(other, str(path)) == {}
    state = other.state_dict()
    assert "1.running_var" in state
    for name, array in model.state_dict().items():
        assert state[name].tobytes() == array.tobytes()
    assert os.listdir(tmp_path) == [path.name]


@SUFFIXES
def test_metadata_come_back(tmp_path, suffix):
    path, metadata = tmp_path / f"model{suffix.upper()}", {"model": "LeNet5", "text": 'ü "{}"\n'}
    save(network(), path, metadata)
    assert load(network(), path) == metadata
    assert load_arrays(path)[1] == metadata


@SUFFIXES
def test_arrays_come_back(tmp_path, suffix):
    arrays = {
        "file": np.arange(6, dtype=np.int64).reshape(2, 3)[:, ::-1],
        "a.b/c": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "empty": np.zeros((0, 4), np.float32),
        "scalar": np.array(True),
    }
    path = tmp_path / f"arrays{suffix}"
    save_arrays(arrays, path, {"step": "3"})
    back, metadata = load_arrays(path)
    assert metadata == {"step": "3"}
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


def test_numpy_and_safetensors_read_the_files(tmp_path):
    from safetensors.numpy import load_file

    model = network()
    save(model, tmp_path / "model.npz")
    save(model, tmp_path / "model.safetensors")
    plain, tensors = np.load(tmp_path / "model.npz"), load_file(tmp_path / "model.safetensors")
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(plain[name], array)
        np.testing.assert_array_equal(tensors[name], array)


def test_arrays_of_others_come_in(tmp_path):
    state = network().state_dict()
    np.savez_compressed(tmp_path / "model.npz", **state)
    assert load(network(1), tmp_path / "model.npz") == {}


@SUFFIXES
def test_a_file_that_does_not_fit_changes_nothing(tmp_path, suffix):
    path, model = tmp_path / f"model{suffix}", network(1)
    before = model.state_dict()
    for other, error, message in (
        (Sequential(network()), ValueError, "got one without 0.bias, .* and with 0.0.bias, "),
        (network(0, np.float64), TypeError, "0.weight must be float32, got float64"),
        (
            Sequential(Conv2d(1, 4, 5), BatchNorm2d(4), *network().layers[2:]),
            ValueError,
            r"0.weight must have shape \(4, 1, 3, 3\), got \(4, 1, 5, 5\)",
        ),
    ):
        save(other, path)
        with pytest.raises(error, match=rf"^load: .*\{suffix} must fit the model: .*{message}"):
            load(model, path)
    for name, array in model.state_dict().items():
        assert array.tobytes() == before[name].tobytes()


@SUFFIXES
def test_damaged_files_are_refused(tmp_path, suffix):
    path, model = tmp_path / f"model{suffix}", network(1)
    save(network(), path)
    good, before = path.read_bytes(), model.state_dict()
    damaged = [good[:n] for n in (0, 1, 7, 50, len(good) // 2, len(good) - 1)]
    for content in [*damaged, b"PK\3\4" + bytes(100), b"\x80\4K\1.", bytes(200)]:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"^load: .*model\{suffix} must be a whole file of"):
            load(model, path)
    for name, array in model.state_dict().items():
        assert array.tobytes() == before[name].tobytes()


def test_changed_bytes_are_a_value_error_or_other_numbers(tmp_path):
    path = tmp_path / "model.npz"
    save(Linear(2, 2, rng=0), path)
    good, rng = path.read_bytes(), np.random.default_rng(0)
    for position in rng.choice(len(good), 200):
        content = bytearray(good)
        content[position] ^= int(rng.integers(1, 256))
        path.write_bytes(content)
        try:
            arrays, _ = load_arrays(path)
        except ValueError:
            continue
        assert set(map(type, arrays.values())) == {np.ndarray}


def test_no_code_of_a_file_is_run(tmp_path):
    class Harmful:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    path = tmp_path / "model.npz"
    np.savez(path, weight=np.array([Harmful()], object))
    with pytest.raises(ValueError, match="must be a whole file of arrays"):
        load_arrays(path)
    np.array([Harmful()], object).dump(path)
    with pytest.raises(ValueError, match="must be a whole file of arrays"):
        load_arrays(path)
    with open(path, "wb") as file:
        np.save(file, np.arange(3))
    with pytest.raises(ValueError, match="must be a whole file of arrays"):
        load_arrays(path)
    assert not (tmp_path / "harm").exists()


@SUFFIXES
@pytest.mark.parametrize("broken", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_good_file_outlives_a_failed_save(tmp_path, monkeypatch, suffix, broken, error):
    path = tmp_path / f"model{suffix}"
    save(network(0), path)
    good = path.read_bytes()

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(type(error)):
        save(network(1), path)
    assert path.read_bytes() == good
    assert os.listdir(tmp_path) == [path.name]


@SUFFIXES
def test_the_file_is_whole_before_it_takes_its_name(tmp_path, monkeypatch, suffix):
    path, seen = tmp_path / f"model{suffix}", []
    replace = os.replace

    def look(source: Path, target: Path) -> None:
        seen.append((Path(source).stat().st_size, Path(source).parent, path.exists()))
        replace(source, target)

    monkeypatch.setattr(os, "replace", look)
    save(network(), path)
    assert seen == [(path.stat().st_size, tmp_path, False)]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_link_remains_one(tmp_path):
    path, link = tmp_path / "model.npz", tmp_path / "link.npz"
    save(network(0), path)
    link.symlink_to(path)
    save(network(1), link)
    assert link.is_symlink()
    assert load_arrays(path)[0]["0.weight"].tobytes() == network(1).layers[0].weight.tobytes()


@pytest.mark.parametrize("name", ["model", "model.pt", "model.npz.txt", "npz"])
def test_other_suffixes_are_refused(tmp_path, name):
    expected = "path must end in .npz or .safetensors, got "
    with pytest.raises(ValueError, match=f"^save: {expected}.*{name}"):
        save(network(), tmp_path / name)
    with pytest.raises(ValueError, match=f"^load: {expected}.*{name}"):
        load(network(), tmp_path / name)
    assert not os.listdir(tmp_path)


@SUFFIXES
def test_missing_files_and_folders_are_named(tmp_path, suffix):
    path = tmp_path / "nowhere" / f"model{suffix}"
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load(network(), path)
    with pytest.raises(FileNotFoundError) as caught:
        save(network(), path)
    assert str(caught.value).endswith(f"{str(path)!r}")
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(OSError, match=f"folder{suffix}'$"):
        save(network(), tmp_path / f"folder{suffix}")
    assert os.listdir(tmp_path) == [f"folder{suffix}"]


@SUFFIXES
def test_what_is_no_number_is_refused(tmp_path, suffix):
    path = tmp_path / f"arrays{suffix}"
    for array in (np.array(["text"]), np.array([None])):
        with pytest.raises(TypeError, match=r"^save_arrays: a must hold numbers, got "):
            save_arrays({"a": array}, path)
    assert not path.exists()


def test_without_safetensors_the_error_says_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save(network(), path)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for call in (save, load):
        with pytest.raises(ImportError, match=r'pip install "convolt\[safetensors\]"'):
            call(network(), path)
    save(network(), tmp_path / "model.npz")
    load(network(), tmp_path / "model.npz")
