"""Arrays by name in files: the parameters of a model, or whatever else has to be kept with them.

The suffix of a path says which format it is: ".npz" is NumPy's, ".safetensors" that of the package
safetensors (``pip install "convolt[safetensors]"``). Neither can run code when it is loaded.
"""

from __future__ import annotations

import json
import os
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from convolt.layers.base import Layer

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Metadata = dict[str, str]

# In a .npz file an array like the others; in a .safetensors file the name of the same thing.
_METADATA = "__metadata__"

# What NumPy and zipfile raise over damaged archives.
_UNREADABLE = (ValueError, EOFError, OSError, RuntimeError, zipfile.BadZipFile)


def save(
    model: Layer, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Write the parameters and buffers of a model to a file.

    Parameters
    ----------
    model : Layer
    path : path
        Its suffix, ".npz" or ".safetensors", says in which format. A file that is there already is
        replaced at the very end: after an error it is what it was.
    metadata : mapping of str to str, optional
        What else the file is to say, such as the name of the model.

    Raises
    ------
    ValueError
        If the suffix is another one.
    ImportError
        If safetensors is needed and not installed.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from convolt.layers import Linear
    >>> path = Path(tempfile.mkdtemp()) / "model.npz"
    >>> save(Linear(2, 1, rng=0), path, {"model": "tiny"})
    >>> other = Linear(2, 1)
    >>> load(other, path)
    {'model': 'tiny'}
    >>> bool((other.weight == Linear(2, 1, rng=0).weight).all())
    True
    """
    _write(model.state_dict(), path, metadata, "save")


def load(model: Layer, path: str | os.PathLike[str]) -> Metadata:
    """Read the parameters and buffers of a model from a file that `save` wrote.

    Parameters
    ----------
    model : Layer
        Of the same shape as the one saved; after an error it is what it was.
    path : path

    Returns
    -------
    dict of str to str
        The metadata of the file.

    Raises
    ------
    ValueError
        If the suffix is another one, the file is damaged, or names or shapes are not the model's.
    TypeError
        If a dtype is not the model's.
    ImportError
        If safetensors is needed and not installed.
    OSError
        If the file cannot be read.
    """
    arrays, metadata = _read(path, "load")
    try:
        model.load_state_dict(arrays)
    except (ValueError, TypeError) as error:
        raise type(error)(f"load: {os.fspath(path)} must fit the model: {error}") from None
    return metadata


def save_arrays(
    arrays: Arrays, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays by name to a file, as `save` does those of a model."""
    _write(arrays, path, metadata, "save_arrays")


def load_arrays(path: str | os.PathLike[str]) -> tuple[dict[str, Array], Metadata]:
    """Return the arrays by name, and the metadata, of a file that `save` or `save_arrays` wrote."""
    return _read(path, "load_arrays")


def _write(
    arrays: Arrays,
    path: str | os.PathLike[str],
    metadata: Mapping[str, str] | None,
    function: str,
) -> None:
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{function}: {name} must hold numbers, got {array.dtype}")
    text = dict(metadata or {})
    if _suffix(path, function) == ".npz":
        with _replacement(path) as file:
            _write_npz(file, {**arrays, _METADATA: np.array(json.dumps(text))})
        return
    content = _safetensors(function).numpy.save(
        {name: np.ascontiguousarray(array) for name, array in arrays.items()}, text or None
    )
    with _replacement(path) as file:
        file.write(content)


def _write_npz(file: BinaryIO, arrays: Arrays) -> None:
    # Not np.savez, whose own parameters would collide with such names.
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _read(path: str | os.PathLike[str], function: str) -> tuple[dict[str, Array], Metadata]:
    suffix = _suffix(path, function)
    if suffix == ".safetensors":
        return _read_safetensors(path, function)
    with open(path, "rb") as file:
        try:
            return _read_npz(file)
        except _UNREADABLE as error:
            raise _damaged(path, function, error) from None


def _read_npz(file: BinaryIO) -> tuple[dict[str, Array], Metadata]:
    archive = np.load(file, allow_pickle=False)
    if isinstance(archive, np.ndarray):
        raise ValueError("an array without a name")
    arrays = {name: archive[name] for name in archive.files}
    return arrays, json.loads(str(arrays.pop(_METADATA, "{}")))


def _read_safetensors(
    path: str | os.PathLike[str], function: str
) -> tuple[dict[str, Array], Metadata]:
    safetensors = _safetensors(function)
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return arrays, file.metadata() or {}
    except safetensors.SafetensorError as error:
        raise _damaged(path, function, error) from None


def _damaged(path: str | os.PathLike[str], function: str, error: Exception) -> ValueError:
    return ValueError(
        f"{function}: {os.fspath(path)} must be a whole file of arrays, got a damaged or another "
        f"one ({error})"
    )


def _suffix(path: str | os.PathLike[str], function: str) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in (".npz", ".safetensors"):
        raise ValueError(
            f"{function}: path must end in .npz or .safetensors, got {os.fspath(path)!r}"
        )
    return suffix


def _safetensors(function: str) -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise ImportError(
            f'{function}: a .safetensors file needs safetensors: pip install "convolt[safetensors]"'
        ) from None
    return safetensors


@contextmanager
def _replacement(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Give a file that takes the place of `path` once it is written as a whole."""
    target = Path(os.path.realpath(path))  # a link remains one
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename is not None:
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
        raise
