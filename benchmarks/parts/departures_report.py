"""Writes the report on what each departure from the paper is worth, from the runs' folders."""

import json
import pathlib
import sys

import machine
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.runs.metrics import read_metrics
from parts.curves import bits_at, common_reach
from parts.tables import markdown_table, write_results, yes

NAME = "departures"
COMMAND = f"bin/benchmark {NAME}"
KINDS = {"time": "equal processor time", "examples": "equal examples"}
DATA = {
    "images": "tiny-imagenet-32, the preset `small`",
    "conditions": "`shapes` at 32x32 with captions and keypoints, all scales trained together",
    "videos": "`shapes_push` at 32x32, OTlogN with four frame-encoder blocks; an example is a clip",
}


def write(options, runs, fields, excluded):
    """Reads the finished runs and writes departures.md and departures.json; returns the page.

    Args:
        options: `workdir`, `out` and `note`.
        runs: name → a tuple that starts with the run's group.
        fields: group → its departures, by name.
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
    results = {"machine": machine.describe(), "notes": options.note, "groups": {}}
    for group, curves in groups.items():
        found = summarise(group, curves)
        for name, run in found["runs"].items():
            run |= {"calibration": calibrations[name], "curve": curves[name]}
        found["verdicts"] = [verdict(group, fields[group], kind, found) for kind in KINDS]
        results["groups"][group] = found
    page = markdown(results, excluded)
    write_results(options.out, NAME, page, results)
    return page


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


def verdict(group, fields, kind, found):
    """One sentence that lists the departures worth keeping, those that make no clear difference,
    and those that are worse than the paper's value."""
    sorts = {"worth keeping": [], "no clear difference": [], "better at the paper's value": []}
    keep, unclear, harm = sorts.values()
    for name in fields:
        own = found["runs"].get(f"{group}-ours-less-{name}", {}).get(kind, {"exceeds": None})
        if own["exceeds"] is not None:
            place = unclear if not own["exceeds"] else keep if own["difference"] > 0 else harm
            place.append(f"`{name}`")
    parts = [f"{sort}: {', '.join(names)}" for sort, names in sorts.items() if names]
    if not parts:
        return f"At {KINDS[kind]} no departure can be judged yet."
    return (
        f"At {KINDS[kind]} (two seeds differ by {found['spread'][kind]:.4f} bits per sub-pixel), "
        f"{'; '.join(parts)}."
    )


def markdown(results, excluded):
    """The page as Markdown."""
    left_out = "".join(f" `{name}` has no run: it {reason}." for name, reason in excluded.items())
    parts = [
        "# What each departure from the paper is worth",
        f"`{COMMAND} train` makes the runs (defined in `benchmarks/departures.py`), `{COMMAND} "
        f"report` this page. {machine.sentences(results['machine'])}",
        *results["notes"],
        '[The departures](../../docs/departures.md) are tested one at a time: "ours less" one '
        'of them has the paper\'s value of that field and our values of all others; "paper" has '
        "the paper's values of all departures in its table, and ours of the others. "
        "Bits per sub-pixel of the validation "
        'examples, with averaged weights; differences are to "ours", and above zero the run is '
        'worse. A difference counts if it is larger than that between "ours" and "ours again", '
        f"another seed; two seeds show the spread only roughly.{left_out}",
        'Equal processor time: a step of each run was timed in turn with a step of "ours", and '
        "the run has as many steps as that ratio allows in the time of ours, so that its learning "
        "rate ends its schedule within it; the warm-up is a tenth of the steps. Sampling is not "
        "part of it: what a departure such as `type_a_colour` saves there is not shown. Minutes "
        "are those that the run took, with building its graph and beside other work. Equal "
        "examples: read from the validation curves, on straight lines, at the "
        "smallest number of examples that "
        "any run of the table saw. The slowest run has ended its schedule there and the others "
        "have not, which favours the slowest.",
    ]
    for group, found in results["groups"].items():
        parts += [f"## {group.capitalize()}", f"{DATA[group]}.", _table(group, found).rstrip()]
        parts += found["verdicts"]
    return "\n\n".join(parts) + "\n"


def _table(group, found):
    half = ("less ours", "counts")
    header = ("run", "parameters", "steps", "seconds/step", "minutes", "examples/s")
    return markdown_table(
        (*header, "equal time", *half, f"at {found['common_examples']:,} examples", *half),
        [
            (
                name.removeprefix(f"{group}-").replace("-", " "),
                f"{run['calibration']['parameters'] / 1e6:.2f} M",
                f"{run['steps']:,}",
                f"{run['calibration']['seconds_per_step']:.3f}",
                f"{run['minutes']:.1f}",
                f"{run['per_second']:.1f}",
                *(cell for kind in KINDS for cell in _cells(run[kind])),
            )
            for name, run in found["runs"].items()
        ],
    )


def _cells(own):
    shown = ("–" if own["bits"] is None else f"{own['bits']:.4f}",)
    if own["difference"] is None:
        return (*shown, "–", "–")
    counts = "–" if own["exceeds"] is None else yes(own["exceeds"])
    return (*shown, f"{own['difference']:+.4f}", counts)
