"""The bundled digits, and MNIST and Fashion-MNIST from where they are or can be had."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convolt._checks import check_flag
from convolt.data.dataset import Dataset
from convolt.data.download import FILES, PARTS, SOURCES, cache_folder
from convolt.data.download import download as download_files
from convolt.data.idx import read_idx

_DIGITS_FOR_TRAINING = 1437

FASHION_MNIST_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""What the labels 0 to 9 of Fashion-MNIST stand for."""


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


def load_mnist(
    data_dir: str | os.PathLike[str] | None = None,
    *,
    name: str = "mnist",
    download: bool = False,
) -> Dataset:
    """Return MNIST, or a data set published in the same four files as Fashion-MNIST is.

    Parameters
    ----------
    data_dir : path, optional
        The folder of ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
        ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, each plain or with ``.gz`` at the
        end. By default the sub-folder `name` of the folder that the environment variable
        ``CONVOLT_DATA`` names or else, where that does not have all of them, of the cache.
    name : str
        "mnist", "fashion-mnist" or any other sub-folder; not used when `data_dir` is given, unless
        to download.
    download : bool
        Whether missing files are downloaded, into `data_dir` or else into the cache, and held
        against their SHA-256. Nothing goes over the network unless that is asked for.

    Returns
    -------
    Dataset
        The images as (n, 1, H, W), MNIST's 28 by 28 pixels. `FASHION_MNIST_CLASSES` names the
        classes of Fashion-MNIST.

    Raises
    ------
    FileNotFoundError
        If a file is missing and is not to be downloaded.
    OSError
        If a download fails, or brings another file than the one that was published.
    ImportError
        If pooch, which downloads, is not installed: ``pip install "convolt[data]"``.
    ValueError
        If a file is not in the IDX format, images and labels do not belong together, or a data set
        is to be downloaded that is neither "mnist" nor "fashion-mnist".

    Notes
    -----
    The cache is the folder that the environment variable ``CONVOLT_CACHE`` names, by default
    ``convolt`` in ``XDG_CACHE_HOME`` or else in ``~/.cache``. A file that is there is read as it
    is, its length and the check of gzip aside; one that was damaged has to be deleted.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document
    Recognition", Proceedings of the IEEE 86 (11), 1998. H. Xiao, K. Rasul, R. Vollgraf,
    "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms", 2017,
    arXiv:1708.07747.
    """
    if check_flag(download, "download", "load_mnist") and name not in SOURCES:
        raise ValueError(
            f"load_mnist: name must be {' or '.join(SOURCES)} to be downloaded, got {name!r}"
        )
    files = _files_of(name, data_dir, download)
    train, test = (_labelled_images(*(files[file] for file in part)) for part in PARTS)
    return Dataset(*train, *test)


def _files_of(
    name: str, data_dir: str | os.PathLike[str] | None, download: bool
) -> dict[str, Path]:
    """Return the files from the first folder that has all, if need be after a download."""
    if data_dir is not None:
        folders = [Path(data_dir)]
    else:
        roots = (os.environ.get("CONVOLT_DATA"), cache_folder())
        folders = [Path(root, name) for root in roots if root]
    for folder in folders:
        if not _missing(folder):
            return _present(folder)
    if download:
        download_files(name, _missing(folders[-1]), folders[-1])
        return _present(folders[-1])
    sought = [path for folder in folders for path in _candidates(folder, _missing(folder)[0])]
    found = f"found neither {' nor '.join(map(str, sought))}"
    if data_dir is not None:
        raise FileNotFoundError(f"load_mnist: {found} (download=True brings what is missing)")
    raise FileNotFoundError(
        "load_mnist: data_dir must be given, or the environment variable CONVOLT_DATA must name "
        f"the folder that holds {name}, or download=True must bring it, {found}"
    )


def _missing(folder: Path) -> list[str]:
    present = _present(folder)
    return [file for file in FILES if file not in present]


def _present(folder: Path) -> dict[str, Path]:
    return {
        file: path
        for file in FILES
        for path in reversed(_candidates(folder, file))
        if path.is_file()
    }


def _candidates(folder: Path, file: str) -> tuple[Path, Path]:
    return folder / file, folder / f"{file}.gz"


def _labelled_images(
    images_path: Path, labels_path: Path
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
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


def _scaled(images: NDArray[np.uint8], largest: int) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = np.divide(images[:, np.newaxis], largest, dtype=np.float32)
    return scaled
