"""Compares validation curves of several runs at equal time and at equal examples."""

import itertools

# The paper's OlogN less ON on ImageNet 32x32, in bits per sub-pixel: 3.95 less 3.83.
PAPER_GAP = 0.12


def common_reach(curves, field):
    """The largest value of `field` that every curve reaches: the smallest last value."""
    return min(curve[-1][field] for curve in curves.values())


def bits_at(curve, field, value):
    """Validation bits where `field` is `value`, interpolated linearly between the records.

    Returns:
        Bits per sub-pixel, or None outside the curve.
    """
    points = [(record[field], record["validation_bits"]) for record in curve]
    for (left, before), (right, after) in itertools.pairwise(points):
        if left <= value <= right:
            return before + (after - before) * (value - left) / (right - left)
    return next((bits for place, bits in points if place == value), None)


def compare(curves, baseline):
    """The bits of every run at equal time and at equal examples, with its gap to the baseline.

    Time is processor time: on a shared machine, only that says how much work a run could do.

    Args:
        curves: dict name → records of metrics.jsonl, none of them empty.
        baseline: name of the run to take gaps to; it may be missing.

    Returns:
        dict with "common_time" in seconds, "common_examples" and "runs": name → dict of
        "bits_at_equal_time", "bits_at_equal_examples", "gap_at_equal_time" and
        "gap_at_equal_examples" (bits per sub-pixel, or None).
    """
    found = {"runs": {name: {} for name in curves}}
    for kind, field in (("time", "cpu_seconds"), ("examples", "examples")):
        found[f"common_{kind}"] = reach = common_reach(curves, field)
        bits = {name: bits_at(curve, field, reach) for name, curve in curves.items()}
        for name, run in found["runs"].items():
            run[f"bits_at_equal_{kind}"] = bits[name]
            known = name != baseline and None not in (bits[name], bits.get(baseline))
            run[f"gap_at_equal_{kind}"] = bits[name] - bits[baseline] if known else None
    return found
