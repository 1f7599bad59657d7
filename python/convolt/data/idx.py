"""The IDX format of MNIST's files."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


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
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _DTYPES:
        codes = ", ".join(f"{code:02x}" for code in _DTYPES)
        raise ValueError(
            f"read_idx: {path} must begin with the bytes 00 00, a type ({codes}) and the number "
            f"of dimensions, got {content[:4].hex(' ') or 'an empty file'}"
        )
    dtype, dimensions = np.dtype(_DTYPES[content[2]]), content[3]
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
