"""Estimates what the paper's recipes cost: operations counted from graphs, and hours.

    bin/benchmark costs                    # writes costs.md and costs.json; minutes, trains nothing

A training step counts as three forward passes, on the crops that training takes. Hours are the
operations divided by a machine's published peak (bfloat16, dense) times a share of it. The share is
an assumption, which the page states.
"""

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run
from parts.tables import add_out, markdown_table, shown_command, write_results

RECIPES = {  # name → fields of a run
    "Table 1, CUB: captions and keypoints, 4x4 to 256x256": {"dataset": "cub"},
    "Table 1, MPII: captions and keypoints, 4x4 to 256x256": {"dataset": "mpii"},
    "Table 1, COCO: captions and segmentation, 4x4 to 256x256": {"dataset": "coco"},
    "Table 3, ImageNet 32x32, 8x8 to 32x32": {"dataset": "imagenet", "image_size": 32},
    "Table 3, ImageNet 64x64, 8x8 to 64x64": {"dataset": "imagenet", "image_size": 64},
    "Table 3, ImageNet 128x128, 8x8 to 128x128": {"dataset": "imagenet"},
    "Table 1 and 3, PixelCNN baseline: ON at 32x32": {
        "dataset": "imagenet",
        "variant": "ON",
        "image_size": 32,
    },
    "Table 2, robot pushing, OT_baseline": {"dataset": "robot_pushing", "variant": "OT_baseline"},
    "Table 2, robot pushing, OTN": {"dataset": "robot_pushing", "variant": "OTN"},
    "Table 2, robot pushing, OT": {"dataset": "robot_pushing", "variant": "OT"},
    "Table 2, robot pushing, OTlogN": {"dataset": "robot_pushing", "variant": "OTlogN"},
}
PEAKS = {"NVIDIA A100 (312 TFLOP/s)": 312e12, "NVIDIA H100 (989 TFLOP/s)": 989e12}
SHARE = 0.25  # of the peak


def step_flops(run):
    """The operations of a training step per example, and the model that they were counted for."""
    import tensorflow as tf

    from flops import TRAINING_FACTOR, graph_flops
    from ms_pixelcnn_tf.models import checks as inputs
    from ms_pixelcnn_tf.models import make_model
    from ms_pixelcnn_tf.models.image import factorisation
    from ms_pixelcnn_tf.models.video import checks as video_inputs
    from ms_pixelcnn_tf.models.video import rollout

    config = run.model
    model = make_model(config)
    shapes = (
        video_inputs.condition_shapes
        if model.example_field == "frames"
        else inputs.condition_shapes
    )
    conditions = {
        name: tf.TensorSpec((1, *shape), dtype) for name, (shape, dtype) in shapes(config).items()
    }
    size = (*config.image_size, config.channels)
    if model.example_field == "frames":
        frames = tf.TensorSpec((1, config.num_frames, *size), tf.int32)

        def score_frames(frames, given):
            return rollout.log_prob_by_frame(model, frames, given)

        return TRAINING_FACTOR * graph_flops(score_frames, frames, conditions), model
    crop, halo = run.train.crop_size or None, run.train.crop_halo
    offsets = tf.constant([[0.0, 0.0]]) if crop else None

    def score(images, given):
        return factorisation.log_prob_terms(model, images, given, crop, offsets, halo)

    return TRAINING_FACTOR * graph_flops(
        score, tf.TensorSpec((1, *size), tf.int32), conditions
    ), model


def main(arguments):
    """Counts the operations of every recipe and writes `costs.md` and `costs.json`."""
    parser = flags.Parser("benchmark costs", __doc__)
    parser.add_argument("--preset", default="large", metavar="NAME", help="recipe (large)")
    add_out(parser)
    options = parser.parse(arguments)
    with flags.quiet_start():
        import machine

        described = machine.describe()
    rows = []
    for what, fields in RECIPES.items():
        run = make_run(preset=options.preset, **fields)
        flops, model = step_flops(run)
        parameters = int(model.count_params())
        total = flops * run.train.batch_size * run.train.steps
        rows.append(
            {
                "recipe": what,
                "parameters": parameters,
                "batch": run.train.batch_size,
                "steps": run.train.steps,
                "flops_an_example": flops,
                "flops": total,
                "hours": {name: total / (peak * SHARE) / 3600 for name, peak in PEAKS.items()},
            }
        )
        print(f"{what}: {total:.2e} operations", flush=True)
    command = shown_command("costs", arguments, ("--out",))
    page = render(rows, command, described, options.preset)
    write_results(
        options.out, "costs", page, {"command": command, "machine": described, "rows": rows}
    )


def render(rows, command, described, preset):
    """The page as Markdown."""
    import machine

    table = markdown_table(
        (
            "recipe",
            "parameters",
            "batch x steps",
            "TFLOP an example and step",
            "operations in all",
            *(f"hours, {name}" for name in PEAKS),
        ),
        [
            (
                row["recipe"],
                f"{row['parameters'] / 1e6:.1f} M",
                f"{row['batch']} x {row['steps']:,}",
                f"{row['flops_an_example'] / 1e12:.2f}",
                f"{row['flops']:.1e}",
                *(f"{hours:,.0f}" for hours in row["hours"].values()),
            )
            for row in rows
        ],
    )
    return (
        f"# What the recipes cost\n\n`{command}`: {machine.sentences(described)} Recipes of the "
        f"preset `{preset}`.\n\nOperations are counted from the graphs that training runs: "
        "convolutions and matrix products, masked ones in full, three passes a step, crops where "
        f"training takes crops. Hours are estimates, not measured: these operations at {SHARE:.0%} "
        f"of the machine's published dense bfloat16 peak, a share that is assumed.\n\n{table}"
    )


if __name__ == "__main__":
    flags.run(main)
