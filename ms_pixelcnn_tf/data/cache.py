"""Where decoded images are kept between runs, and how a file gets there in one piece."""

import contextlib
import hashlib
import logging
import os
import pathlib
import tempfile

ENVIRONMENT_VARIABLE = "MS_PIXELCNN_CACHE"

logger = logging.getLogger(__name__)


def cache_folder():
    """The folder named by `MS_PIXELCNN_CACHE`, or `~/.cache/ms_pixelcnn_tf`."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    return pathlib.Path(named) if named else pathlib.Path.home() / ".cache" / "ms_pixelcnn_tf"


def key_of(*parts):
    """A file-name-sized key of anything whose `repr` says all about it."""
    return hashlib.sha256(repr(parts).encode("utf-8")).hexdigest()[:24]


@contextlib.contextmanager
def writing(path):
    """Opens a new file for writing that takes the name `path` only once it is whole.

    Raises:
        OSError: where the folder cannot be made or written to, or the disk is full.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=path.name + ".", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:  # an interrupt too must not leave half a file behind
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def log_unwritable(error):
    """Logs that nothing could be kept: the run goes on, the next one decodes again."""
    logger.warning(
        "cannot keep decoded images in %s (%s); set %s to a folder that can be written",
        cache_folder(),
        error,
        ENVIRONMENT_VARIABLE,
    )
