"""Writes the report on what each departure from the paper is worth, from the runs' folders."""

import json
import pathlib
import sys

from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.runs.metrics import read_metrics
from parts.curves import bits_at, common_reach
from parts.pages import publish, shown, table

KINDS = {"time": "equal processor time", "examples": "equal examples"}
COUNTS = {True: "yes", False: "no", None: "–"}  # whether a difference does
DATA = {
    "images": "tiny-imagenet-32, the preset `small`",
    "conditions": "`shapes` at 32x32 with captions and keypoints, all scales trained together",
    "videos": "`shapes_push` at 32x32, OTlogN with four frame-encoder blocks; an example is a clip",
}


def write(options, runs, excluded):
    """Reads the finished runs, and writes the page `departures`.

    Args:
        options: `workdir` and `out`.
        runs: name → a tuple that starts with the run's group.
        excluded: name of a departure that has no run → the reason.

    Raises:
        UserError: if no group has a finished run of our values.
    """
    folder, groups, calibrations = pathlib.Path(options.workdir), {}, {}
    for name, (group, *_) in runs.items():
        curve, file = read_metrics(folder / name), folder / f"{name}.json"
        if not curve or not file.is_file():
            continue
        found = json.loads(file.read_text(encoding="utf-8"))
        if curve[-1]["step"] < found["steps"]:
            print(f"{name} is not finished: left out", file=sys.stderr)
            continue
        calibrations[name] = found
        groups.setdefault(group, {})[name] = curve
    groups = {group: curves for group, curves in groups.items() if f"{group}-ours" in curves}
    if not groups:
        raise UserError(f"{folder} has no finished run GROUP-ours; train one, such as images-ours")
    results = {"excluded": excluded, "groups": {}}
    for group, curves in groups.items():
        found = summarise(group, curves)
        for name, run in found["runs"].items():
            run |= {"calibration": calibrations[name], "curve": curves[name]}
        results["groups"][group] = found
    publish(options, "departures", "What each departure from the paper is worth", results, body)


def summarise(group, curves):
    """Compares the runs of a group with our values: at the end of each run, since their steps were
    chosen for equal time, and at the smallest number of examples that any run saw.

    Args:
        group: the group's name.
        curves: name → records of metrics.jsonl; GROUP-ours is among them.

    Returns:
        dict with "common_examples", "spread" (kind → bits per sub-pixel between the two seeds of
        our values, or None) and "runs". Each run has "time" and "examples", dicts of "bits",
        "difference" (to GROUP-ours; above zero the run is worse) and "exceeds" (whether the
        difference is larger than the spread), or None if unknown.
    """
    common, runs, spread = common_reach(curves, "examples"), {}, {}
    for name, curve in curves.items():
        last = curve[-1]
        runs[name] = {
            "steps": last["step"],
            "minutes": last["cpu_seconds"] / 60,
            "per_second": last["examples"] / last["cpu_seconds"],
            "time": {"bits": last["validation_bits"]},
            "examples": {"bits": bits_at(curve, "examples", common)},
        }
    for kind in KINDS:
        spread[kind] = None
        ours = runs[f"{group}-ours"][kind]["bits"]
        again = runs.get(f"{group}-ours-again", {kind: {"bits": None}})[kind]["bits"]
        if None not in (ours, again):
            spread[kind] = abs(again - ours)
        for run in runs.values():
            own = run[kind]
            own["difference"] = None if None in (ours, own["bits"]) else own["bits"] - ours
            known = None not in (spread[kind], own["difference"])
            own["exceeds"] = abs(own["difference"]) > spread[kind] if known else None
    return {"common_examples": common, "spread": spread, "runs": runs}


def body(results):
    """The page's paragraphs."""
    excluded = results["excluded"].items()
    left_out = "".join(f" `{name}` has no run: it {reason}." for name, reason in excluded)
    parts = [
        "`bin/benchmark departures train` makes the runs (defined in `benchmarks/departures.py`).",
        '[The departures](../../docs/departures.md) are tested one at a time: "ours less" one '
        'of them has the paper\'s value of that field and our values of all others; "paper" has '
        "the paper's values of all departures in its table, and ours of the others. Bits per "
        "sub-pixel of the validation examples, with averaged weights; differences are to "
        '"ours", and above zero the run is worse. A difference counts if it is larger than that '
        'between "ours" and "ours again", another seed; two seeds show the spread only roughly.'
        f"{left_out}",
        'Equal processor time: a step of each run was timed in turn with a step of "ours", and '
        "the run has as many steps as that ratio allows in the time of ours, so that its learning "
        "rate ends its schedule within it; the warm-up is a tenth of the steps. Sampling is not "
        "part of it: what a departure such as `type_a_colour` saves there is not shown. Minutes "
        "are those that the run took, with building its graph and other work on the machine. Equal "
        "examples: read from the validation curves, on straight lines, at the smallest number of "
        "examples that any run of the table saw. The slowest run has ended its schedule there and "
        "the others have not, which favours the slowest.",
    ]
    for group, found in results["groups"].items():
        parts += [f"## {group.capitalize()}", f"{DATA[group]}.", _table(group, found)]
    return parts


def _table(group, found):
    columns = [
        ("run", lambda item: item[0].removeprefix(f"{group}-").replace("-", " ")),
        ("parameters", lambda item: f"{item[1]['calibration']['parameters'] / 1e6:.2f} M"),
        ("steps", lambda item: f"{item[1]['steps']:,}"),
        ("seconds/step", lambda item: f"{item[1]['calibration']['seconds_per_step']:.3f}"),
        ("minutes", lambda item: f"{item[1]['minutes']:.1f}"),
        ("examples/s", lambda item: f"{item[1]['per_second']:.1f}"),
    ]
    heads = {"time": "equal time", "examples": f"at {found['common_examples']:,} examples"}
    for kind, head in heads.items():
        columns += [
            (head, lambda item, kind=kind: shown(item[1][kind]["bits"], ".4f")),
            ("less ours", lambda item, kind=kind: shown(item[1][kind]["difference"], "+.4f")),
            ("counts", lambda item, kind=kind: COUNTS[item[1][kind]["exceeds"]]),
        ]
    return table(columns, found["runs"].items())
