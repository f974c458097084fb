"""Compares each model's speed with the machine's ceilings, and shows where sampling time goes.

    bin/benchmark floor                     # half an hour
    bin/benchmark floor --only=images

A ceiling is the best of several runs of a chain of 3x3 convolutions, or of matrix products, and
nothing else. A model's operations are counted from its layers (images) or from the graph of its
likelihood (videos): 2 per multiply-add, masked kernels in full. Sampling must evaluate each factor
once, as the likelihood does, so it counts as many operations; a training step counts three times as
many. The fraction is of the 3x3 ceiling in the row's own dtype, at the shapes of the images.

For images, a profile of one sampling call shows where its time goes: the seconds of the operations
in the scopes of the inverse CDF, the heads, the base, type B's decoder and the trunks. Operations
that move numbers and compute none are listed separately. Operations inside XLA's programs leave no
trace, so the profiled call runs without XLA, and without splitting the batch over the cores.
Operations that TensorFlow considers cheap leave no trace either. They and the time between
operations are the rest of the call's seconds.
"""

import functools
import time
from typing import NamedTuple

import machine
from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run, unknown
from parts import paper_models, rounds
from parts.tables import add_out, markdown_table, shown_command, write_results, yes
from parts.timing import format_spread, seconds_of, spread

PARTS = ("images", "videos")
TRAINING_GOAL = 0.6  # of the ceiling, at least
BFLOAT16_GOAL = 1.5  # times float32's images/s, at least
INPUT_GOAL = 0.03  # of a training step, at most
IMAGES = {
    "OlogN, type A": {"variant": "OlogN", "upscaler": "A"},
    "OlogN, type B": {"variant": "OlogN", "upscaler": "B"},
    "ON": {"variant": "ON"},
}
VIDEOS = ("OT_baseline", "OTN", "OT", "OTlogN")


def parse(arguments):
    """Flags → an argparse namespace."""
    parser = flags.Parser("benchmark floor", __doc__)
    number = {"type": flags.positive, "metavar": "N"}
    parser.add_argument("--only", metavar="PART", help=f"one of {' and '.join(PARTS)} (both)")
    parser.add_argument("--batch", default=30, help="images at a time (30)", **number)
    parser.add_argument("--size", default=32, help="side of an image, pixels (32)", **number)
    paper_models.add_flags(parser, number)
    parser.add_argument("--output", default="softmax", metavar="NAME", help="of images (softmax)")
    parser.add_argument(
        "--preset", default="large", metavar="NAME", help="widths of videos (large)"
    )
    parser.add_argument("--video_size", default=64, help="side of a frame, pixels (64)", **number)
    parser.add_argument("--frames", default=20, help="frames of a clip, two given (20)", **number)
    parser.add_argument("--repeats", default=3, help="rounds (3)", **number)
    add_out(parser)
    options = parser.parse(arguments)
    if options.only is not None and options.only not in PARTS:
        raise unknown("part", options.only, PARTS)
    return options


class Case(NamedTuple):
    """A model in one dtype, to be measured."""

    model: str
    dtype: str
    worker: tuple  # arguments of its `Worker`
    frames: int = 0  # of a clip

    @property
    def name(self):
        """A unique name."""
        return f"{self.model} {self.dtype}"


def cases(options):
    """Yields `Case`s: images in float32 and bfloat16, and each variant of videos in float32."""
    subject = "parts.floor_subject:FloorSubject"
    if options.only != "videos":
        shared = {"output": options.output, "batch_size": options.batch, "crop_size": 0}
        for name, own in IMAGES.items():
            for dtype in ("float32", "mixed_bfloat16"):
                fields = paper_models.fields(
                    options, size=options.size, dtype=dtype, **shared, **own
                )
                yield Case(name, dtype, (subject, fields, dtype == "float32"))
    if options.only != "images":
        for variant in VIDEOS:
            fields = {
                "preset": options.preset,
                "dataset": "shapes_push",
                "variant": variant,
                "image_size": options.video_size,
                "num_frames": options.frames,
                "batch_size": 1,
                "micro_batch_size": 0,
            }
            # Sampling an OTN takes minutes per frame: `table4` times it.
            yield Case(variant, "float32", (subject, fields, variant != "OTN"), options.frames)


def measure(options):
    """Measures every case; returns a dict for JSON."""
    own = list(cases(options))
    for case in own:
        make_run(**case.worker[1])  # reports a wrong value before anything is measured
    shape = options.batch, options.size // 2, options.width
    described, mixed_ceiling = (
        machine.measure(*shape),
        machine.conv_ceiling(*shape, dtype="bfloat16"),
    )
    share = input_share(options) if options.only != "videos" else None
    times, facts = {}, {}
    for model in dict.fromkeys(case.model for case in own):
        together = {case.name: case.worker for case in own if case.model == model}
        ran, told = rounds.run(together, options.repeats)
        times, facts = times | ran, facts | told
    # A ceiling is the best of all measurements.
    again = machine.measure(*shape)
    for name in ("conv_gflops", "matmul_gflops"):
        described[name] = max(described[name], again[name])
    mixed_ceiling = max(mixed_ceiling, machine.conv_ceiling(*shape, dtype="bfloat16"))
    ceilings = {"float32": described["conv_gflops"], "mixed_bfloat16": mixed_ceiling}
    found = []
    for case in own:
        told = facts[case.name]
        found.append(
            {"model": case.model, "dtype": case.dtype, "frames": case.frames}
            | told
            | _fractions(times[case.name], told, ceilings[case.dtype])
        )
        if case.dtype != "float32":
            plain = times[case._replace(dtype="float32").name]
            found[-1]["training_over_float32"] = rounds.ratios(plain, times[case.name], "training")
    return {
        "machine": described,
        "conv_gflops_bfloat16": mixed_ceiling,
        "input_share": share,
        "models": found,
    }


def _fractions(times, facts, ceiling):
    """Seconds of each kind of call that was timed, and its fraction of a ceiling in GFLOP/s."""
    found = {}
    for name, factor in (("likelihood", 1), ("sampling", 1), ("training", 3)):
        if name in times[0]:
            gflop = factor * facts["flops"] * facts["batch"] / 1e9
            found[f"{name}_seconds"] = rounds.spread_of(times, name)
            found[f"{name}_fraction"] = spread([gflop / one[name] / ceiling for one in times])
    return found


def input_share(options, steps=8):
    """Measures the input's share of a training step of type A on `shapes`.

    It compares steps on the project's pipeline, which makes the next batches while a step runs,
    with steps that repeat one batch.

    Returns:
        dict: "share", the extra time of steps on the pipeline, and "waiting", their wait for a
        batch, both as shares of the time on the pipeline, each a `spread` over the rounds; and
        "steps", the number of steps in a round.
    """
    from ms_pixelcnn_tf.data.batches.pipeline import iterate, training_batches
    from ms_pixelcnn_tf.runs.source import load_source
    from parts.floor_subject import FloorSubject

    (fields,) = [c.worker[1] for c in cases(options) if c.name == "OlogN, type A float32"]
    subject, run = FloorSubject(fields, samples=False), make_run(**fields)
    batches = iterate(
        training_batches(
            load_source(run), batch_size=options.batch, seed=0, num_levels=run.model.num_levels
        )
    )
    fixed = next(batches)
    subject.train_on(fixed)
    shares, waits = [], []

    def fed(waited):
        for _ in range(steps):
            started = time.perf_counter()
            batch = next(batches)
            waited.append(time.perf_counter() - started)
            subject.train_on(batch)

    for _ in range(options.repeats):
        waited = []
        total = seconds_of(functools.partial(fed, waited))
        alone = seconds_of(lambda: [subject.train_on(fixed) for _ in range(steps)])
        shares.append(1 - alone / total)
        waits.append(sum(waited) / total)
    batches.close()
    return {"share": spread(shares), "waiting": spread(waits), "steps": steps}


def main(arguments):
    """Measures, prints the page and writes `floor.md` and `floor.json`, or with `--only=PART`
    `floor_PART.md` and `floor_PART.json`."""
    options = parse(arguments)
    machine.require_tensorflow()
    with flags.quiet_start():
        import tensorflow as tf
    tf.get_logger().setLevel("ERROR")  # TensorFlow warns of retracing if models share code
    results = {
        "command": shown_command("floor", arguments),
        "settings": {k: v for k, v in vars(options).items() if k != "out"},
        **measure(options),
    }
    page = markdown(results)
    print(page)
    name = "floor" if options.only is None else f"floor_{options.only}"
    write_results(options.out, name, page, results)


def markdown(results):
    """The page as Markdown."""
    settings = results["settings"]
    parts = [
        "# How near the floor\n",
        f"`{results['command']}`: {machine.sentences(results['machine'])} In bfloat16 the same "
        f"convolutions run at {results['conv_gflops_bfloat16']:.0f} GFLOP/s.\n",
        f"Images: {settings['size']}×{settings['size']} RGB, batch {settings['batch']}, 256 "
        f"levels, {settings['output']}, {settings['width']} features, as in `bin/benchmark "
        f"table4`. Videos: {settings['video_size']}×{settings['video_size']}, "
        f"{settings['frames']} frames, batch 1, widths of preset {settings['preset']}. Medians of "
        f"{settings['repeats']} rounds (smallest–largest). A fraction is of the 3×3 ceiling in "
        "the row's own numbers; sampling is charged the operations of one likelihood, a training "
        "step three times as many (the blocks that a video's recipe computes anew for the "
        "gradient are not charged again).\n",
        _table(results["models"]),
        goals(results) + "\n",
    ]
    for one in results["models"]:
        if one["operations"]:
            parts.append(_breakdown(one))
    return "\n".join(parts)


def _table(models):
    header = (
        "model",
        "GFLOP an example",
        "likelihood, s",
        "fraction",
        "sampling, s",
        "fraction",
        "training step, s",
        "fraction",
        "peak memory, GiB",
    )
    table = []
    for one in models:
        cells = [f"{one['model']}, {one['dtype']}", f"{one['flops'] / 1e9:.1f}"]
        for name in ("likelihood", "sampling", "training"):
            timed = f"{name}_seconds" in one
            cells += [
                format_spread(one[f"{name}_{kind}"]) if timed else "–"
                for kind in ("seconds", "fraction")
            ]
        memory = one["memory_training"]
        table.append([*cells, "–" if memory is None else f"{memory / 1024:.1f}"])
    return markdown_table(header, table)


def goals(results):
    """A table of goals and results as Markdown; "" if no goal applies, as for videos."""
    table = []
    for one in results["models"]:
        name = f"{one['model']}, {one['dtype']}"
        if one["dtype"] == "float32" and not one["frames"]:
            found = one["training_fraction"]
            table.append(
                (
                    f"training step, fraction of the ceiling: {one['model']}",
                    f"≥ {TRAINING_GOAL}",
                    format_spread(found),
                    yes(found["median"] >= TRAINING_GOAL),
                )
            )
        if "training_over_float32" in one:
            found = one["training_over_float32"]
            table.append(
                (
                    f"images/s in training, {name}, against float32",
                    f"≥ {BFLOAT16_GOAL}×",
                    format_spread(found),
                    yes(found["median"] >= BFLOAT16_GOAL),
                )
            )
    share = results["input_share"]
    if share:
        table.append(
            (
                f"input's share of a training step of type A on `shapes` ({share['steps']} steps "
                f"a round; of it waiting: {format_spread(share['waiting'], 3)})",
                f"≤ {INPUT_GOAL}",
                format_spread(share["share"], 3),
                yes(share["share"]["median"] <= INPUT_GOAL),
            )
        )
    return (
        "## Goals\n\n" + markdown_table(("figure", "goal", "found", "met"), table) if table else ""
    )


def _breakdown(one):
    """A table of where the time of one sampling call goes, as Markdown."""
    total = one["profiled_seconds"]
    table = [
        (
            part,
            *(f"{seconds[kind]:.3f}" for kind in ("arithmetic", "moves")),
            f"{(seconds['arithmetic'] + seconds['moves']) / total:.0%}",
        )
        for part, seconds in one["parts"].items()
        if sum(seconds.values())
    ]
    seen = sum(sum(seconds.values()) for seconds in one["parts"].values())
    table.append(("all that was traced", "", "", f"{seen / total:.0%}"))
    fused = one["sampling_seconds"]["median"]
    return (
        f"## Where sampling time goes: {one['model']}\n\nOne call of {total:.2f} s without XLA and "
        f"without a part of the batch for each core (with them: {fused:.2f} s), of which the "
        f"profile tells {one['operations']:,} operations; on several threads they can add up to "
        "more than the call.\n\n"
        + markdown_table(("part", "arithmetic, s", "moving numbers, s", "of the call"), table)
    )


if __name__ == "__main__":
    flags.run(main)
