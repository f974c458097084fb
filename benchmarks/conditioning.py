"""Tests whether samples show what their captions and maps ask for, on models of `shapes`.

    bin/benchmark conditioning train --only=text-keypoints --core=0   # 75 minutes; resumes
    bin/benchmark conditioning train --only=text-segmentation --core=1
    bin/benchmark conditioning train --only=unconditional             # without --only: all, in turn
    bin/benchmark conditioning report                                 # minutes

`train` trains the scales of a run separately, as `bin/train --scale` does: one stage after the
other, on one core. With `--stage`, stages can train at the same time. The 8x8 base takes most of
the time: nearly every shape has a pixel there, so the base decides the places and the colours.

`report` gives each model held-out prompts, which name pairs of kind and colour that no training
image shows. A detector that knows the synthetic world checks whether each sample shows the colour
asked for at the place asked for. For comparison, the models also get prompts of pairs that training
does show, captions that relate two shapes, and, as a control, the conditions of other prompts. The
report also has the nats of the validation images.
"""

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run
from parts import runs

RUNS = {
    "text-keypoints": {"conditions": "text,keypoints", "map_noise": 0.5},
    "text-segmentation": {"conditions": "text,segmentation", "map_noise": 0.3},
    "unconditional": {},
}
STAGES = {  # scales trained together → their fields
    "base": {"steps": 21000, "batch_size": 64},
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


def parse(arguments):
    """Flags → an argparse namespace with `mode`, "train" or "report"."""
    parser = runs.RunsParser("conditioning", __doc__, RUNS)
    parser.add_argument("--stage", choices=STAGES, help="train this stage only")
    parser.number("--prompts", 500, "prompts of each form and split")
    parser.number("--examples", 500, "validation images scored")
    parser.number("--rows", 6, "prompts in the figure")
    return parser.parse(arguments)


def main(arguments):
    """Runs `train` or `report`."""
    options = parse(arguments)
    if options.mode == "report":
        with flags.quiet_start():
            from parts import conditioning_report
        return conditioning_report.write(options, RUNS)
    stages = [options.stage] if options.stage else STAGES
    names = options.only or list(RUNS)
    runs.train(__file__, options, names, lambda name: [configuration(name, s) for s in stages])


if __name__ == "__main__":
    flags.run(main)
