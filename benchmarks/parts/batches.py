"""Many rows, a few at a time."""


def in_batches(num, size):
    """Slices of `size` rows, the last perhaps of fewer, that cover `num` rows in order."""
    for start in range(0, num, size):
        yield slice(start, min(start + size, num))
