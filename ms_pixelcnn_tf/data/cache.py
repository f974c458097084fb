"""The folder that keeps decoded images and indices of records between runs.

It may be deleted at any time.
"""

import hashlib
import logging
import os
import pathlib
import tempfile
import zipfile
import zlib

ENVIRONMENT_VARIABLE = "MS_PIXELCNN_CACHE"
# Raised on reading an .npz or other zip file that is missing, cut short or overwritten.
DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)

logger = logging.getLogger(__name__)


def cache_folder() -> pathlib.Path:
    """The folder named by `MS_PIXELCNN_CACHE`, or `~/.cache/ms_pixelcnn_tf`.

    For a user without a home directory, it is among the temporary files.
    """
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return pathlib.Path(named)
    try:
        return pathlib.Path.home() / ".cache" / "ms_pixelcnn_tf"
    except RuntimeError:
        return pathlib.Path(tempfile.gettempdir()) / "ms_pixelcnn_tf"


def key_of(*parts: object) -> str:
    """A key, short enough for a file name, of values that their `repr` identifies."""
    return hashlib.sha256(repr(parts).encode("utf-8")).hexdigest()[:24]


def log_unwritable(error: OSError) -> None:
    """Logs that nothing could be kept: the run continues, and the next one repeats the work."""
    logger.warning(
        "cannot keep decoded images in %s (%s); set %s to a folder that can be written",
        cache_folder(),
        error,
        ENVIRONMENT_VARIABLE,
    )
