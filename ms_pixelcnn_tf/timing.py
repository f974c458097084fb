"""How long a call takes."""

import statistics
import time

REPEATS = 3  # timings a median is taken of


def median_seconds(function):
    """Median wall time of `function`, in seconds, after one call to compile it."""
    function()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
