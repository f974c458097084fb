"""The files of a published data set, read from a folder, a tar, a tar of tars or a zip.

Nothing is unpacked. Files have the names that they would have if every archive in the source folder
were unpacked in place, and every plain tar in a plain tar into a folder with its name. Any process
can read a member of a plain tar or a zip by itself. Members of a compressed tar can be read only in
order, so `Tree.contents` reads them in one pass and yields their bytes.

A `UserError` that names the archive and the place is raised if the archive is cut short or damaged,
if a member's name is absolute or leads out of the archive, if a member is encrypted, a link or a
device, or if a compressed tar exceeds a size limit when decompressed (`tars.MAX_GROWTH`).
"""

import hashlib
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

from ms_pixelcnn_tf.errors import UserError
from tfrecords_tools import archive_rules, tars, zips
from tfrecords_tools.tars import COMPRESSED, PLAIN
from tfrecords_tools.zips import ZIPPED


class Member(NamedTuple):
    """The location of one file's bytes; can be sent to another process.

    Attributes:
        name: path within the source, its parts separated by "/".
        path: the file on disk that holds it.
        offset: byte at which it starts there; None in a zip or a compressed tar.
        size: length in bytes.
        inner: name in the zip or the compressed tar, else "".
    """

    name: str
    path: str
    offset: int | None
    size: int
    inner: str = ""

    def read(self) -> bytes:
        """The file's bytes. Raises UserError if they are too many, damaged or incomplete."""
        limit = archive_rules.MAX_MEMBER
        if self.size > limit:
            raise UserError(f"{self.where}: {self.size} bytes, more than {limit}; not read")
        with archive_rules.faults_told(self.where):
            content = self._read()
        if len(content) != self.size:
            raise UserError(f"{self.where}: cut short, {len(content)} of {self.size} bytes")
        return content

    @property
    def where(self) -> str:
        """The file and the member, for messages."""
        if self.path.endswith(self.name):
            return self.path
        return f"{self.path}, member {self.name}"

    @property
    def in_order_only(self) -> bool:
        """Whether it is in a compressed tar, so that it cannot be read by itself."""
        return self.offset is None and not self.path.lower().endswith(ZIPPED)

    def _read(self):
        if self.offset is not None:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                return file.read(self.size)
        if self.in_order_only:
            raise UserError(f"{self.where}: members of a compressed tar come in order only")
        return zips.opened(self.path).read(self.inner)


Content: TypeAlias = Member | bytes  # bytes for members of a compressed tar


class Tree:
    """All files of a source.

    Args:
        source: a folder, or one archive.

    Raises:
        UserError: if it is neither, or if an archive in it is refused.
    """

    def __init__(self, source: str | os.PathLike) -> None:
        self.source = pathlib.Path(source).expanduser()
        self.members: dict[str, Member] = {}
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

    def fingerprint(self) -> str:
        """A hash (hex) of the names and sizes of all files."""
        listing = sorted((member.name, member.size) for member in self.members.values())
        return hashlib.sha256(repr(listing).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def find(self, name: str, what: str = "") -> str:
        """The full name of the file nearest to the top whose path ends in `name`.

        Raises:
            UserError: if there is none; `what` adds to the message what the user should give.
        """
        found = self.find_all(name)
        if not found:
            raise UserError(f"{self.source} holds no {name}" + (f"; {what}" if what else ""))
        return found[0]

    def find_all(self, name: str) -> list[str]:
        """Full names of all files whose path ends in `name`, those nearest to the top first."""
        found = [path for path in self.members if path == name or path.endswith("/" + name)]
        return sorted(found, key=lambda path: (path.count("/"), path))

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        """dict name → bytes of the given files, all in memory."""
        return {name: content_bytes(content) for name, content in self.contents(names)}

    def text(self, name: str) -> str:
        """A file as text: UTF-8, or Latin-1 if it is not valid UTF-8."""
        content = self.read([name])[name]
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            return content.decode("latin-1")

    def contents(self, names: Iterable[str]) -> Iterator[tuple[str, Content]]:
        """Yields `(name, Member or bytes)` of the given files.

        First come the files that can be read by themselves, as `Member`, in the given order; then
        the members of compressed tars, as bytes, each tar read in one pass.
        """
        streamed: dict[str, dict[str, str]] = {}
        for name in names:
            member = self.members[name]
            if member.in_order_only:
                streamed.setdefault(member.path, {})[member.inner] = name
            else:
                yield name, member
        for path, wanted in streamed.items():
            for info, read in tars.streamed(path):
                if info.name in wanted:
                    yield wanted[info.name], read()

    def _add_folder(self):
        seen = set()
        for parent, directories, files in os.walk(self.source, followlinks=True):
            if os.path.realpath(parent) in seen:  # reached before, through a link
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
        # A file that is also unpacked next to its archive counts once.
        self.members.setdefault(member.name, member)


def content_bytes(content: Content) -> bytes:
    """The bytes of a `Member` or bytes that `Tree.contents` yields."""
    return content if isinstance(content, bytes) else content.read()


def is_archive(name: str) -> bool:
    """Whether a file of this name is opened as an archive."""
    return name.lower().endswith((*PLAIN, *COMPRESSED, *ZIPPED))


def _members(path):
    """Yields a `Member` for each file of an archive, with its path in the archive as name."""
    with archive_rules.faults_told(path):
        if path.lower().endswith(ZIPPED):
            for name, info in zips.members(path):
                yield Member(name, path, None, info.file_size, info.filename)
        elif path.lower().endswith(PLAIN):
            with open(path, "rb") as file:
                for name, offset, size in tars.members(path, file, 0, os.path.getsize(path)):
                    yield Member(name, path, offset, size)
        else:
            for info, _ in tars.streamed(path):
                name = archive_rules.clean(path, info.name)
                yield Member(name, path, None, info.size, info.name)
