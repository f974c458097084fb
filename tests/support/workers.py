"""Subjects of a benchmark's worker that need no model, and workers without processes."""

import contextlib
import importlib
import os

from ms_pixelcnn_tf.errors import UserError
from parts.worker import peak_memory


class Counter:
    """Counts its rounds, from `start`."""

    def __init__(self, start):
        self.count = start

    def facts(self):
        return {"process": os.getpid(), "start": self.count}

    def measure(self):
        self.count += 1
        return self.count


class Faulty(Counter):
    """Fails in its first round."""

    def measure(self):
        raise ValueError("no such number")


class Mistaken(Counter):
    """Is asked for what it does not have."""

    def __init__(self, start):
        raise UserError("unknown start; valid: none")


class Killed(Counter):
    """Ends as a process does that the system kills."""

    def measure(self):
        os._exit(9)


class Holder(Counter):
    """Holds 256 MiB from its first round on; a round tells the peak of memory before and after."""

    def measure(self):
        before = peak_memory()
        held = bytearray(2**28)
        held[::4096] = b"x" * len(held[::4096])
        return before, peak_memory()


class Here:
    """A `Worker` in this process."""

    def __init__(self, name, *arguments):
        module, kind = name.split(":")
        self._subject = getattr(importlib.import_module(module), kind)(*arguments)
        self.facts = self._subject.facts()
        self.measure = self._subject.measure


@contextlib.contextmanager
def in_process(subjects):
    """As `parts.worker.workers`."""
    yield {key: Here(*arguments) for key, arguments in subjects.items()}
