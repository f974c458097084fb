"""SIGINT (Ctrl-C) and SIGTERM (preemption): the run finishes its step, saves it and ends."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A run, or work that can be given up midway, was asked to stop.

    Args:
        message: one line for the user; from a run, it says whether the last step is saved.
        number: of the signal; the process exits with 128 more: 130 for SIGINT, 143 for SIGTERM.
    """

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class InterruptGuard:
    """While entered, the first of `SIGNALS` only sets `requested`; a second one ends the process at
    once, whatever it is doing. Saved checkpoints are not affected.

    Args:
        say: called with a line for the user.

    Attributes:
        requested: number of the first signal; 0 for none.
    """

    def __init__(self, say: Callable[[str], object] = lambda line: None) -> None:
        self.requested = 0
        self._say = say
        self._previous = {}

    def raise_if_requested(self) -> None:
        """Raises Interrupted if a signal came; for work that can be given up midway."""
        if self.requested:
            raise Interrupted("asked to stop", self.requested)

    def __enter__(self) -> "InterruptGuard":
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _on_signal(self, number, frame):
        del frame
        for each in SIGNALS:
            signal.signal(each, _end if os.getpid() == 1 else signal.SIG_DFL)
        self.requested = int(number)
        with contextlib.suppress(RuntimeError):  # the signal came during another print
            self._say("stopping at the next step, saved; again: at once, unsaved")


def _end(number, frame):
    """Ends the process as SIG_DFL would, which a container's first process ignores."""
    del frame
    os._exit(128 + number)
