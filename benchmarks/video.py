"""Trains and scores the video models on `shapes_push` (Table 2), or times them (Table 4).

    bin/benchmark video                                 # or video speed: table4 --only=videos
    bin/benchmark video train --only=OT --core=0        # minutes (OTlogN: two hours); resumes
    bin/benchmark video table2                          # scores the trained models

`train` trains the run that --only names. `table2` scores each run on the splits of Table 2, and
also with the actions and states of other clips. It measures whether objects that the arm pushed in
the real clip also move in the samples, and in samples one frame ahead of the true ones. It also
draws the film strips. `speed`, the default, takes the flags of `table4`.
"""

import pathlib

import table4
from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run, unknown
from parts.processes import pin
from parts.tables import add_out, shown_command

SHARED = {
    "dataset": "shapes_push",
    "preset": "tiny",
    "image_size": 32,
    "num_frames": 12,
    "num_levels": 8,
    "frame_blocks": 2,
    "frame_features": 32,
    "lstm_features": 64,
    "batch_size": 2,
    "past_samples": 1,
    "schedule": "cosine",
    "sample_every": 0,
    "evaluation_examples": 40,
    "log_every": 50,
    "checkpoint_every": 250,
    "evaluate_every": 500,
}
RUNS = {
    "OT_baseline": {"variant": "OT_baseline", "steps": 2000},
    "OTN": {"variant": "OTN", "steps": 1400},
    "OT": {"variant": "OT", "steps": 2500},
    "OTlogN": {"variant": "OTlogN", "steps": 20000},
    # The effect of augmentation, on shorter runs whose past frames are all true.
    "OTlogN-short": {"variant": "OTlogN", "steps": 1500, "past_samples": 0},
    "OTlogN-short-augmented": {
        "variant": "OTlogN",
        "steps": 1500,
        "past_samples": 0,
        "augment": "jitter,mirror",
    },
}
MODES = ("speed", "train", "table2")


def configuration(name):
    """The `RunConfig` of one of `RUNS`."""
    return make_run(**(SHARED | RUNS[name]))


def train(options):
    """Trains one run, on one core or on all."""
    if options.only not in RUNS:
        raise unknown("run", options.only, RUNS)
    if options.core is not None:
        pin(options.core)
    with flags.quiet_start():
        import tensorflow as tf

        from ms_pixelcnn_tf.runs.source import load_source
        from ms_pixelcnn_tf.training import loop
    if options.core is not None:
        tf.config.threading.set_intra_op_parallelism_threads(1)
    run = configuration(options.only)
    source = load_source(run)
    loop.train(
        loop.fit_to_source(run, source), pathlib.Path(options.workdir) / options.only, source
    )


def parse(arguments):
    """Flags → an argparse namespace with `mode`: "train" or "table2" (`table4` has "speed")."""
    mode = arguments[0] if arguments[:1] in (["train"], ["table2"]) else None
    parser = flags.Parser("benchmark video", __doc__)
    parser.add_argument("mode", choices=MODES)
    number = {"type": flags.positive, "metavar": "N"}
    parser.add_argument(
        "--workdir", default="runs/video", metavar="DIR", help="holds one folder a run (runs/video)"
    )
    if mode != "table2":
        parser.add_argument("--only", metavar="NAME", help=f"one of {', '.join(RUNS)}")
        parser.add_argument("--core", type=int, metavar="N", help="the core to run on (all)")
    if mode != "train":
        add_out(parser)
        parser.add_argument("--examples", default=100, help="clips scored a split (100)", **number)
        parser.add_argument(
            "--pushes", default=40, help="clips whose pushes are looked at (40)", **number
        )
        parser.add_argument(
            "--note",
            action="append",
            default=[],
            metavar="TEXT",
            help="a sentence to add to the page",
        )
        parser.add_argument("--rows", default=3, help="clips in the film strip (3)", **number)
    return parser.parse(arguments)


def main(arguments):
    """Runs `speed`, `train` or `table2`."""
    is_help = arguments[:1] in (["-h"], ["--help"])
    if not is_help and (not arguments or arguments[0].startswith("-")):
        arguments = ["speed", *arguments]
    if arguments[0] == "speed":
        return table4.main(["--only=videos", *arguments[1:]])
    if not is_help and arguments[0] not in MODES:
        raise unknown("mode", arguments[0], MODES)
    options = parse(arguments)
    if options.mode == "train":
        return train(options)
    with flags.quiet_start():
        import tensorflow as tf
    tf.get_logger().setLevel("ERROR")  # TensorFlow warns of retracing if models share code
    command = shown_command("video", arguments, ("--out", "--workdir", "--note"))
    from parts import video_report

    return print(video_report.write(options, RUNS, command))


if __name__ == "__main__":
    flags.run(main)
