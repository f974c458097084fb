"""Rules that every archive must follow, and the errors for archives that break them."""

import contextlib
import lzma
import posixpath
import tarfile
import zipfile
import zlib
from collections.abc import Iterator

from ms_pixelcnn_tf.errors import UserError

MAX_MEMBER = 2**29  # bytes of one member in memory
# Exceptions that the standard library's readers raise for damaged bytes.
DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    IndexError,
    KeyError,
)


@contextlib.contextmanager
def faults_told(where: str) -> Iterator[None]:
    """Turns any exception in `DAMAGED` into a `UserError` that begins with `where`."""
    try:
        yield
    except UserError:
        raise
    except DAMAGED as error:
        raise UserError(f"{where}: {error or type(error).__name__}") from error


def clean(path: str, name: str) -> str:
    """A member's name, normalised. Raises UserError if it leads out of the archive."""
    parts = name.replace("\\", "/").split("/")
    if name.startswith("/") or ".." in parts or ":" in parts[0] or "\0" in name:
        raise UserError(f"{path}: member {name!r} leads out of the archive; refused")
    return posixpath.normpath(name)
