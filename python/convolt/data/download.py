"""MNIST and Fashion-MNIST from the web, each file held against its published checksum."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

PARTS = (
    ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)
FILES = PARTS[0] + PARTS[1]
"""The four files of a data set, without the ``.gz`` that the published ones have."""


class Source(NamedTuple):
    """Where a data set is published, and what its compressed files are.

    Attributes
    ----------
    mirrors : tuple of str
        Folders of the same files, to be tried in this order.
    sha256 : tuple of str
        One for each of `FILES`.
    """

    mirrors: tuple[str, ...]
    sha256: tuple[str, ...]


SOURCES = {
    "mnist": Source(
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "fashion-mnist": Source(
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
}


def cache_folder() -> Path:
    """Return the folder of folders that downloads are kept in."""
    named = os.environ.get("CONVOLT_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "convolt")


def download(name: str, files: Collection[str], folder: Path) -> None:
    """Bring those of `files` that `folder` does not have as they were published.

    A file comes under its name only after its checksum was found right, so that whatever breaks a
    download leaves nothing behind that could be taken for it.

    Raises
    ------
    ImportError
        If pooch is not installed.
    OSError
        If no mirror gives the file that it should, or the folder cannot be written.
    """
    try:
        import pooch
    except ImportError as error:
        raise ImportError(
            'load_mnist: download=True needs pooch: pip install "convolt[data]"'
        ) from error
    source = SOURCES[name]
    for file, sha256 in zip(FILES, source.sha256, strict=True):
        if file in files:
            _retrieve(pooch, f"{file}.gz", f"sha256:{sha256}", source.mirrors, folder)


def _retrieve(
    pooch: ModuleType, file: str, checksum: str, mirrors: Iterable[str], folder: Path
) -> None:
    from requests.exceptions import ChunkedEncodingError, HTTPError, RequestException

    failures = []
    for mirror in mirrors:
        try:
            pooch.retrieve(mirror + file, checksum, file, folder)
            return
        except HTTPError as error:
            failures.append(f"status {error.response.status_code} from {mirror}")
        except ChunkedEncodingError:
            failures.append(f"a part of it from {mirror}")
        except RequestException:
            failures.append(f"no connection to {mirror}")
        except ValueError:
            failures.append(f"a file with another SHA-256 from {mirror}")
    raise OSError(f"load_mnist: {file} could not be downloaded, got {', '.join(failures)}")
