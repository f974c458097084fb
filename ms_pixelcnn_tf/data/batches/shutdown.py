"""Who is reading a batch, so that a program can end while batches are read ahead."""

import atexit
import threading
import time


class Readers:
    """A context that each reader enters.

    TensorFlow's threads must not be in Python when the interpreter goes, or neither would end: so
    `close` waits for them, and lets no other in.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count, self._closed = 0, False

    def __enter__(self) -> None:
        with self._changed:
            if self._closed:
                raise StopIteration  # of this TensorFlow writes nothing to the log
            self._count += 1

    def __exit__(self, *exception: object) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Returns when nobody reads."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._count == 0)
        time.sleep(0.05)  # for the few calls more, which end at once


readers = Readers()
atexit.register(readers.close)
