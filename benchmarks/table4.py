"""Times the samplers of the paper's Table 4, and those that the paper left out.

    bin/benchmark table4                      # both parts; an hour
    bin/benchmark table4 --only=images        # 32x32, batch 30 and batch 1
    bin/benchmark table4 --only=videos        # 64x64, 18 frames sampled

Images: `ON`, naive (one full evaluation per sub-pixel) and cached; `OlogN` with upscalers of type A
and type B, in one graph and as a Python loop over compiled steps. Each is timed with a softmax and
with a DMOL. The paper's own type A, with a softmax and all departures off, is timed for comparison
with the paper's 105x.
Videos: `OTN`, naive and cached; `OT` and `OTlogN`, in one graph and with one compiled call per
frame; both in one graph with a frame encoder at half of the frame's size (`--frame_stride=2` of
`bin/train`); and `OT_baseline`.

Each row is a process of its own, which also measures the likelihood of the same model. The naive
samplers are timed over a few evaluations in one compiled loop and extrapolated to one per sub-pixel
(per pixel for a DMOL, which does not order the channels). That leaves out the decoding of the
sub-pixels themselves, which flatters them. Cached OTN is timed over a few frames. Weights are as
initialised: time does not depend on them. Widths and depths are those of Reed et al. (2017),
sections 4.2 and 4.3. With `KERAS_BACKEND=jax`, everything runs on JAX.
"""

import machine
from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run, unknown
from parts import paper_models, speed
from parts.tables import add_out, markdown_table, shown_command, write_results, yes
from parts.timing import format_spread

PARTS = ("images", "videos")
IMAGES = "images, softmax, batch"  # starts the names of groups with goals; the batch size follows
TARGETS = (  # group, model, sampler, column, name to show, sign, goal
    (
        f"{IMAGES} 30",
        "OlogN A",
        "graph",
        "sampling_over_likelihood",
        "sample / likelihood, type A",
        "≤",
        1.15,
    ),
    (
        f"{IMAGES} 30",
        "OlogN B",
        "graph",
        "sampling_over_likelihood",
        "sample / likelihood, type B",
        "≤",
        1.4,
    ),
    (
        f"{IMAGES} 30",
        "ON",
        "cached",
        "sampling_over_likelihood",
        "sample / likelihood, cached ON",
        "≤",
        1.6,
    ),
    (
        f"{IMAGES} 30",
        "OlogN A",
        "graph",
        "faster_than_naive",
        "OlogN (A) against naive ON",
        "≥",
        2000,
    ),
    (
        f"{IMAGES} 1",
        "OlogN A",
        "graph",
        "faster_than_cached",
        "OlogN (A) against cached ON",
        "≥",
        6,
    ),
    ("videos, batch 1", "OT", "graph", "faster_than_naive", "OT against naive OTN", "≥", 10_000),
    (
        "videos, batch 1",
        f"OT{speed.HALF}",
        "graph",
        "faster_than_naive",
        f"OT{speed.HALF}, against naive OTN",
        "≥",
        10_000,
    ),
    (
        "videos, batch 1",
        "OTlogN",
        "graph",
        "faster_than_naive",
        "OTlogN against naive OTN",
        "≥",
        1500,
    ),
)


def parse(arguments):
    """Flags → an argparse namespace; `batches` and `outputs` are lists."""
    parser = flags.Parser("benchmark table4", __doc__)
    number = {"type": flags.positive, "metavar": "N"}
    parser.add_argument("--only", metavar="PART", help=f"one of {' and '.join(PARTS)} (both)")
    parser.add_argument(
        "--batches", type=flags.positives, default=[30, 1], metavar="NS", help="of images (30,1)"
    )
    parser.add_argument(
        "--outputs",
        default="softmax,dmol",
        metavar="NAMES",
        help="output laws of the images (softmax,dmol)",
    )
    parser.add_argument("--size", default=32, help="side of an image, pixels (32)", **number)
    paper_models.add_flags(parser, number)
    parser.add_argument("--repeats", default=5, help="rounds (5)", **number)
    parser.add_argument(
        "--naive_evaluations", default=4, help="timed for naive samplers (4)", **number
    )
    parser.add_argument(
        "--preset",
        default="large",
        metavar="NAME",
        help="recipe whose widths the videos have (large)",
    )
    parser.add_argument("--video_size", default=64, help="side of a frame, pixels (64)", **number)
    parser.add_argument("--frames", default=20, help="frames of a clip, two given (20)", **number)
    parser.add_argument("--video_batch", default=1, help="clips at a time (1)", **number)
    parser.add_argument("--cached_frames", default=1, help="timed for cached OTN (1)", **number)
    parser.add_argument("--frame_stride", default=1, help="of the frame encoder (1)", **number)
    add_out(parser)
    options = parser.parse(arguments)
    if options.only is not None and options.only not in PARTS:
        raise unknown("part", options.only, PARTS)
    options.outputs = list(dict.fromkeys(options.outputs.split(",")))
    return options


def main(arguments):
    """Measures, prints the page and writes `table4.md` and `table4.json`, or with `--only=PART`
    `table4_PART.md` and `table4_PART.json`."""
    options = parse(arguments)
    rows = []
    if options.only != "videos":
        rows += speed.image_rows(options)
    if options.only != "images":
        rows += speed.video_rows(options)
    for row in rows:
        make_run(**row.worker[1])  # reports a wrong value before anything is measured
    with flags.quiet_start():
        described = machine.describe()
    results = {
        "command": shown_command("table4", arguments),
        "machine": described,
        "repeats": options.repeats,
        "settings": {k: v for k, v in vars(options).items() if k != "out"},
        "rows": speed.measure(rows, options.repeats),
    }
    page = speed.page(results, how(options), targets(results["rows"]))
    print(page)
    name = "table4" if options.only is None else f"table4_{options.only}"
    write_results(options.out, name, page, results)


def how(options):
    """Sentences for the page on what was measured."""
    parts = []
    if options.only != "videos":
        parts.append(
            f"Images: {options.size}×{options.size} RGB, 256 levels, {options.width} features; "
            f"OlogN: base {options.base}×{options.base} with {options.layers} gated layers, "
            f"{options.blocks} residual blocks a group, type B with a decoder of {options.layers} "
            f"gated layers on 4×4 patches; ON: {options.on_layers} gated layers; the naive sampler "
            f"is extrapolated from {options.naive_evaluations} evaluations to the "
            f"{3 * options.size**2:,} that it takes with a softmax, one a sub-pixel, or "
            f"{options.size**2:,} with a DMOL, one a pixel."
        )
    if options.only != "images":
        parts.append(
            f"Videos: {options.video_size}×{options.video_size} RGB, {options.frames} frames of "
            f"which 2 are given, widths of preset {options.preset}, frame encoder at "
            f"1/{options.frame_stride}; naive OTN is extrapolated from {options.naive_evaluations} "
            f"evaluations of its decoder to one a sub-pixel of {options.frames - 2} frames, cached "
            f"OTN from {options.cached_frames} frame{'s' * (options.cached_frames > 1)}."
        )
    return " ".join(parts)


def targets(rows):
    """A table of goals and results as Markdown; "" if none was measured."""
    table = []
    for group, model, sampler, column, name, sign, goal in TARGETS:
        result = speed.find([row for row in rows if row["group"] == group], model, sampler)
        if result is not None:
            found = result[column]
            met = found["median"] <= goal if sign == "≤" else found["median"] >= goal
            digits = 2 if sign == "≤" else 1 if goal < 100 else 0
            table.append((name, group, f"{sign} {goal:,}", format_spread(found, digits), yes(met)))
    if not table:
        return ""
    header = ("figure", "of", "goal", "found", "met")
    return f"## Goals\n\n{markdown_table(header, table)}"


if __name__ == "__main__":
    flags.run(main)
