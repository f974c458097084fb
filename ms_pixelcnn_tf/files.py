"""Files that are either whole or absent: written under a temporary name, then renamed."""

import contextlib
import os
import pathlib
import threading


@contextlib.contextmanager
def replacing(path):
    """Yields a temporary path beside `path`; on success it takes `path`'s place, else it goes."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path, text):
    """Writes `text` to `path` as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
