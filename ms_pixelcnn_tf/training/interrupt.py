"""Ctrl-C between steps: the step at hand is finished and saved before the run ends."""

import signal
import threading


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop, and has saved its state. The message is one line for the user."""


class InterruptGuard:
    """While entered, SIGINT and SIGTERM only set `requested`; a second one ends the run at once.

    Args:
        say: takes a line for the user, who may wait for a validation to end.
    """

    def __init__(self, say=lambda line: None):
        self.requested = False
        self._say = say
        self._previous = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *exception):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _on_signal(self, number, frame):
        del number, frame
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self._say("stopping at the next step, saved; again: at once, unsaved")
