"""The files of a data set as its owners publish them: in a folder, a tar, a tar of tars or a zip.

Nothing is unpacked. An archive in the source folder counts as unpacked where it stands, and a tar in
a tar as unpacked into a folder of its name, so a builder sees the same names either way. Members of
a plain tar or a zip are read wherever they lie, by any process. Those of a compressed tar come in
their order only, so they are handed out as bytes, one pass for all.

An archive is refused, by a `UserError` that names it and the place, if it is cut short or damaged,
if a member's name is absolute or leads out of the archive, if a member is a link or a device, or if
it claims to grow beyond all measure.
"""

import bz2
import functools
import gzip
import hashlib
import io
import lzma
import os
import pathlib
import posixpath
import stat
import tarfile
import zipfile
import zlib
from typing import NamedTuple

from ms_pixelcnn_tf.errors import UserError

PLAIN = (".tar",)
COMPRESSED = {
    ".tar.gz": gzip.open, ".tgz": gzip.open, ".tar.bz2": bz2.open, ".tar.xz": lzma.open,
}
ZIPPED = (".zip",)
BLOCK = 512
MAX_MEMBER = 2**29  # bytes of one member in memory
# What a compressed tar may grow to: images hardly shrink, so this is far beyond any data set.
MAX_GROWTH, GROWTH_SLACK = 100, 2**28
# What the standard library's readers raise for damaged bytes.
DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError,
    OverflowError, NotImplementedError, RuntimeError, IndexError, KeyError,
)


class Member(NamedTuple):
    """Where the bytes of one file are; can be sent to another process.

    Attributes:
        name: path within the source, "/" between its parts.
        path: the file on disk that holds it.
        offset: where it starts there; None for a member of a zip or a compressed tar.
        size: its length in bytes.
        inner: its name in the zip or the compressed tar, else "".
    """

    name: str
    path: str
    offset: int | None
    size: int
    inner: str = ""

    def read(self):
        """The file's bytes. Raises UserError if they cannot be had whole."""
        if self.size > MAX_MEMBER:
            raise UserError(f"{self.where}: {self.size} bytes, more than {MAX_MEMBER}; not read")
        try:
            content = self._read()
        except UserError:
            raise
        except DAMAGED as error:
            raise UserError(f"{self.where}: {error or type(error).__name__}") from error
        if len(content) != self.size:
            raise UserError(f"{self.where}: cut short, {len(content)} of {self.size} bytes")
        return content

    @property
    def where(self):
        """The place, for a message."""
        if self.path.endswith(self.name):
            return self.path
        return f"{self.path}, member {self.name}"

    @property
    def in_order_only(self):
        """Whether it cannot be read by itself."""
        return self.offset is None and not self.path.lower().endswith(ZIPPED)

    def _read(self):
        if self.offset is not None:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                return file.read(self.size)
        if self.in_order_only:
            raise UserError(f"{self.where}: members of a compressed tar come in order only")
        return _opened_zip(self.path).read(self.inner)


class Tree:
    """All files of a source.

    Args:
        source: a folder, or one archive.

    Raises:
        UserError: if it is neither, or an archive in it is refused.
    """

    def __init__(self, source):
        self.source = pathlib.Path(source).expanduser()
        self.members = {}
        if self.source.is_dir():
            self._add_folder()
        elif self.source.is_file():
            if not is_archive(self.source.name):
                raise UserError(
                    f"{self.source} is no archive; give a folder, or a file that ends in "
                    f"{', '.join((*PLAIN, *COMPRESSED, *ZIPPED))}"
                )
            self._add_archive(str(self.source), "")
        else:
            raise UserError(f"source {self.source} does not exist; give a folder or an archive")

    def fingerprint(self):
        """A hash (hex) of the names and sizes of all files."""
        listing = sorted((member.name, member.size) for member in self.members.values())
        return hashlib.sha256(repr(listing).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def find(self, name, what=""):
        """The full name of the file whose path ends in `name`; the one nearest to the top.

        Raises:
            UserError: if there is none; `what` says what to give.
        """
        found = self.find_all(name)
        if not found:
            raise UserError(f"{self.source} holds no {name}" + (f"; {what}" if what else ""))
        return found[0]

    def find_all(self, name):
        """Full names of all files whose path ends in `name`, nearest to the top first."""
        found = [path for path in self.members if path == name or path.endswith("/" + name)]
        return sorted(found, key=lambda path: (path.count("/"), path))

    def read(self, names):
        """dict name → bytes of a few files."""
        return {name: content_bytes(content) for name, content in self.contents(names)}

    def text(self, name):
        """A file as text (UTF-8, or Latin-1 where it is not)."""
        content = self.read([name])[name]
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            return content.decode("latin-1")

    def contents(self, names):
        """Yields `(name, Member or bytes)` of the given files, in the source's order.

        Bytes stand for what cannot be read by itself: members of compressed tars, read in one pass.
        """
        streamed = {}
        for name in names:
            member = self.members[name]
            if member.in_order_only:
                streamed.setdefault(member.path, {})[member.inner] = name
            else:
                yield name, member
        for path, wanted in streamed.items():
            for info, read in _stream_tar(path):
                if info.name in wanted:
                    yield wanted[info.name], read()

    def _add_folder(self):
        seen = set()
        for parent, directories, files in os.walk(self.source, followlinks=True):
            if os.path.realpath(parent) in seen:  # a link back, or a second way here
                directories.clear()
                continue
            seen.add(os.path.realpath(parent))
            directories.sort()
            below = pathlib.Path(parent).relative_to(self.source).as_posix()
            prefix = "" if below == "." else below + "/"
            for name in sorted(files):
                path = os.path.join(parent, name)
                if is_archive(name):
                    self._add_archive(path, prefix)
                elif os.path.isfile(path):
                    self._add(Member(prefix + name, path, 0, os.path.getsize(path)))

    def _add_archive(self, path, prefix):
        for member in _members(path):
            self._add(member._replace(name=prefix + member.name))

    def _add(self, member):
        # A file that also stands unpacked beside its archive is the same file.
        self.members.setdefault(member.name, member)


def content_bytes(content):
    """The bytes of a `Member`, or the bytes themselves: what `Tree.contents` gives."""
    return content if isinstance(content, bytes) else content.read()


def is_archive(name):
    """Whether a file of this name is opened as an archive."""
    return name.lower().endswith((*PLAIN, *COMPRESSED, *ZIPPED))


def _members(path):
    """Yields a `Member` for each file of an archive, named from the archive's top."""
    try:
        if path.lower().endswith(ZIPPED):
            yield from _zip_members(path)
        elif path.lower().endswith(PLAIN):
            with open(path, "rb") as file:
                yield from _tar_members(path, file, 0, os.path.getsize(path), "")
        else:
            for info, _ in _stream_tar(path):
                yield Member(_clean(path, info.name), path, None, info.size, info.name)
    except UserError:
        raise
    except DAMAGED as error:
        raise UserError(f"{path}: {error or type(error).__name__}") from error


def _tar_members(path, file, start, size, prefix):
    """Members of the plain tar in `file[start : start + size]`, those of tars in it included."""
    window = Window(file, start, size)
    tar = tarfile.open(fileobj=window, mode="r:")  # noqa: SIM115 (it holds nothing but the window)
    for info in tar:
        if info.isdir():
            continue
        _check_type(path, info)
        name, offset = prefix + _clean(path, info.name), start + info.offset_data
        if info.offset_data + info.size > size:
            raise UserError(f"{path}: cut short in {name}, at byte {start + size}")
        if name.lower().endswith(PLAIN):
            folder = name[: -len(PLAIN[0])] + "/"
            yield from _tar_members(path, file, offset, info.size, folder)
        else:
            yield Member(name, path, offset, info.size)
        tar.members = []  # a million of them would stay
    window.seek(tar.offset)
    if window.read(BLOCK) != bytes(BLOCK):
        raise UserError(f"{path}: damaged or cut short at byte {start + tar.offset}")


def _stream_tar(path):
    """Yields `(TarInfo, function that reads it)` of a compressed tar, in order."""
    opener = next(o for ending, o in COMPRESSED.items() if path.lower().endswith(ending))
    try:
        with opener(path, "rb") as stream:
            blocks = _Blocks(stream, path, os.path.getsize(path))
            tar = tarfile.open(fileobj=blocks, mode="r|", bufsize=BLOCK)  # noqa: SIM115
            for info in tar:
                if not info.isdir():
                    _check_type(path, info)
                    yield info, functools.partial(_read_streamed, path, tar, info)
                tar.members = []
            if blocks.last != bytes(BLOCK):
                raise UserError(f"{path}: damaged or cut short after {blocks.count} bytes")
            while blocks.read(2**20):  # the checksum stands at the end
                pass
    except UserError:
        raise
    except DAMAGED as error:
        raise UserError(f"{path}: {error or type(error).__name__}") from error


def _read_streamed(path, tar, info):
    if info.size > MAX_MEMBER:
        raise UserError(f"{path}, member {info.name}: more than {MAX_MEMBER} bytes; not read")
    return tar.extractfile(info).read()


def _zip_members(path):
    for info in _opened_zip(path).infolist():
        if info.is_dir():
            continue
        if stat.S_ISLNK(info.external_attr >> 16):
            raise UserError(f"{path}: member {info.filename!r} is a link; refused")
        if info.flag_bits & 1:
            raise UserError(f"{path}: member {info.filename!r} is encrypted; decrypt the archive")
        yield Member(_clean(path, info.filename), path, None, info.file_size, info.filename)


@functools.lru_cache(maxsize=8)
def _opened_zip(path):
    return zipfile.ZipFile(path)


def _check_type(path, info):
    if not info.isreg() or info.issparse():
        kind = "a link" if info.issym() or info.islnk() else "no plain file"
        raise UserError(f"{path}: member {info.name!r} is {kind}; refused")


def _clean(path, name):
    """A member's name without "./"; raises UserError if it leads out of the archive."""
    parts = name.replace("\\", "/").split("/")
    if name.startswith("/") or ".." in parts or ":" in parts[0] or "\0" in name:
        raise UserError(f"{path}: member {name!r} leads out of the archive; refused")
    return posixpath.normpath(name)


class Window(io.RawIOBase):
    """A part of a file as a file of its own."""

    def __init__(self, file, start, size):
        super().__init__()
        self._file, self._start, self._size, self._position = file, start, size, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self._position

    def seek(self, offset, whence=io.SEEK_SET):
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size=-1):
        left = max(0, self._size - self._position)
        size = left if size is None or size < 0 else min(size, left)
        self._file.seek(self._start + self._position)
        content = self._file.read(size)
        self._position += len(content)
        return content


class _Blocks:
    """A decompressed stream that remembers its last block, and refuses to grow without end."""

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
