"""No live line while a test trains."""


class SilentProgress:
    """Stands in for `training.progress.Progress`."""

    def __init__(self, first_step, steps):
        del first_step, steps

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def say(self, line):
        pass

    def update(self, step, bits):
        pass
