"""Measures in rounds: all workers are ready together, and each is measured once per round.

A drift of the machine thus affects all alike, and a ratio is the median of the rounds' own ratios.
"""

import statistics
import sys
import time

from parts.worker import workers


def run(subjects, repeats):
    """Measures subjects in rounds.

    Args:
        subjects: name → the arguments of its `Worker`.
        repeats: rounds.

    Returns:
        Name → the result of `measure` in each round, and name → the subject's facts.
    """
    with workers(subjects) as running:
        rounds = {name: [] for name in running}
        for repeat in range(repeats):
            for name, worker in running.items():
                rounds[name].append(worker.measure())
            print(f"round {repeat + 1} of {repeats}", file=sys.stderr, flush=True)
        return rounds, {name: worker.facts for name, worker in running.items()}


def spread_of(rounds, name):
    """The `spread` over the rounds of the number called `name`."""
    return spread([one[name] for one in rounds])


def ratios(slow, fast, of="sampling", over=None):
    """The `spread` of time `of` of `slow` over time `over` (default `of`) of `fast`, per round."""
    return spread([a[of] / b[over or of] for a, b in zip(slow, fast, strict=True)])


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
