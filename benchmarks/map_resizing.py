"""Compares three ways to resize maps to the scales of the pyramid: corners, centres and tf1.

    bin/benchmark map_resizing --core=0      # an hour; resumes

Trains the base of `conditioning` with captions and keypoints for a quarter of its steps, once with
each way (`--map_resizing` of `bin/train`) and all else equal. Then gives each base held-out prompts
and prompts of pairs that training shows, and reads the colours of its 8x8 samples at the places
asked for.
"""

import pathlib

import conditioning
from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run
from parts.processes import pin, train_each
from parts.tables import add_out

METHODS = ("corners", "centres", "tf1")
RUN = "text-keypoints"
QUARTER = 4


def configuration(method):
    """The `RunConfig` of the base with maps resized by one of METHODS."""
    fields = conditioning.SHARED | conditioning.RUNS[RUN] | conditioning.MAPS
    fields |= conditioning.STAGES["base"]
    fields |= {"steps": fields["steps"] // QUARTER, "map_resizing": method}
    return make_run(**fields, scale="base")


def train(method, options):
    """Trains one base, or resumes it."""
    pin(options.core)
    with flags.quiet_start():
        import tensorflow as tf

        from ms_pixelcnn_tf.runs.source import load_source
        from ms_pixelcnn_tf.training import loop
    tf.config.threading.set_intra_op_parallelism_threads(1)
    run = configuration(method)
    loop.train(run, pathlib.Path(options.workdir) / method, load_source(run))


def parse(arguments):
    """Flags → an argparse namespace."""
    parser = flags.Parser("benchmark map_resizing", __doc__)
    parser.add_argument(
        "--workdir",
        default="runs/map_resizing",
        metavar="DIR",
        help="holds one folder a run (runs/map_resizing)",
    )
    parser.add_argument("--only", choices=METHODS, help="train this one and write no page")
    parser.add_argument("--core", type=int, metavar="N", help="the core to run on (the first)")
    parser.add_argument(
        "--prompts", type=flags.positive, default=500, metavar="N", help="prompts of a split (500)"
    )
    add_out(parser)
    return parser.parse(arguments)


def main(arguments):
    """Trains the bases that need it, each in its own process, then writes the page."""
    options = parse(arguments)
    if options.only:
        return train(options.only, options)
    train_each([__file__], METHODS, options, ("workdir", "core"))
    with flags.quiet_start():
        from parts import map_resizing_report
    print(map_resizing_report.write(options, METHODS))


if __name__ == "__main__":
    flags.run(main)
