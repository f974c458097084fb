"""Times calls, and summarises the times of several rounds."""

import statistics
import time


def seconds_of(function):
    """Wall-clock seconds of one call, which must not return before its results are ready."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def spread(values):
    """The median, the smallest and the largest of some numbers, as a dict for JSON."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def format_spread(values, digits=2):
    """A `spread` → "1.20 (1.15–1.31)"."""
    middle, low, high = (f"{values[name]:,.{digits}f}" for name in ("median", "min", "max"))
    return f"{middle} ({low}–{high})"
