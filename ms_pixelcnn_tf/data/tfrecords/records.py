"""TFRecord files with random access: where each record lies, and its bytes, their checksum proven.

A record is its length (8 bytes), the checksum of that (4), the data and its checksum (4). The
index is found by one walk over the lengths, without reading the data.

Format: the comment in TensorFlow's `record_writer.h`; the checksum is CRC-32C, masked.
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
        int64 `[n, 2]`: offset and length, in bytes, of the data of each.

    Raises:
        UserError: naming the file and the offset at which it is damaged or cut short.
    """
    return np.array(list(places(path)), "int64").reshape(-1, 2)


def places(path: str | os.PathLike) -> Iterator[tuple[int, int]]:
    """Yields offset and length of each record's data, up to where it raises as `index_of`."""
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
    """A record's data.

    Args:
        file: the file, opened for reading bytes.
        path: its name, for messages.
        offset, length: from `index_of`.

    Raises:
        DamagedExample: if the data is not what was written.
    """
    # At a place of its own, so that threads may share the file.
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
    """Yields the data of each record of a file, in order. Raises as the other two."""
    index = index_of(path)
    with open(path, "rb") as file:
        for offset, length in index:
            yield read_record(file, path, offset, length)


def _masked(data):
    checksum = google_crc32c.value(data)
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _damaged(path, offset, what, kind=UserError):
    return kind(f"{path}, the record at byte {offset}: {what}")
