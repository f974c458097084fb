"""The rows of Table 4: the samplers to compare, their measurement, and the page.

Samplers that are compared with one another form a group: images with one output distribution and
batch size, or videos. Each group is measured in `rounds`.
"""

import sys
from typing import NamedTuple

from parts import paper_models, rounds
from parts.pages import goals_table, shown, table
from parts.rounds import format_spread

HOW = {"naive": "naive", "cached": "cached", "steps": "a step a call", "graph": "in-graph"}
PAPER = {  # Table 4, seconds on a Quadro M4000: 30 images of 32x32, or a frame of 64x64
    ("ON", "naive"): 120.0,
    ("OlogN", "steps"): 1.17,
    ("OlogN", "graph"): 1.14,
    ("OTN", "naive"): 1929.8,
    ("OT", "steps"): 0.38,
    ("OT", "graph"): 0.37,
    ("OTlogN", "steps"): 3.82,
    ("OTlogN", "graph"): 3.07,
}
PAPERS = "OlogN A, the paper's"  # every departure off: three evaluations of a network per group
PAPER_BATCH = "batch 30"  # of the images
HALF = ", encoder at half size"  # ends the name of a video model with the cheaper frame encoder
VIDEOS = {
    "OT_baseline": ("graph",),
    "OTN": ("naive", "cached"),
    "OT": ("steps", "graph"),
    "OTlogN": ("steps", "graph"),
    f"OT{HALF}": ("graph",),
    f"OTlogN{HALF}": ("graph",),
}
MANY, ONE, CLIP = "images, softmax, batch 30", "images, softmax, batch 1", "videos, batch 1"
RATIOS = {
    "faster_than_naive": "× naive",
    "faster_than_cached": "× cached",
    "sampling_over_likelihood": "sample / likelihood",
}
GOALS = (  # group, model, sampler, ratio, goal
    (MANY, "OlogN A", "graph", "sampling_over_likelihood", "≤ 1.15"),
    (MANY, "OlogN B", "graph", "sampling_over_likelihood", "≤ 1.4"),
    (MANY, "ON", "cached", "sampling_over_likelihood", "≤ 1.6"),
    (MANY, "OlogN A", "graph", "faster_than_naive", "≥ 2,000"),
    (ONE, "OlogN A", "graph", "faster_than_cached", "≥ 6"),
    (CLIP, "OT", "graph", "faster_than_naive", "≥ 10,000"),
    (CLIP, f"OT{HALF}", "graph", "faster_than_naive", "≥ 10,000"),
    (CLIP, "OTlogN", "graph", "faster_than_naive", "≥ 1,500"),
)


class Row(NamedTuple):
    """One sampler of one model."""

    group: str  # that it is compared in
    model: str  # name to show, such as "OlogN A"
    variant: str  # as in a configuration
    sampler: str  # a key of `HOW`
    worker: tuple  # the arguments of its `Worker`
    frames: int = 0  # predicted frames; 0 for images

    @property
    def name(self):
        """A name that is unique within the group."""
        return f"{self.model}, {HOW[self.sampler]}"


def image_rows(options):
    """Yields the rows of images: a group for each output distribution and batch size."""
    olog = {"variant": "OlogN", "upscaler": "A"}
    models = [
        ("ON", {"variant": "ON"}, ("naive", "cached")),
        ("OlogN A", olog, ("steps", "graph")),
        ("OlogN B", olog | {"upscaler": "B"}, ("steps", "graph")),
        (PAPERS, olog | {"preset": "paper"}, ("steps", "graph")),
    ]
    for batch in options.batches:
        for output in options.outputs:
            group = f"images, {output}, batch {batch}"
            # With a DMOL, the paper's network would be evaluated only once too.
            for name, own, samplers in models if output == "softmax" else models[:-1]:
                fields = paper_models.fields(options, size=options.size, output=output, **own)
                for sampler in samplers:
                    work = "parts.samplers:ImageSampler", fields, batch, sampler
                    yield Row(
                        group, name, own["variant"], sampler, (*work, options.naive_evaluations)
                    )


def video_rows(options):
    """Yields the rows of videos, one group."""
    for model, samplers in VIDEOS.items():
        variant = model.removesuffix(HALF)
        stride = 2 if model.endswith(HALF) else 1
        fields = paper_models.video_fields(options, variant, frame_stride=stride)
        for sampler in samplers:
            work = "parts.samplers:VideoSampler", fields, 1, sampler, options.naive_evaluations
            yield Row(CLIP, model, variant, sampler, work, options.frames - 2)


def measure(rows, repeats):
    """Measures every row; returns a list of dicts for JSON, in the order of the rows."""
    groups, found = {}, []
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    for group, members in groups.items():
        print(group, file=sys.stderr, flush=True)
        times, facts = rounds.run({row.name: row.worker for row in members}, repeats)
        found += [_result(row, members, times, facts) for row in members]
    return found


def _result(row, members, times, facts):
    own, result = times[row.name], row._asdict() | facts[row.name]
    result |= {
        "fields": result.pop("worker")[1],
        "sampling_seconds": rounds.spread_of(own, "sampling"),
        "likelihood_seconds": rounds.spread_of(own, "likelihood"),
        "sampling_over_likelihood": rounds.ratios(own, own, "sampling", "likelihood"),
    }
    for other in members:
        if other.sampler in ("naive", "cached"):
            result[f"faster_than_{other.sampler}"] = rounds.ratios(times[other.name], own)
        if other.sampler == "naive" and facts[other.name].get("flops"):
            result["fewer_flops_than_naive"] = facts[other.name]["flops"] / result["flops"]
    return result


def body(results):
    """The page's paragraphs."""
    rows, settings = results["rows"], results["settings"]
    before = [row["memory_before"] for row in rows if row["memory_before"]]
    memory = f", of which {max(before) / 1024:.2f} GiB before the model is built" if before else ""
    groups = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    return [
        _models(settings),
        f"Medians of {settings['repeats']} rounds (smallest–largest). Each row is a process of its "
        "own; its first sample counts building the model and tracing; its peak memory is resident, "
        f"up to that sample{memory}. By operations: the multiply-adds of the naive sampler's "
        "evaluations (of a video without those on the past) divided by those of the row's "
        "networks; times would have this ratio if all operations ran equally fast. Evaluations are "
        "those of whole networks that an image takes: of a naive sampler all, of OlogN its "
        f"upscalers' (without its base, which makes its pixels one by one). {PAPERS}, has every "
        "departure of docs/departures.md off, so that a channel-masked network is evaluated once a "
        'channel; it is compared with the same naive ON, which is ours. "A step a call" is a '
        "Python loop over compiled steps, as the paper's `sess.run` was: a pixel of OlogN's base "
        "(each sub-pixel a full evaluation of it), a group of a scale, a frame of a video. "
        "\\* Extrapolated from a part. The paper's seconds are of a Quadro M4000, 32×32 and 64×64, "
        "of an upscaler and an output distribution that it does not name: compare its ratios with "
        "ours, not its times.",
        *(_group_table(*group) for group in groups.items()),
        goals_table(list(goals(rows))),
    ]


def _models(settings):
    """Sentences on the models of the page."""
    size, frames, naive = (settings[k] for k in ("size", "frames", "naive_evaluations"))
    images = (
        f"Images: {size}×{size} RGB, 256 levels, {settings['width']} features; OlogN: base "
        f"{settings['base']}×{settings['base']} with {settings['layers']} gated layers, "
        f"{settings['blocks']} residual blocks a group, type B with a decoder of "
        f"{settings['layers']} gated layers on 4×4 patches; ON: {settings['on_layers']} gated "
        f"layers; naive ON is extrapolated from {naive} evaluations to one per "
        "sub-pixel with a softmax, one per pixel with a DMOL."
    )
    videos = (
        f"Videos: {settings['video_size']}×{settings['video_size']} RGB, {frames} frames of which "
        f"2 are given, widths of preset {settings['preset']}; naive OTN is extrapolated from "
        f"{naive} evaluations of its decoder to one per sub-pixel of {frames - 2} frames, cached "
        "OTN from one frame."
    )
    return {"images": images, "videos": videos}.get(settings["only"], f"{images} {videos}")


def _group_table(group, rows):
    frames = rows[0]["frames"]
    unit, slow = ("s a frame", "OTN") if frames else ("s a batch", "ON")
    columns = [
        ("sampler", lambda row: f"{row['model']}, {HOW[row['sampler']]}"),
        (unit, _seconds),
        *((name, lambda row, key=key: _times(row[key])) for key, name in RATIOS.items()),
        ("× naive, by operations", lambda row: shown(row.get("fewer_flops_than_naive"), ",.0f")),
        ("evaluations", lambda row: row["evaluations"] or "–"),
        ("first sample, s", lambda row: shown(row["first_seconds"], ".1f")),
        ("peak memory, GiB", lambda row: shown(row["memory"], ".2f", 1024)),
        (f"paper, {unit}", lambda row: shown(_of_paper(row), ",")),
        ("paper, × naive", lambda row: shown(_of_paper(row, PAPER[slow, "naive"]), ",.0f")),
    ]
    return f"### {group[0].upper()}{group[1:]}\n\n{table(columns, rows)}"


def _seconds(row):
    seconds = {k: v / max(row["frames"], 1) for k, v in row["sampling_seconds"].items()}
    digits = 0 if seconds["median"] >= 100 else 2 if seconds["median"] >= 1 else 3
    return format_spread(seconds, digits) + "\\*" * (row["extrapolated_by"] != 1)


def _of_paper(row, baseline=None):
    """The paper's seconds of a row, or how often they go into a baseline's; None if it has none."""
    comparable = row["frames"] or row["group"].endswith(PAPER_BATCH)
    known = comparable and HALF not in row["model"]
    seconds = PAPER.get((row["variant"], row["sampler"])) if known else None
    return baseline / seconds if baseline and seconds else seconds


def _times(ratios):
    middle = ratios["median"]
    if middle < 0.1 or ratios["min"] == ratios["max"] == 1:  # a naive sampler, or itself
        return f"{middle:.2g}"
    return format_spread(ratios, 0 if middle >= 100 else 1 if middle >= 10 else 2)


def goals(rows):
    """Yields (figure, goal, found) for each goal of a row that was measured."""
    for group, model, sampler, ratio, goal in GOALS:
        for row in rows:
            if (row["group"], row["model"], row["sampler"]) == (group, model, sampler):
                yield f"{RATIOS[ratio]}: {model}, {group}", goal, _times(row[ratio])
