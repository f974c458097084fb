"""Tests whether training in bfloat16 reaches the likelihood of training in float32.

    bin/benchmark precision                   # a quarter of an hour
    bin/benchmark precision --preset=small --steps=4000

Trains one recipe in `float32` and in `mixed_bfloat16`, on the same batches from the same start, and
in `float32` again from another seed, which shows how far two equal runs differ. How many more
images/s bfloat16 trains, at the paper's widths, is measured by `bin/benchmark floor`.
"""

import sys
import tempfile

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run, replace
from parts import machine
from parts.pages import goals_table, publish, table
from parts.parser import Parser

RUNS = {
    "float32": {"dtype": "float32"},
    "mixed_bfloat16": {"dtype": "mixed_bfloat16"},
    "float32, another seed": {"dtype": "float32", "seed": 1},
}
SPLITS = ("validation", "novel")


def parse(arguments):
    """Flags → an argparse namespace."""
    parser = Parser("precision", __doc__)
    parser.name("--preset", "tiny", "recipe")
    parser.number("--size", 32, "side of an image, pixels")
    parser.number("--steps", 1000, "of a run")
    parser.number("--examples", 500, "images scored a split")
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
    """Trains and scores each run: dict name → split → bits per sub-pixel."""
    from ms_pixelcnn_tf.evaluation.splits import evaluate
    from ms_pixelcnn_tf.models import make_model
    from ms_pixelcnn_tf.runs.source import load_source
    from ms_pixelcnn_tf.training import loop
    from ms_pixelcnn_tf.training.step import copy_weights

    found = {}
    for name in RUNS:
        print(name, file=sys.stderr, flush=True)
        run = configuration(name, options)
        source = load_source(run)
        with tempfile.TemporaryDirectory() as folder:
            trained = loop.train(run, folder, source)
        model = make_model(replace(trained.config, dtype="float32"))
        copy_weights(trained, model)
        found[name] = {
            split: evaluate(model, source, split, 50, options.examples).bits_per_dim
            for split in SPLITS
        }
    return found


def body(results):
    """The page's paragraphs."""
    settings, bits = results["settings"], results["bits"]
    plain = bits["float32"]
    gap = abs(bits["mixed_bfloat16"]["validation"] - plain["validation"])
    columns = [("run", lambda name: name)]
    columns += [(s, lambda name, s=s: f"{bits[name][s]:.4f}") for s in SPLITS]
    for s in SPLITS:
        columns.append((f"{s}, less float32", lambda n, s=s: f"{bits[n][s] - plain[s]:+.4f}"))
    return [
        f"`shapes` at {settings['size']}×{settings['size']}, preset {settings['preset']}, "
        f"{settings['steps']:,} steps; bits per sub-pixel of {settings['examples']} images a "
        "split. All runs are scored in float32.",
        table(columns, bits),
        goals_table([("difference of the two dtypes, validation", "≤ 0.01 bits", f"{gap:.4f}")]),
    ]


def main(arguments):
    """Trains, and writes the page `precision`."""
    options = parse(arguments)
    configuration("float32", options)  # reports a wrong value before anything is trained
    machine.start_tensorflow()
    results = {"bits": measure(options)}
    publish(options, "precision", "Training in bfloat16", results, body)


if __name__ == "__main__":
    flags.run(main)
