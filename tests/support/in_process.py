"""Workers of a benchmark without processes of their own."""

import contextlib
import importlib


class Here:
    """A `Worker` in this process."""

    def __init__(self, name, *arguments):
        module, kind = name.split(":")
        self._subject = getattr(importlib.import_module(module), kind)(*arguments)
        self.facts = self._subject.facts()
        self.measure = self._subject.measure


@contextlib.contextmanager
def workers(subjects):
    """As `parts.worker.workers`."""
    yield {key: Here(*arguments) for key, arguments in subjects.items()}
