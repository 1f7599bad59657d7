"""Real images to learn from: the bundled digits, and MNIST in its IDX files."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_DIGITS_FOR_TRAINING = 1437

_IDX_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


class Dataset(NamedTuple):
    """Labelled images in two parts, to train on and to test with.

    Attributes
    ----------
    train_images, test_images : (n, C, H, W) float32 array
        Grey levels from 0, the background, to 1.
    train_labels, test_labels : (n,) int64 array
        The class of each image.
    """

    train_images: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.float32]
    test_labels: NDArray[np.int64]


def load_digits() -> Dataset:
    """Return the 1,797 handwritten digits of 8 by 8 pixels that come with convolt.

    Returns
    -------
    Dataset
        1,437 images for training and 360 for testing, always the same: the bundled file holds them
        in one shuffled order, and the last are for testing.

    Notes
    -----
    These are the test set of "Optical Recognition of Handwritten Digits" by E. Alpaydin and
    C. Kaynak (1998), UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, licensed
    under CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/). Their order was changed.

    Examples
    --------
    >>> digits = load_digits()
    >>> digits.train_images.shape, digits.test_images.shape
    ((1437, 1, 8, 8), (360, 1, 8, 8))
    """
    file = resources.files("convolt") / "_data" / "digits.npz"
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        images = _scaled(arrays["images"], 16)
        labels = arrays["labels"].astype(np.int64)
    train, test = slice(None, _DIGITS_FOR_TRAINING), slice(_DIGITS_FOR_TRAINING, None)
    return Dataset(images[train], labels[train], images[test], labels[test])


def load_mnist(data_dir: str | os.PathLike[str] | None = None, *, name: str = "mnist") -> Dataset:
    """Return MNIST, or a data set published in the same four files as Fashion-MNIST is.

    Parameters
    ----------
    data_dir : path, optional
        The folder of ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
        ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, each plain or with ``.gz`` at the
        end. By default the sub-folder `name` of the folder that the environment variable
        ``CONVOLT_DATA`` names.
    name : str
        "mnist", "fashion-mnist" or any other sub-folder; not used when `data_dir` is given.

    Returns
    -------
    Dataset
        The images as (n, 1, H, W), MNIST's 28 by 28 pixels.

    Raises
    ------
    FileNotFoundError
        If a file is missing, or neither `data_dir` nor ``CONVOLT_DATA`` says where to look.
    ValueError
        If a file is not in the IDX format, or images and labels do not belong together.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document
    Recognition", Proceedings of the IEEE 86 (11), 1998. H. Xiao, K. Rasul, R. Vollgraf,
    "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms", 2017,
    arXiv:1708.07747.
    """
    folder = _folder_of(name) if data_dir is None else Path(data_dir)
    return Dataset(*_labelled_images(folder, "train"), *_labelled_images(folder, "t10k"))


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Return the array in an IDX file, the format of MNIST.

    Parameters
    ----------
    path : path
        A plain or a gzip-compressed file, told apart by its content.

    Returns
    -------
    ndarray
        uint8, int8, int16, int32, float32 or float64, as the file says, in native byte order.

    Raises
    ------
    ValueError
        If the file does not begin as an IDX file does, or is shorter or longer than it says.

    References
    ----------
    "The IDX file format", in Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of
    handwritten digits".
    """
    content = _uncompressed(Path(path))
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_DTYPES:
        codes = ", ".join(f"{code:02x}" for code in _IDX_DTYPES)
        raise ValueError(
            f"read_idx: {path} must begin with the bytes 00 00, a type ({codes}) and the number "
            f"of dimensions, got {content[:4].hex(' ') or 'an empty file'}"
        )
    dtype, dimensions = np.dtype(_IDX_DTYPES[content[2]]), content[3]
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise ValueError(
            f"read_idx: {path} must have a header of {header} bytes for {dimensions} dimensions, "
            f"got {len(content)} bytes"
        )
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    expected = header + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise ValueError(
            f"read_idx: {path} must have {expected} bytes for {dtype.name} of shape {shape}, "
            f"got {len(content)}"
        )
    array = np.frombuffer(content, dtype, offset=header).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def _uncompressed(path: Path) -> bytes:
    content = path.read_bytes()
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"read_idx: {path} must be a whole gzip file, got: {error}") from error


def _folder_of(name: str) -> Path:
    root = os.environ.get("CONVOLT_DATA")
    if not root:
        raise FileNotFoundError(
            "load_mnist: data_dir must be given, or the environment variable CONVOLT_DATA must "
            f"name the folder that holds {name}, got neither"
        )
    return Path(root, name)


def _labelled_images(folder: Path, part: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    images_path = _existing(folder / f"{part}-images-idx3-ubyte")
    labels_path = _existing(folder / f"{part}-labels-idx1-ubyte")
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or images.dtype != np.uint8:
        raise ValueError(
            f"load_mnist: {images_path} must hold uint8 of shape (n, H, W), "
            f"got {images.dtype} of shape {images.shape}"
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"load_mnist: {labels_path} must hold one label for each of the {len(images)} images, "
            f"got shape {labels.shape}"
        )
    return _scaled(images, 255), labels.astype(np.int64)


def _existing(plain: Path) -> Path:
    candidates = [plain, plain.with_name(f"{plain.name}.gz")]
    for path in candidates:
        if path.is_file():
            return path
    raise FileNotFoundError(f"load_mnist: found neither {candidates[0]} nor {candidates[1]}")


def _scaled(images: NDArray[np.uint8], largest: int) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = np.divide(images[:, np.newaxis], largest, dtype=np.float32)
    return scaled
