"""The rows of `table4` by image size: O(log N) against O(N), one image at a time."""

import itertools
import math
import pathlib

from ms_pixelcnn_tf.configs import make_run
from parts import paper_models
from parts.pages import goals_table, shown, table
from parts.rounds import format_spread, spread
from parts.speed import HOW, Row

SPEED_UPS = {32: 6, 64: 12}  # of OlogN over cached ON, at least
FLAT_FROM = 64  # seconds per pixel should not rise beyond this side


def rows(options):
    """Yields the rows: a group for each size, the smallest size first."""
    for size in sorted({*options.sizes, *options.on_sizes}):
        for variant, sampler, sides, own in (
            ("OlogN", "graph", options.sizes, {"upscaler": "A"}),
            ("ON", "cached", options.on_sizes, {}),
        ):
            if size in sides:
                fields = paper_models.fields(options, variant, size, output="softmax", **own)
                work = "parts.samplers:ImageSampler", fields, 1, sampler, 1
                yield Row(f"{size}×{size}", variant, variant, sampler, work)


def evaluations(config):
    """Network evaluations for one image: `(of autoregressive pixels, of groups)`."""
    return math.prod(config.sizes[0]), 3 * (len(config.sizes) - 1)


def side(row):
    """The side of a row's images, pixels."""
    return row["fields"]["image_size"]


def microseconds(row):
    """The `spread` of microseconds per pixel."""
    return {k: 1e6 * v / side(row) ** 2 for k, v in row["sampling_seconds"].items()}


def body(results):
    """The page's paragraphs."""
    settings = results["settings"]
    columns = [
        ("model", lambda row: f"{row['model']}, {HOW[row['sampler']]}"),
        ("size", lambda row: row["group"]),
        ("s an image", lambda row: format_spread(row["sampling_seconds"], 3)),
        ("µs a pixel", lambda row: format_spread(microseconds(row), 1)),
        ("network evaluations", _evaluations),
        ("sample / likelihood", lambda row: format_spread(row["sampling_over_likelihood"])),
        ("× cached ON", _speed_up),
        ("first sample, s", lambda row: f"{row['first_seconds']:.1f}"),
        ("peak memory, GiB", lambda row: shown(row["memory"], ".2f", 1024)),
        ("parameters", lambda row: f"{row['parameters'] / 1e6:.1f} M"),
    ]
    return [
        f"Batch 1, RGB, 256 levels, softmax, {settings['width']} features; OlogN: type A, base "
        f"{settings['base']}×{settings['base']} with {settings['layers']} gated layers, "
        f"{settings['blocks']} residual blocks a group; ON: {settings['on_layers']} gated layers. "
        f"Medians of {settings['repeats']} rounds (smallest–largest). Each row is a process of its "
        "own; its first sample counts building the model and tracing, and its peak memory is "
        "resident, TensorFlow included. Network evaluations: one per pixel of the autoregressive "
        "part + one per group.",
        table(columns, results["rows"]),
        goals_table(list(goals(results["rows"]))),
        "![seconds and memory by size](scaling.png)",
    ]


def _evaluations(row):
    pixels, groups = evaluations(make_run(**row["fields"]).model)
    return f"{pixels:,} + {groups}" if groups else f"{pixels:,}"


def _speed_up(row):
    faster = row.get("faster_than_cached")
    return format_spread(faster, 1) if faster and row["variant"] == "OlogN" else ""


def goals(rows):
    """Yields (figure, goal, found) for each goal that was measured."""
    by_size = {side(row): row for row in rows if row["variant"] == "OlogN"}
    for size, goal in SPEED_UPS.items():
        if size in by_size and _speed_up(by_size[size]):
            name = f"OlogN against cached ON, {size}×{size}"
            yield name, f"≥ {goal}×", _speed_up(by_size[size])
    large = [microseconds(row)["median"] for size, row in by_size.items() if size >= FLAT_FROM]
    if len(large) > 1:
        growth = max(later / earlier for earlier, later in itertools.pairwise(large))
        name = f"seconds a pixel from one size to the next, from {FLAT_FROM}×{FLAT_FROM} on"
        yield name, "≤ 1", f"{growth:.2f} at most"
    if 512 in by_size and by_size[512]["memory"]:
        memory = f"{by_size[512]['memory'] / 1024:.2f} GiB"
        yield "peak memory at 512×512", "< 4 GiB", memory


def plot(folder, rows):
    """Draws seconds per image, microseconds per pixel and peak memory into `scaling.png`."""
    from matplotlib.figure import Figure

    from parts.figures import COLOURS, legend, plain, save

    panels = (
        ("seconds an image", lambda row: row["sampling_seconds"]),
        ("microseconds a pixel", microseconds),
        ("peak memory, GiB", lambda row: spread([(row["memory"] or 0) / 1024])),
    )
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    axes = figure.subplots(1, len(panels))
    sides = sorted({side(row) for row in rows})
    for axis, (label, value) in zip(axes, panels, strict=True):
        for colour, variant in zip(COLOURS, ("OlogN", "ON"), strict=False):
            own = [row for row in rows if row["variant"] == variant]
            values = [value(row) for row in own]
            middle, low, high = ([v[k] for v in values] for k in ("median", "min", "max"))
            places = [side(row) for row in own]
            axis.plot(places, middle, color=colour, marker="o", markersize=4, label=variant)
            axis.fill_between(places, low, high, color=colour, alpha=0.2)
        axis.set_xscale("log", base=2)
        axis.set_xticks(sides, [f"{number}²" for number in sides])
        if "memory" in label:
            axis.set_ylim(bottom=0)
        else:
            axis.set_yscale("log")
        plain(axis, "image size, pixels")
        axis.set_ylabel(label)
    legend(figure, axes[0])
    save(figure, pathlib.Path(folder) / "scaling.png")
