"""The rows of Table 4: the samplers to compare, their measurement, and the page.

Samplers that are compared with one another form a group: images with one output distribution and
batch size, or videos. Each group is measured in `rounds`.
"""

import dataclasses
import sys

import machine
from parts import paper_models, rounds
from parts.tables import markdown_table
from parts.timing import format_spread

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
PAPER_BATCH = 30  # of the images


@dataclasses.dataclass(frozen=True)
class Row:
    """One sampler of one model.

    Attributes:
        group: name of the group that it is compared in.
        model: name to show, such as "OlogN A".
        variant: as in a configuration.
        sampler: a key of `HOW`.
        worker: the arguments of its `Worker`.
        frames: number of predicted frames; 0 for images.
    """

    group: str
    model: str
    variant: str
    sampler: str
    worker: tuple
    frames: int = 0

    @property
    def name(self):
        """A name that is unique within the group."""
        return f"{self.model}, {HOW[self.sampler]}"


PAPERS = "OlogN A, the paper's"  # every departure off: three evaluations of a network per group


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


HALF = ", encoder at half size"  # ends the name of a video model with the cheaper frame encoder
VIDEOS = {
    "OT_baseline": ("graph",),
    "OTN": ("naive", "cached"),
    "OT": ("steps", "graph"),
    "OTlogN": ("steps", "graph"),
    f"OT{HALF}": ("graph",),
    f"OTlogN{HALF}": ("graph",),
}


def video_rows(options):
    """Yields the rows of videos, one group."""
    shared = {
        "preset": options.preset,
        "dataset": "shapes_push",
        "image_size": options.video_size,
        "num_frames": options.frames,
    }
    for model, samplers in VIDEOS.items():
        variant, stride = (
            model.removesuffix(HALF),
            options.frame_stride * (1 + model.endswith(HALF)),
        )
        fields = shared | {"variant": variant, "frame_stride": stride}
        for sampler in samplers:
            work = "parts.samplers:VideoSampler", fields, options.video_batch, sampler
            yield Row(
                f"videos, batch {options.video_batch}",
                model,
                variant,
                sampler,
                (*work, options.naive_evaluations, options.cached_frames),
                options.frames - 2,
            )


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
    own = times[row.name]
    (naive,) = [facts[other.name] for other in members if other.sampler == "naive"]
    facts = facts[row.name]
    result = {
        "group": row.group,
        "model": row.model,
        "variant": row.variant,
        "sampler": row.sampler,
        "frames": row.frames,
        **facts,
        "sampling_seconds": rounds.spread_of(own, "sampling"),
        "likelihood_seconds": rounds.spread_of(own, "likelihood"),
        "sampling_over_likelihood": rounds.ratios(own, own, "sampling", "likelihood"),
    }
    for slow in ("naive", "cached"):
        (baseline,) = [other.name for other in members if other.sampler == slow]
        result[f"faster_than_{slow}"] = rounds.ratios(times[baseline], own)
    if naive.get("flops") and facts.get("flops"):
        result["fewer_flops_than_naive"] = naive["flops"] / facts["flops"]
    return result


def find(results, model, sampler):
    """The first result of a model and a sampler, or None."""
    for result in results:
        if (result["model"], result["sampler"]) == (model, sampler):
            return result
    return None


def table(results):
    """A Markdown table for each group."""
    parts = []
    for group in dict.fromkeys(result["group"] for result in results):
        members = [result for result in results if result["group"] == group]
        frames = members[0]["frames"]
        unit = "s a frame" if frames else "s a batch"
        header = [
            "sampler",
            unit,
            "× naive",
            "× cached",
            "sample / likelihood",
            "× naive, by operations",
            "evaluations",
            "first sample, s",
            "peak memory, GiB",
            f"paper, {unit}",
            "paper, × naive",
        ]
        rows = [_cells(result, frames) for result in members]
        parts.append(f"### {group[0].upper()}{group[1:]}\n\n{markdown_table(header, rows)}\n")
    return "".join(parts)


def _cells(result, frames):
    per = max(frames, 1)
    seconds = {k: v / per for k, v in result["sampling_seconds"].items()}
    extrapolated = result["extrapolated_by"] != 1
    digits = 0 if seconds["median"] >= 100 else 2 if seconds["median"] >= 1 else 3
    ratio = result["sampling_over_likelihood"]
    first, operations = result["first_seconds"], result.get("fewer_flops_than_naive")
    paper = paper_ratio = None
    comparable = frames or result["group"].endswith(f"batch {PAPER_BATCH}")
    if comparable and HALF not in result["model"]:
        paper = PAPER.get((result["variant"], result["sampler"]))
        paper_ratio = paper and PAPER["OTN" if frames else "ON", "naive"] / paper
    memory = result["memory"]
    return [
        f"{result['model']}, {HOW[result['sampler']]}",
        format_spread(seconds, digits) + "\\*" * extrapolated,
        _times(result["faster_than_naive"]),
        _times(result["faster_than_cached"]),
        format_spread(ratio, 0 if ratio["median"] >= 100 else 2),
        "–" if operations is None else f"{operations:,.0f}",
        f"{result.get('evaluations') or '–'}",
        "–" if first is None else f"{first:.1f}",
        "–" if memory is None else f"{memory / 1024:.2f}",
        "–" if paper is None else f"{paper:,}",
        "–" if paper_ratio is None else f"{paper_ratio:,.0f}",
    ]


def _times(ratios):
    middle = ratios["median"]
    if middle < 0.1 or ratios["min"] == ratios["max"] == 1:  # a naive sampler, or itself
        return f"{middle:.2g}"
    return format_spread(ratios, 0 if middle >= 100 else 1 if middle >= 10 else 2)


def page(results, how, goals):
    """The whole page as Markdown.

    Args:
        results: dict with `command`, `machine`, `rows` and `repeats`.
        how: Markdown on what was measured.
        goals: a table of goals as Markdown, or "".
    """
    before = [row["memory_before"] for row in results["rows"] if row["memory_before"]]
    memory = f", of which {max(before) / 1024:.2f} GiB before the model is built" if before else ""
    return "\n".join(
        [
            "# Table 4\n",
            f"`{results['command']}`: {machine.sentences(results['machine'])}\n",
            how + "\n",
            f"Medians of {results['repeats']} rounds (smallest–largest). Each row is a process of "
            "its own; its first sample counts building the model and tracing; its peak memory is "
            f"resident, up to that sample{memory}. By operations: the multiply-adds of its "
            "networks, counted, beside those of the naive sampler's evaluations (of a video "
            "without what it spends on the past); times would stand so "
            "if all ran equally fast. Evaluations are those of whole networks that an image takes: "
            "of a naive sampler all, of OlogN its upscalers' (its base makes its pixels one by one "
            "beside them). "
            f"{PAPERS}, has every departure of docs/departures.md off, so that a channel-masked "
            "network is evaluated once a channel; it stands beside the same naive ON, which is "
            'ours. "A step a call" is a Python loop over compiled steps, as the '
            "paper's `sess.run` was: a pixel of OlogN's base (each sub-pixel a full evaluation of "
            "it), a group of a scale, a frame of a video. \\* Extrapolated from a part. The "
            "paper's seconds are of a Quadro M4000, 32×32 and 64×64, of an upscaler and a law "
            "that it does not name: set its ratios beside ours, not its times.\n",
            table(results["rows"]).rstrip("\n") + "\n",
            goals,
        ]
    )
