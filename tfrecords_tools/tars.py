"""Readers of tars: plain ones by byte offset, compressed ones in one pass."""

import bz2
import functools
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, cast

from ms_pixelcnn_tf.errors import UserError
from tfrecords_tools import archive_rules

PLAIN = (".tar",)
COMPRESSED = {".tar.gz": gzip.open, ".tgz": gzip.open, ".tar.bz2": bz2.open, ".tar.xz": lzma.open}
BLOCK = 512
# Limit on a decompressed tar. Images hardly compress, so no data set comes close to it.
MAX_GROWTH, GROWTH_SLACK = 100, 2**28


class _Tar(tarfile.TarFile):
    members: list[tarfile.TarInfo]  # those read so far; missing from the library's type stubs


def members(
    path: str, file: BinaryIO, start: int, size: int, prefix: str = ""
) -> Iterator[tuple[str, int, int]]:
    """Yields `(name, offset in the file, size)` of each member of a plain tar.

    The tar is `file[start : start + size]`. Plain tars in it are opened too.
    """
    window = Window(file, start, size)
    tar = _Tar.open(fileobj=window, mode="r:")  # needs no close: it holds only the window
    for info in tar:
        if info.isdir():
            continue
        _check_type(path, info)
        name, offset = prefix + archive_rules.clean(path, info.name), start + info.offset_data
        if info.offset_data + info.size > size:
            raise UserError(f"{path}: cut short in {name}, at byte {start + size}")
        if name.lower().endswith(PLAIN):
            folder = name[: -len(PLAIN[0])] + "/"
            yield from members(path, file, offset, info.size, folder)
        else:
            yield name, offset, info.size
        tar.members = []  # otherwise a million of them stay in memory
    window.seek(tar.offset)
    if window.read(BLOCK) != bytes(BLOCK):
        raise UserError(f"{path}: damaged or cut short at byte {start + tar.offset}")


def streamed(path: str) -> Iterator[tuple[tarfile.TarInfo, Callable[[], bytes]]]:
    """Yields `(TarInfo, function that reads the member)` of a compressed tar, in order."""
    opener = next(o for ending, o in COMPRESSED.items() if path.lower().endswith(ending))
    with archive_rules.faults_told(path), opener(path, "rb") as stream:
        blocks = _Blocks(stream, path, os.path.getsize(path))
        tar = _Tar.open(fileobj=cast(Any, blocks), mode="r|", bufsize=BLOCK)  # only reads
        for info in tar:
            if not info.isdir():
                _check_type(path, info)
                yield info, functools.partial(_read_streamed, path, tar, info)
            tar.members = []
        if blocks.last != bytes(BLOCK):
            raise UserError(f"{path}: damaged or cut short after {blocks.count} bytes")
        while blocks.read(2**20):  # to the end, where the checksum is
            pass


def _read_streamed(path, tar, info):
    limit = archive_rules.MAX_MEMBER
    if info.size > limit:
        raise UserError(f"{path}, member {info.name}: more than {limit} bytes; not read")
    return tar.extractfile(info).read()


def _check_type(path, info):
    if not info.isreg() or info.issparse():
        kind = "a link" if info.issym() or info.islnk() else "no plain file"
        raise UserError(f"{path}: member {info.name!r} is {kind}; refused")


class Window(io.RawIOBase):
    """A part of a file that reads like a file."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        super().__init__()
        self._file, self._start, self._size, self._position = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._position)
        size = left if size is None or size < 0 else min(size, left)
        self._file.seek(self._start + self._position)
        content = self._file.read(size)
        self._position += len(content)
        return content


class _Blocks:
    """A decompressed stream that remembers its last block and limits how much it yields."""

    def __init__(self, stream, path, compressed_size):
        self._stream, self._path = stream, path
        self._limit = MAX_GROWTH * compressed_size + GROWTH_SLACK
        self.last, self.count = b"", 0

    def read(self, size):
        content = self._stream.read(size)
        self.count += len(content)
        if self.count > self._limit:
            raise UserError(
                f"{self._path}: grows to more than {self._limit} bytes when decompressed; refused"
            )
        if content:
            self.last = content
        return content
