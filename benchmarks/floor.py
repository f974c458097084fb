"""Compares each model's speed with the machine's ceiling.

    bin/benchmark floor                     # half an hour
    bin/benchmark floor --only=images

The ceiling is the best of several runs of a chain of 3x3 convolutions and nothing else, at the
shapes of the images. A model's operations are counted from the graph of its likelihood: 2 per
multiply-add, masked kernels in full. Sampling must evaluate each factor once, as the likelihood
does, so it counts as many operations; a training step counts three times as many. A fraction is of
the ceiling in the row's own dtype.
"""

import functools

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run
from parts import machine, paper_models, rounds
from parts.pages import goals_table, publish, shown, table
from parts.parser import Parser
from parts.rounds import format_spread, seconds_of, spread

PARTS = ("images", "videos")
STEPS = 8  # of a round, to measure the input's share
IMAGES = {
    "OlogN, type A": {"variant": "OlogN", "upscaler": "A"},
    "OlogN, type B": {"variant": "OlogN", "upscaler": "B"},
    "ON": {"variant": "ON"},
}
VIDEOS = ("OT_baseline", "OTN", "OT", "OTlogN")
DTYPES = {"float32": "float32", "mixed_bfloat16": "bfloat16"}  # of models → of convolutions
CALLS = {"likelihood": 1, "sampling": 1, "training": 3}  # in likelihoods


def parse(arguments):
    """Flags → an argparse namespace."""
    parser = Parser("floor", __doc__)
    parser.add_argument("--only", choices=PARTS, help="(both)")
    parser.number("--batch", 30, "images at a time")
    parser.number("--size", 32, "side of an image, pixels")
    paper_models.add_flags(parser)
    parser.name("--output", "softmax", "output distribution of images")
    parser.name("--preset", "large", "widths of videos")
    parser.number("--video_size", 64, "side of a frame, pixels")
    parser.number("--frames", 20, "frames of a clip, two given")
    parser.number("--repeats", 3, "rounds")
    return parser.parse(arguments)


def subjects(options):
    """(Model, dtype) → the arguments of its `Worker`: images in float32 and bfloat16, and each
    variant of videos in float32."""
    kind, found = "parts.subjects:FloorSubject", {}
    if options.only != "videos":
        shared = {"output": options.output, "batch_size": options.batch, "crop_size": 0}
        for name, own in IMAGES.items():
            for dtype in DTYPES:
                fields = paper_models.fields(
                    options, size=options.size, dtype=dtype, **shared, **own
                )
                found[name, dtype] = kind, fields, dtype == "float32"
    if options.only != "images":
        for variant in VIDEOS:
            fields = paper_models.video_fields(options, variant)
            fields |= {"batch_size": 1, "micro_batch_size": 0}
            # Sampling an OTN takes minutes per frame: `table4` times it.
            found[variant, "float32"] = kind, fields, variant != "OTN"
    return found


def measure(options):
    """Measures every model; returns a dict for JSON."""
    own, times, facts, found = subjects(options), {}, {}, []
    for _, fields, _ in own.values():
        make_run(**fields)  # reports a wrong value before anything is measured
    before = ceilings(options)
    share = input_share(options) if options.only != "videos" else None
    for model in dict.fromkeys(model for model, _ in own):
        together = {name: worker for name, worker in own.items() if name[0] == model}
        ran, told = rounds.run(together, options.repeats)
        times, facts = times | ran, facts | told
    after = ceilings(options)
    best = {dtype: max(before[dtype], after[dtype]) for dtype in DTYPES}
    for (model, dtype), each in times.items():
        result = {"model": model, "dtype": dtype} | facts[model, dtype]
        for name, factor in CALLS.items():
            if name in each[0]:
                gflop = factor * result["flops"] * result["batch"] / 1e9
                result[f"{name}_seconds"] = spread([one[name] for one in each])
                result[f"{name}_fraction"] = spread(
                    [gflop / one[name] / best[dtype] for one in each]
                )
        if dtype != "float32":
            plain = times[model, "float32"]
            result["training_over_float32"] = rounds.ratios(plain, each, "training")
        found.append(result)
    return {"ceilings": best, "input_share": share, "models": found}


def ceilings(options):
    """GFLOP/s of 3×3 convolutions, by dtype."""
    shape = options.batch, options.size // 2, options.width
    return {name: machine.conv_ceiling(*shape, dtype) for name, dtype in DTYPES.items()}


def input_share(options):
    """The `spread` of the input's share of a training step of type A on `shapes`: the extra time of
    steps on the project's pipeline, which makes the next batches while a step runs, over steps that
    repeat one batch."""
    from ms_pixelcnn_tf.data.batches.pipeline import iterate
    from ms_pixelcnn_tf.runs.source import load_source
    from ms_pixelcnn_tf.training.loop import batches_of
    from parts.subjects import TrainedSubject

    _, fields, _ = subjects(options)["OlogN, type A", "float32"]
    subject, run = TrainedSubject(fields), make_run(**fields)
    batches = iterate(batches_of(run, load_source(run)))
    fixed = next(batches)
    subject.train(fixed)
    shares = []
    for _ in range(options.repeats):
        total = seconds_of(lambda: [subject.train(next(batches)) for _ in range(STEPS)])
        alone = seconds_of(lambda: [subject.train(fixed) for _ in range(STEPS)])
        shares.append(1 - alone / total)
    batches.close()
    return spread(shares)


def main(arguments):
    """Measures, and writes the page `floor`, or with `--only=PART` `floor_PART`."""
    options = parse(arguments)
    machine.start_tensorflow()
    name = "floor" if options.only is None else f"floor_{options.only}"
    publish(options, name, "How near the floor", measure(options), body)


def body(results):
    """The page's paragraphs."""
    settings = results["settings"]
    ceiling, mixed = results["ceilings"].values()
    half, width = settings["size"] // 2, settings["width"]
    columns = [
        ("model", lambda one: f"{one['model']}, {one['dtype']}"),
        ("GFLOP an example", lambda one: f"{one['flops'] / 1e9:.1f}"),
        ("likelihood, s", functools.partial(_cell, "likelihood_seconds")),
        ("fraction", functools.partial(_cell, "likelihood_fraction")),
        ("sampling, s", functools.partial(_cell, "sampling_seconds")),
        ("fraction", functools.partial(_cell, "sampling_fraction")),
        ("training step, s", functools.partial(_cell, "training_seconds")),
        ("fraction", functools.partial(_cell, "training_fraction")),
        ("peak memory, GiB", lambda one: shown(one["memory"], ".1f", 1024)),
    ]
    return [
        f"Ceiling: 3×3 convolutions at {settings['batch']}x{half}x{half}x{width} run at "
        f"{ceiling:.0f} GFLOP/s in float32 and at {mixed:.0f} in bfloat16.",
        f"Images: {settings['size']}×{settings['size']} RGB, batch {settings['batch']}, 256 "
        f"levels, {settings['output']}, {width} features, as in `bin/benchmark table4`. Videos: "
        f"{settings['video_size']}×{settings['video_size']}, {settings['frames']} frames, batch 1, "
        f"widths of preset {settings['preset']}. Medians of {settings['repeats']} rounds "
        "(smallest–largest). A fraction is of the ceiling in the row's own dtype. Sampling counts "
        "as the operations of one likelihood, a training step as three times as many. The blocks "
        "that a video's recipe recomputes for the gradient do not count again.",
        table(columns, results["models"]),
        goals(results),
    ]


def _cell(name, one):
    return format_spread(one[name]) if name in one else "–"


def goals(results):
    """A table of goals and results as Markdown; "" if no goal applies, as for videos."""
    rows = []
    for one in results["models"]:
        if one["dtype"] == "float32" and one["model"] in IMAGES:
            name = f"training step, fraction of the ceiling: {one['model']}"
            rows.append((name, "≥ 0.6", format_spread(one["training_fraction"])))
        if "training_over_float32" in one:
            name = f"images/s in training, {one['model']}, {one['dtype']}, against float32"
            rows.append((name, "≥ 1.5×", format_spread(one["training_over_float32"])))
    share = results["input_share"]
    if share:
        name = f"input's share of a training step of type A on `shapes` ({STEPS} steps a round)"
        rows.append((name, "≤ 0.03", format_spread(share, 3)))
    return goals_table(rows)


if __name__ == "__main__":
    flags.run(main)
