"""Estimates what the paper's recipes cost: operations counted from graphs, and hours.

    bin/benchmark costs                    # writes costs.md and costs.json; minutes, trains nothing

A training step counts as three forward passes, on the crops that training takes. Hours are the
operations divided by a machine's published peak (bfloat16, dense) times a share of it. The share is
an assumption, which the page states.
"""

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run
from parts.pages import publish, table
from parts.parser import Parser

BASELINE = {"dataset": "imagenet", "variant": "ON", "image_size": 32}
RECIPES = {  # name → fields of a run
    "Table 1, CUB: captions and keypoints, 4x4 to 256x256": {"dataset": "cub"},
    "Table 1, MPII: captions and keypoints, 4x4 to 256x256": {"dataset": "mpii"},
    "Table 1, COCO: captions and segmentation, 4x4 to 256x256": {"dataset": "coco"},
    "Table 3, ImageNet 32x32, 8x8 to 32x32": {"dataset": "imagenet", "image_size": 32},
    "Table 3, ImageNet 64x64, 8x8 to 64x64": {"dataset": "imagenet", "image_size": 64},
    "Table 3, ImageNet 128x128, 8x8 to 128x128": {"dataset": "imagenet"},
    "Table 1 and 3, PixelCNN baseline: ON at 32x32": BASELINE,
    **{
        f"Table 2, robot pushing, {variant}": {"dataset": "robot_pushing", "variant": variant}
        for variant in ("OT_baseline", "OTN", "OT", "OTlogN")
    },
}
PEAKS = {"NVIDIA A100 (312 TFLOP/s)": 312e12, "NVIDIA H100 (989 TFLOP/s)": 989e12}
SHARE = 0.25  # of the peak


def step_flops(run):
    """The operations of a training step per example, and the model that they were counted for."""
    from ms_pixelcnn_tf.models import make_model
    from parts.flops import TRAINING_FACTOR, likelihood_flops

    model = make_model(run.model)
    flops = likelihood_flops(model, run.train.crop_size or None, run.train.crop_halo)
    return TRAINING_FACTOR * flops, model


def main(arguments):
    """Counts the operations of every recipe, and writes the page `costs`."""
    parser = Parser("costs", __doc__)
    parser.name("--preset", "large", "recipe")
    options = parser.parse(arguments)
    rows = []
    for what, fields in RECIPES.items():
        run = make_run(preset=options.preset, **fields)
        flops, model = step_flops(run)
        total = flops * run.train.batch_size * run.train.steps
        rows.append(
            {
                "recipe": what,
                "parameters": int(model.count_params()),
                "batch": run.train.batch_size,
                "steps": run.train.steps,
                "flops_an_example": flops,
                "flops": total,
            }
        )
        print(f"{what}: {total:.2e} operations", flush=True)
    publish(options, "costs", "What the recipes cost", {"rows": rows}, body)


def body(results):
    """The page's paragraphs."""
    columns = [
        ("recipe", lambda row: row["recipe"]),
        ("parameters", lambda row: f"{row['parameters'] / 1e6:.1f} M"),
        ("batch x steps", lambda row: f"{row['batch']} x {row['steps']:,}"),
        ("TFLOP an example and step", lambda row: f"{row['flops_an_example'] / 1e12:.2f}"),
        ("operations in all", lambda row: f"{row['flops']:.1e}"),
        *(
            (f"hours, {name}", lambda row, p=peak: f"{row['flops'] / (p * SHARE) / 3600:,.0f}")
            for name, peak in PEAKS.items()
        ),
    ]
    return [
        f"Recipes of the preset `{results['settings']['preset']}`.",
        "Operations are counted from the graphs that training runs: convolutions and matrix "
        "products, masked ones in full, three passes a step, crops where training takes crops. "
        f"Hours are estimates, not measured: these operations at {SHARE:.0%} of the machine's "
        "published dense bfloat16 peak, a share that is assumed.",
        table(columns, results["rows"]),
    ]


if __name__ == "__main__":
    flags.run(main)
