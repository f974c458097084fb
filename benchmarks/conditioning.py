"""Tests whether samples show what their captions and maps ask for, on models of `shapes`.

    bin/benchmark conditioning train --only=text-keypoints --core=0   # 75 minutes; resumes
    bin/benchmark conditioning train --only=text-segmentation --core=1
    bin/benchmark conditioning train --only=unconditional
    bin/benchmark conditioning report                                 # minutes

`train` trains the scales of a run separately, as `bin/train --scale` does: one stage after the
other, on one core. With `--stage`, stages can train at the same time. The 8x8 base takes most of
the time: nearly every shape has a pixel there, so the base decides the places and the colours.

`report` gives each model held-out prompts. Each names a pair of kind and colour that no training
image shows. A detector that knows the synthetic world checks whether each sample shows the colour
asked for at the place asked for. It is first tested on the pictures that the prompts describe. For
comparison, the models also get prompts of pairs that training does show, captions that relate two
shapes instead of listing all, and, as a control, the conditions of other prompts. Last come the
nats of the validation images: with their own conditions, with those of other images, and from a
model without conditions.
"""

import pathlib

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run, unknown
from parts.processes import pin
from parts.tables import add_out

RUNS = {
    "text-keypoints": {"conditions": "text,keypoints", "map_noise": 0.5},
    "text-segmentation": {"conditions": "text,segmentation", "map_noise": 0.3},
    "unconditional": {},
}
STAGES = {  # scales trained together → their fields
    "base": {"steps": 21000, "batch_size": 64, "schedule": "cosine"},
    "16,32": {"steps": 1200},
}
SHARED = {
    "dataset": "shapes",
    "train_examples": 1_000_000,
    "preset": "tiny",
    "image_size": 32,
    "base_size": 8,
    "num_levels": 32,
    "base_layers": 3,
    "base_features": 48,
    "residual_blocks": 2,
    "text_width": 128,
    "text_features": 128,
    "joint_features": 128,
    "spatial_features": 16,
    "spatial_blocks": 1,
    "batch_size": 16,
    "evaluate_every": 2000,
    "evaluation_examples": 200,
    "checkpoint_every": 1000,
    "log_every": 200,
}
# Captions are hardly learned together with maps, unless they are learned first. Maps also show the
# kind of a shape, and training pairs each kind with only some of the colours.
MAPS = {"map_dropout": 0.2, "maps_from": 1000}
UNCONDITIONAL = {"steps": 10500}  # by then its validation loss no longer falls


def configuration(name, stage):
    """The `RunConfig` of one stage of one of `RUNS`."""
    fields = SHARED | RUNS[name] | STAGES[stage]
    if stage == "base":
        fields |= MAPS if RUNS[name] else UNCONDITIONAL
    return make_run(**fields, scale=stage)


def train(options):
    """Trains one run: the stage given by `--stage`, or all."""
    pin(options.core)
    with flags.quiet_start():
        import tensorflow as tf

        from ms_pixelcnn_tf.runs import scales
        from ms_pixelcnn_tf.runs.source import load_source
        from ms_pixelcnn_tf.training import loop
    tf.config.threading.set_intra_op_parallelism_threads(1)
    workdir = pathlib.Path(options.workdir) / options.only
    for stage in [options.stage] if options.stage else STAGES:
        run = configuration(options.only, stage)
        source = load_source(run)
        run = loop.fit_to_source(run, source)
        print(f"{options.only}, scale {stage}", flush=True)
        loop.train(run, scales.folder_of(workdir, run), source)


def report(options):
    """Writes conditioning.md, conditioning.json and conditioning.png."""
    with flags.quiet_start():
        from parts import conditioning_report
    print(conditioning_report.write(options, RUNS))


def parse(arguments):
    """Flags → an argparse namespace with `mode`, "train" or "report"."""
    mode = arguments[0] if arguments[:1] in (["train"], ["report"]) else None
    parser = flags.Parser("benchmark conditioning", __doc__)
    parser.add_argument("mode", choices=("train", "report"))
    parser.add_argument(
        "--workdir",
        default="runs/conditioning",
        metavar="DIR",
        help="holds one folder a run (runs/conditioning)",
    )
    if mode != "report":
        parser.add_argument("--only", metavar="NAME", help=f"one of {', '.join(RUNS)}")
        parser.add_argument(
            "--stage", metavar="SCALES", help=f"one of {' and '.join(STAGES)} (all)"
        )
        parser.add_argument("--core", type=int, metavar="N", help="the core to run on (the first)")
    if mode != "train":
        number = {"type": flags.positive, "metavar": "N"}
        add_out(parser)
        parser.add_argument(
            "--prompts", default=500, help="prompts of each form and split (500)", **number
        )
        parser.add_argument(
            "--examples", default=500, help="validation images scored (500)", **number
        )
        parser.add_argument(
            "--note",
            action="append",
            default=[],
            metavar="TEXT",
            help="a paragraph to add to the page",
        )
        parser.add_argument("--rows", default=6, help="prompts in the figure (6)", **number)
    return parser.parse(arguments)


def main(arguments):
    """Runs `train` or `report`."""
    options = parse(arguments)
    if options.mode == "report":
        return report(options)
    if options.only not in RUNS:
        raise unknown("run", options.only, RUNS)
    if options.stage is not None and options.stage not in STAGES:
        raise unknown("stage", options.stage, STAGES)
    return train(options)


if __name__ == "__main__":
    flags.run(main)
