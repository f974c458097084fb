"""Tests whether training in bfloat16 reaches the likelihood of training in float32.

    bin/benchmark precision                   # a quarter of an hour
    bin/benchmark precision --preset=small --steps=4000

Trains one recipe in `float32` and in `mixed_bfloat16`, on the same batches from the same start, and
in `float32` again from another seed, which shows how far two equal runs differ. How many more
images/s bfloat16 trains, at the paper's widths, is measured by `bin/benchmark floor`.
"""

import pathlib
import sys
import tempfile

import machine
from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run, replace
from parts.tables import add_out, markdown_table, shown_command, write_results, yes

GOAL = 0.01  # largest difference, bits per sub-pixel
RUNS = {
    "float32": {"dtype": "float32"},
    "mixed_bfloat16": {"dtype": "mixed_bfloat16"},
    "float32, another seed": {"dtype": "float32", "seed": 1},
}
SPLITS = ("validation", "novel")


def parse(arguments):
    """Flags → an argparse namespace."""
    parser = flags.Parser("benchmark precision", __doc__)
    number = {"type": flags.positive, "metavar": "N"}
    parser.add_argument("--preset", default="tiny", metavar="NAME", help="recipe (tiny)")
    parser.add_argument("--size", default=32, help="side of an image, pixels (32)", **number)
    parser.add_argument("--steps", default=1000, help="of a run (1000)", **number)
    parser.add_argument("--examples", default=500, help="images scored a split (500)", **number)
    add_out(parser)
    return parser.parse(arguments)


def configuration(name, options):
    """The `RunConfig` of one of `RUNS`."""
    return make_run(
        dataset="shapes",
        preset=options.preset,
        image_size=options.size,
        steps=options.steps,
        evaluation_examples=options.examples,
        evaluate_every=options.steps,
        checkpoint_every=options.steps,
        sample_every=0,
        **RUNS[name],
    )


def measure(options):
    """Trains and scores each run: dict name → "bits" → split → bits per sub-pixel."""
    from ms_pixelcnn_tf.evaluation.splits import evaluate
    from ms_pixelcnn_tf.models import make_model
    from ms_pixelcnn_tf.runs.run import Run
    from ms_pixelcnn_tf.runs.source import load_source
    from ms_pixelcnn_tf.training import loop
    from ms_pixelcnn_tf.training.step import copy_weights

    found = {}
    for name in RUNS:
        print(name, file=sys.stderr, flush=True)
        run = configuration(name, options)
        source = load_source(run)
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            loop.train(loop.fit_to_source(run, source), folder, source)
            trained = Run(folder).model()
        model = make_model(replace(trained.config, dtype="float32"))
        copy_weights(trained, model)
        found[name] = {
            "bits": {
                split: evaluate(model, source, split, 50, options.examples).bits_per_dim
                for split in SPLITS
            }
        }
    return found


def markdown(results):
    """The page as Markdown."""
    settings, runs = results["settings"], results["runs"]
    plain = runs["float32"]["bits"]
    rows = [
        (
            name,
            *(f"{one['bits'][split]:.4f}" for split in SPLITS),
            *(f"{one['bits'][split] - plain[split]:+.4f}" for split in SPLITS),
        )
        for name, one in runs.items()
    ]
    gap = abs(runs["mixed_bfloat16"]["bits"]["validation"] - plain["validation"])
    return (
        "# Training in bfloat16\n\n"
        f"`{results['command']}`: {machine.sentences(results['machine'])}\n\n"
        f"`shapes` at {settings['size']}×{settings['size']}, preset {settings['preset']}, "
        f"{settings['steps']:,} steps; bits per sub-pixel of {settings['examples']} images a "
        "split. All runs are scored in float32.\n\n"
        + markdown_table(("run", *SPLITS, *(f"{split}, less float32" for split in SPLITS)), rows)
        + f"\nValidation of the two within {GOAL} bits: {yes(gap <= GOAL)} ({gap:.4f}).\n"
    )


def main(arguments):
    """Trains, prints the page and writes `precision.md` and `precision.json`."""
    options = parse(arguments)
    configuration("float32", options)  # reports a wrong value before anything is trained
    machine.require_tensorflow()
    with flags.quiet_start():
        import tensorflow as tf
    tf.get_logger().setLevel("ERROR")  # TensorFlow warns of retracing if models share code
    results = {
        "command": shown_command("precision", arguments),
        "machine": machine.describe(),
        "settings": {k: v for k, v in vars(options).items() if k != "out"},
        "runs": measure(options),
    }
    page = markdown(results)
    print(page)
    write_results(options.out, "precision", page, results)


if __name__ == "__main__":
    flags.run(main)
