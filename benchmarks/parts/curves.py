"""Compares validation curves of several runs at equal time and at equal examples."""

import itertools

# The paper's OlogN less ON on ImageNet 32x32, in bits per sub-pixel: 3.95 less 3.83.
PAPER_GAP = 0.12


def time_field(curves):
    """The clock to compare by: "cpu_seconds" if all records have it, else "seconds" (wall-clock).

    On a shared machine, only processor time says how much work a run could do.

    Args:
        curves: dict name → records of metrics.jsonl.
    """
    records = [record for curve in curves.values() for record in curve]
    return "cpu_seconds" if all("cpu_seconds" in record for record in records) else "seconds"


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

    Args:
        curves: dict name → records of metrics.jsonl, none of them empty.
        baseline: name of the run to take gaps to; it may be missing.

    Returns:
        dict with "time_field", "common_time", "common_examples" and "runs": name → dict of
        "bits_at_equal_time", "bits_at_equal_examples", "gap_at_equal_time" and
        "gap_at_equal_examples" (bits per sub-pixel, or None).
    """
    time = time_field(curves)
    reach = {"time": common_reach(curves, time), "examples": common_reach(curves, "examples")}
    runs = {name: {} for name in curves}
    for kind, field in (("time", time), ("examples", "examples")):
        bits = {name: bits_at(curve, field, reach[kind]) for name, curve in curves.items()}
        for name in curves:
            runs[name][f"bits_at_equal_{kind}"] = bits[name]
            known = name != baseline and None not in (bits[name], bits.get(baseline))
            runs[name][f"gap_at_equal_{kind}"] = bits[name] - bits[baseline] if known else None
    return {
        "time_field": time,
        "common_time": reach["time"],
        "common_examples": reach["examples"],
        "runs": runs,
    }
