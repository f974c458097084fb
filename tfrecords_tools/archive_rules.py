"""What every archive has to keep to, and how a fault in one is told."""

import contextlib
import lzma
import posixpath
import tarfile
import zipfile
import zlib
from collections.abc import Iterator

from ms_pixelcnn_tf.errors import UserError

MAX_MEMBER = 2**29  # bytes of one member in memory
# What the standard library's readers raise for damaged bytes.
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
    """Raises a `UserError` that names the place for whatever damaged bytes raise inside."""
    try:
        yield
    except UserError:
        raise
    except DAMAGED as error:
        raise UserError(f"{where}: {error or type(error).__name__}") from error


def clean(path: str, name: str) -> str:
    """A member's name without "./"; raises UserError if it leads out of the archive."""
    parts = name.replace("\\", "/").split("/")
    if name.startswith("/") or ".." in parts or ":" in parts[0] or "\0" in name:
        raise UserError(f"{path}: member {name!r} leads out of the archive; refused")
    return posixpath.normpath(name)
