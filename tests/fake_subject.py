"""Subjects of a benchmark's worker that need no model."""

import os


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


class Killed(Counter):
    """Ends as a process does that the system kills."""

    def measure(self):
        os._exit(9)
