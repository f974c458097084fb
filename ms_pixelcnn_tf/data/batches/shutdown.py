"""Waits for the threads that read batches, so that a program can exit during prefetching."""

import atexit
import threading
import time


class Readers:
    """A context that each reader enters.

    If one of TensorFlow's threads runs Python while the interpreter exits, neither ends. So `close`
    waits for all readers and admits no more.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count, self._closed = 0, False

    def __enter__(self) -> None:
        with self._changed:
            if self._closed:
                raise StopIteration  # TensorFlow does not log this error
            self._count += 1

    def __exit__(self, *exception: object) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Admits no more readers and waits until none is left."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._count == 0)
        time.sleep(0.05)  # for calls refused in the meantime, which end at once


readers = Readers()
atexit.register(readers.close)
