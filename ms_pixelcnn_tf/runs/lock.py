"""One training process per run folder: it holds a lock file, and an owner file names it.

The operating system releases the lock when the process ends, however it ends. So an owner file
without a lock is stale, and the next process takes over.
"""

import contextlib
import json
import os
import pathlib
import socket
import time
from collections.abc import Callable, Iterator

from filelock import FileLock, Timeout

from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.files import write_text
from ms_pixelcnn_tf.types import AnyPath

LOCK = "training.lock"
PATIENCE = 0.2  # seconds: `is_trained_in` in another process may hold the lock for an instant
UNKNOWN = dict.fromkeys(("pid", "host", "since"), "unknown")


@contextlib.contextmanager
def training_in(workdir: AnyPath) -> Iterator[None]:
    """While entered, only this process may train in `workdir`, which is created if missing.

    Raises:
        UserError: if a run is being trained in it, by this process or another; the message names
            the process and host.
    """
    path = pathlib.Path(workdir) / LOCK

    def refusal(owner):
        return (
            f"{workdir} is being trained in by process {owner['pid']} on host {owner['host']}, "
            f"since {owner['since']}; wait for it, stop it, or give another --workdir (if no such "
            f"process runs, remove {path})"
        )

    with alone(path, refusal):
        yield


def is_trained_in(workdir: AnyPath) -> bool:
    """Whether a process is training in a run folder now."""
    path = pathlib.Path(workdir) / LOCK
    if not owner_file(path).exists():
        return False
    try:
        with _locked(path):
            return False
    except (Timeout, PermissionError):  # held, or of a user whose files we may not lock
        return True


@contextlib.contextmanager
def alone(path: pathlib.Path, refusal: Callable[[dict], str]) -> Iterator[None]:
    """While entered, this process holds the lock file `path`; `owner_file(path)` names the process.

    Args:
        path: the lock file; its folder is created if missing.
        refusal: function of the owner, a dict of `pid`, `host` and `since`; returns the error
            message.

    Raises:
        UserError: with that message, if this process or another holds the lock already.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    owner = owner_file(path)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_locked(path))
        except Timeout:
            raise UserError(refusal(UNKNOWN | _read(owner))) from None
        stack.callback(owner.unlink, missing_ok=True)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        us = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
        write_text(owner, json.dumps(us) + "\n")
        yield


def owner_file(path: pathlib.Path) -> pathlib.Path:
    """The file that names the holder of a lock: Windows lets nobody read the lock file itself."""
    return path.with_name(f"{path.name}.owner")


def _locked(path):
    return FileLock(path).acquire(timeout=PATIENCE, poll_interval=0.01)


def _read(path):
    """The content of an owner file, a dict; empty if it cannot be read."""
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}
