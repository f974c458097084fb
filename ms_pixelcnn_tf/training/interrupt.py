"""SIGINT (Ctrl-C) and SIGTERM (preemption): the current step is finished and saved, then the run
ends."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop, and has saved its state.

    Args:
        message: one line for the user.
        number: of the signal; the process exits with 128 more: 130 for SIGINT, 143 for SIGTERM.
    """

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class InterruptGuard:
    """While entered, the first of `SIGNALS` only sets `requested`; a second one ends the process at
    once, by the operating system, whatever it is doing. Nothing saved before is lost by that.

    Args:
        say: takes a line for the user.

    Attributes:
        requested: number of the signal that came; 0 for none.
    """

    def __init__(self, say: Callable[[str], object] = lambda line: None) -> None:
        self.requested = 0
        self._say = say
        self._previous = {}

    def raise_if_requested(self) -> None:
        """Raises Interrupted if a signal came: for work that can be given up in its midst."""
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
        with contextlib.suppress(RuntimeError):  # it came in the midst of another print
            self._say("stopping at the next step, saved; again: at once, unsaved")


def _end(number, frame):
    """What the default does, which a container's first process is spared."""
    del frame
    os._exit(128 + number)
