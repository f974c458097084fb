"""Readers of zips, whose members can be read in any order."""

import functools
import stat
import zipfile
from collections.abc import Iterator

from ms_pixelcnn_tf.errors import UserError
from tfrecords_tools import archive_rules

ZIPPED = (".zip",)


def members(path: str) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """Yields `(name, ZipInfo)` of each file. Raises UserError for a link or an encrypted file."""
    for info in opened(path).infolist():
        if info.is_dir():
            continue
        if stat.S_ISLNK(info.external_attr >> 16):
            raise UserError(f"{path}: member {info.filename!r} is a link; refused")
        if info.flag_bits & 1:
            raise UserError(f"{path}: member {info.filename!r} is encrypted; decrypt the archive")
        yield archive_rules.clean(path, info.filename), info


@functools.lru_cache(maxsize=8)
def opened(path: str) -> zipfile.ZipFile:
    """The open zip; the last few zips stay open."""
    return zipfile.ZipFile(path)
