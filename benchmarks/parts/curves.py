"""Validation curves of several runs, read at equal time and at equal examples. Numbers only."""

import itertools

# The paper's bits per sub-pixel, OlogN less ON, on ImageNet 32x32: 3.95 and 3.83.
PAPER_GAP = 0.12


def time_field(curves):
    """ "cpu_seconds" if every record of every curve has it, else "seconds" (wall-clock).

    On a machine that others use too, processor time is what a run had to work with.

    Args:
        curves: dict name → records of metrics.jsonl.
    """
    records = [record for curve in curves.values() for record in curve]
    return "cpu_seconds" if all("cpu_seconds" in record for record in records) else "seconds"


def common_reach(curves, field):
    """The largest value of `field` that every curve reaches: the smallest of their last ones."""
    return min(curve[-1][field] for curve in curves.values())


def bits_at(curve, field, value):
    """Validation bits where `field` is `value`, on straight lines between the records.

    Returns:
        Bits per sub-pixel, or None outside the curve: nothing is extrapolated.
    """
    points = [(record[field], record["validation_bits"]) for record in curve]
    for (left, before), (right, after) in itertools.pairwise(points):
        if left <= value <= right:
            return before + (after - before) * (value - left) / (right - left)
    return next((bits for place, bits in points if place == value), None)


def compare(curves, baseline):
    """Every run at equal time and at equal examples, and its gap to the baseline there.

    Args:
        curves: dict name → records of metrics.jsonl, none of them empty.
        baseline: the name of the run to take differences from; it may be missing.

    Returns:
        dict with "time_field", "common_time", "common_examples" and "runs": name → dict of
        "bits_at_equal_time", "bits_at_equal_examples", "gap_at_equal_time" and
        "gap_at_equal_examples" (bits per sub-pixel; None where there is none).
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
