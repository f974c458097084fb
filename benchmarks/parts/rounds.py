"""Measures in rounds: all workers are ready together, and each is measured once per round.

A drift of the machine thus affects all alike, and a ratio is the median of the rounds' own ratios.
"""

import sys

from parts.timing import spread
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


def spread_of(rounds, name, factor=1.0):
    """The `spread` over the rounds of the number called `name`, times a factor."""
    return spread([factor * one[name] for one in rounds])


def ratios(slow, fast, of="sampling", over=None):
    """The `spread` of time `of` of `slow` over time `over` (default `of`) of `fast`, per round."""
    return spread([a[of] / b[over or of] for a, b in zip(slow, fast, strict=True)])
