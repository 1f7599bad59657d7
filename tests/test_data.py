"""The bundled digits, and IDX files: what they hold and how a bad one is refused."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import numpy as np
import pytest

from convolt.data import Dataset, load_digits, load_mnist, read_idx
from idx_files import CODES, idx_bytes, write_mnist
from refusals import NO_FLAGS


def test_digits_are_the_published_ones():
    digits = load_digits()
    images = np.concatenate([digits.train_images, digits.test_images])
    labels = np.concatenate([digits.train_labels, digits.test_labels])
    assert len(images) == len(labels) == 1797
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(labels).tolist() == counts
    levels = images * 16
    assert set(np.unique(levels)) == set(range(17))
    assert levels.sum() == 561718
    ink = [int(levels[labels == digit].sum()) for digit in range(10)]
    assert ink == [56415, 57007, 55566, 56151, 56239, 55915, 56336, 54289, 57408, 56392]


def test_digits_are_split_without_overlap():
    digits = load_digits()
    assert digits.train_images.shape == (1437, 1, 8, 8)
    assert digits.test_images.shape == (360, 1, 8, 8)
    assert digits.train_images.sum() * 16 == 449461
    images = np.concatenate([digits.train_images, digits.test_images]).reshape(1797, 64)
    assert len(np.unique(images, axis=0)) == 1797
    for labels in (digits.train_labels, digits.test_labels):
        assert np.bincount(labels).min() >= 0.07 * len(labels)


def test_digits_are_ready_to_train_on():
    digits = load_digits()
    for images in (digits.train_images, digits.test_images):
        assert images.dtype == np.float32
        assert images.min() == 0
        assert images.max() == 1
    assert digits.train_labels.dtype == digits.test_labels.dtype == np.int64
    digits.train_images[:] = 0
    assert load_digits().train_images.any()


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("shape", [(7,), (3, 4, 5), (0, 28, 28), ()])
def test_idx_round_trip(tmp_path, dtype, shape, compress):
    rng = np.random.default_rng(0)
    array = np.asarray(rng.integers(0, 100, shape), dtype)
    path = tmp_path / "array"
    path.write_bytes(compress(idx_bytes(array)))
    result = read_idx(path)
    assert result.dtype == array.dtype
    assert result.dtype.isnative
    assert result.flags.writeable
    np.testing.assert_array_equal(result, array)


GOOD = idx_bytes(np.arange(6, dtype=np.int16).reshape(2, 3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must begin with the bytes 00 00, .* got an empty file"),
        (b"\0\0\x08", "must begin with .* got 00 00 08"),
        (b"\x89PNG\r\n", "must begin with .* got 89 50 4e 47"),
        (
            b"\0\0\x0a\x01\0\0\0\0",
            r"must begin with .* a type \(08, 09, 0b, 0c, 0d, 0e\) .* got 00 00 0a 01",
        ),
        (GOOD[:7], "must have a header of 12 bytes for 2 dimensions, got 7 bytes"),
        (GOOD[:-1], r"must have 24 bytes for int16 of shape \(2, 3\), got 23"),
        (GOOD + b"\0", r"must have 24 bytes for int16 of shape \(2, 3\), got 25"),
        (b"\0\0\x08\x02" + b"\xff" * 8, r"must have 18446744065119617037 bytes for uint8"),
        (gzip.compress(GOOD, mtime=0)[:-9], "must be a whole gzip file, got: .*"),
        (b"\x1f\x8b nonsense", "must be a whole gzip file, got: .*"),
    ],
)
def test_a_bad_idx_file_is_named_with_its_fault(tmp_path, content, message):
    path = tmp_path / "bad-file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"read_idx: .*bad-file {message}"):
        read_idx(path)


def test_mnist_is_read_from_a_folder(tmp_path):
    write_mnist(tmp_path)
    mnist = load_mnist(tmp_path)
    assert isinstance(mnist, Dataset)
    assert mnist.train_images.shape == (12, 1, 28, 28)
    assert mnist.test_images.shape == (5, 1, 28, 28)
    assert mnist.train_images.dtype == np.float32
    assert 0 <= mnist.train_images.min() < 0.01
    assert 0.99 < mnist.train_images.max() <= 1
    assert mnist.train_labels.tolist() == [*range(10), 0, 1]
    assert mnist.test_labels.dtype == np.int64


def test_mnist_is_found_by_the_environment_variable(tmp_path, monkeypatch):
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    write_mnist(folder, train=3)
    monkeypatch.setenv("CONVOLT_CACHE", str(tmp_path / "none"))
    monkeypatch.setenv("CONVOLT_DATA", str(tmp_path))
    assert len(load_mnist(name="fashion-mnist").train_images) == 3
    with pytest.raises(FileNotFoundError, match=r"neither \S*mnist.train-images-idx3-ubyte "):
        load_mnist()
    monkeypatch.delenv("CONVOLT_DATA")
    with pytest.raises(FileNotFoundError, match=r"data_dir must be given, or .* CONVOLT_DATA"):
        load_mnist()


@pytest.mark.parametrize(
    "name",
    [
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte",
    ],
)
def test_a_missing_file_is_named(tmp_path, name):
    write_mnist(tmp_path)
    (tmp_path / name).unlink()
    plain = name.removesuffix(".gz")
    with pytest.raises(FileNotFoundError, match=rf"neither \S*{plain} nor \S*{plain}\.gz"):
        load_mnist(tmp_path)


@pytest.mark.parametrize("value", NO_FLAGS)
def test_download_is_a_flag(tmp_path, value):
    """Nothing goes over the network for a text that says no."""
    expected = re.escape(f"load_mnist: download must be True or False, got {value!r}")
    with pytest.raises(TypeError, match=f"^{expected}$"):
        load_mnist(tmp_path, download=value)


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(11, np.uint8)))
    with pytest.raises(ValueError, match=r"one label for each of the 12 images, .* \(11,\)"):
        load_mnist(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros(11, np.uint8)))
    with pytest.raises(ValueError, match=r"must hold uint8 of shape \(n, H, W\), .* \(11,\)"):
        load_mnist(tmp_path)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_real_files(name):
    if "CONVOLT_DATA" not in os.environ:
        pytest.skip("CONVOLT_DATA is not set: no folder of real data sets")
    if not Path(os.environ["CONVOLT_DATA"], name).is_dir():
        pytest.skip(f"the folder CONVOLT_DATA holds no {name}")
    dataset = load_mnist(name=name)
    assert len(dataset.train_images) == len(dataset.train_labels) >= 50_000
    assert dataset.test_images.shape == (10_000, 1, 28, 28)
    for images, labels in (dataset[:2], dataset[2:]):
        assert images.min() == 0
        assert images.max() == 1
        assert len(np.bincount(labels)) == 10
        assert np.bincount(labels).min() >= 0.08 * len(labels)
