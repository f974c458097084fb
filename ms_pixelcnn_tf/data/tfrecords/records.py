"""Random access to the records of TFRecord files, with verified checksums.

A record consists of its length (8 bytes), the length's checksum (4), the data and its checksum (4).
The index is built in one pass over the lengths, without reading the data.

Reference: the comment in TensorFlow's `record_writer.h`. The checksum is a masked CRC-32C.
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c
import numpy as np

from ms_pixelcnn_tf.errors import DamagedExample, UserError

HEADER, FOOTER = 12, 4  # bytes


def index_of(path: str | os.PathLike) -> np.ndarray:
    """Finds the records of a file.

    Returns:
        int64 `[n, 2]`: offset and length of each record's data, in bytes.

    Raises:
        UserError: if the file is damaged or cut short; it names the file and the offset.
    """
    return np.array(list(places(path)), "int64").reshape(-1, 2)


def places(path: str | os.PathLike) -> Iterator[tuple[int, int]]:
    """Yields offset and length of each record's data. Raises UserError at the first damaged one."""
    size = os.path.getsize(path)
    offset = 0
    with open(path, "rb") as file:
        while offset < size:
            file.seek(offset)
            header = file.read(HEADER)
            if len(header) < HEADER:
                raise _damaged(path, offset, "cut short in a record's header")
            length, checksum = struct.unpack("<QI", header)
            if _masked(header[:8]) != checksum:
                raise _damaged(path, offset, "the checksum of a record's length does not hold")
            end = offset + HEADER + length + FOOTER
            if end > size:
                raise _damaged(path, offset, f"cut short: a record ends at byte {end} of {size}")
            yield offset + HEADER, length
            offset = end


def read_record(file: BinaryIO, path: str | os.PathLike, offset: int, length: int) -> bytes:
    """Reads a record's data.

    Args:
        file: the file, opened for reading bytes.
        path: its name, for messages.
        offset, length: a row of `index_of`.

    Raises:
        DamagedExample: if the data is cut short or its checksum does not match.
    """
    # `pread` uses no shared position, so threads may share the file.
    content = os.pread(file.fileno(), int(length) + FOOTER, int(offset))
    data, footer = content[:-FOOTER], content[-FOOTER:]
    if len(content) != length + FOOTER:
        raise _damaged(path, offset - HEADER, "cut short in a record", DamagedExample)
    if _masked(data) != int.from_bytes(footer, "little"):
        raise _damaged(
            path, offset - HEADER, "the checksum of a record's data does not hold", DamagedExample
        )
    return data


def records_of(path: str | os.PathLike) -> Iterator[bytes]:
    """Yields each record's data, in order. Raises as `index_of` and `read_record` do."""
    index = index_of(path)
    with open(path, "rb") as file:
        for offset, length in index:
            yield read_record(file, path, offset, length)


def _masked(data):
    checksum = google_crc32c.value(data)
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _damaged(path, offset, what, kind=UserError):
    return kind(f"{path}, the record at byte {offset}: {what}")
