"""One training a folder: a file that the training process holds locked, and that says who it is.

The operating system gives the lock up when its process ends, however it ends. So a file without a
lock on it is stale, whatever it says, and is taken over. On a file system without locks what the
file says must do: the owner is taken to be alive unless it is of this host and its process is gone,
or, where the system tells when a process began, its number is another's by now.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import socket
import time
from collections.abc import Iterator

from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.types import AnyPath

LOCK = "training.lock"
PATIENCE = 0.5  # seconds: `is_trained_in` of another process has the lock for an instant


@contextlib.contextmanager
def training_in(workdir: AnyPath) -> Iterator[None]:
    """While entered, `workdir`, which is made if need be, is this process's to train in.

    Raises:
        UserError: if another training has it, of this process or another; it names its process and
            host.
    """
    path = pathlib.Path(workdir) / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + PATIENCE
        while (taken := _taken(descriptor, fcntl.LOCK_EX)) and time.monotonic() < deadline:
            time.sleep(0.01)
        if taken:
            owner = _read(descriptor)
            raise UserError(
                f"{workdir} is being trained in by process {owner.get('pid', 'unknown')} on host "
                f"{owner.get('host', 'unknown')}, since {owner.get('since', 'unknown')}; wait for "
                f"it, stop it, or give another --workdir (if no such process runs, remove {path})"
            )
        _write(
            descriptor,
            {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "began": _began(os.getpid()),
                "since": time.strftime("%Y-%m-%d %H:%M:%S"),
            },
        )
        try:
            yield
        finally:
            _write(descriptor, {})
    finally:
        os.close(descriptor)


def is_trained_in(workdir: AnyPath) -> bool:
    """Whether a process trains in a folder just now."""
    try:
        descriptor = os.open(pathlib.Path(workdir) / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return _taken(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _taken(descriptor, kind):
    """Takes the lock, and returns False; or returns True, since another has it."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except OSError:  # this file system has none
        return _may_live(_read(descriptor))


def _may_live(owner):
    """Whether a process that a lock file names may be there still."""
    if not isinstance(owner.get("pid"), int):
        return False
    if owner.get("host") != socket.gethostname():
        return True
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    now = _began(owner["pid"])
    return now is None or owner.get("began") in (None, now)


def _began(pid):
    """When a process began, in ticks since the machine did; None where the system does not tell."""
    try:
        status = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(status.rpartition(")")[2].split()[19])  # field 22; the second is a name in brackets


def _read(descriptor):
    """What a lock file says: a dict, empty if it says nothing."""
    try:
        owner = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}


def _write(descriptor, owner):
    text = json.dumps(owner).encode() + b"\n"
    os.pwrite(descriptor, text, 0)
    os.ftruncate(descriptor, len(text))
