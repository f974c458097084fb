"""Slices that divide many rows into small batches."""


def in_batches(num, size):
    """Yields slices of `size` rows that cover `num` rows in order; the last may be smaller."""
    for start in range(0, num, size):
        yield slice(start, min(start + size, num))
