"""Compares OlogN with ON on photographs: the same data, at equal time and at equal examples.

    bin/benchmark density train --data_dir=tiny-imagenet-200.zip     # hours; resumes
    bin/benchmark density report                                     # minutes

`train` trains the runs in RUNS one after the other, each in a process on one core. With `--only`
and `--core`, two runs can train at the same time, each on its own core. A run takes about half an
hour on a core with AVX2, and less on a wider one. `report` reads the folders of the runs and writes
the tables, the curves and the samples to benchmarks/results/.

The runs use the preset `small`, except for the fields in RUNS and SHARED. ON has about as many
parameters as OlogN of type A with a DMOL. At equal parameters a full-size PixelCNN does several
times the work per image, so it takes fewer steps in the same time. Each run's learning-rate
schedule ends at the run's own last step.
"""

import os
import pathlib

import machine
from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run, unknown
from ms_pixelcnn_tf.errors import UserError
from parts.processes import pin, train_each
from parts.tables import add_out

BASELINE = "ON-dmol"
RUNS = {
    "ON-dmol": {
        "variant": "ON",
        "output": "dmol",
        "base_layers": 8,
        "base_features": 112,
        "steps": 560,
        "evaluate_every": 80,
    },
    "OlogN-A-dmol": {"output": "dmol", "steps": 2700, "evaluate_every": 180},
    "OlogN-B-dmol": {"output": "dmol", "upscaler": "B", "steps": 1350, "evaluate_every": 135},
    "OlogN-A-softmax": {"output": "softmax", "steps": 1200, "evaluate_every": 120},
}
SHARED = {
    "dataset": "tiny-imagenet-32",
    "preset": "small",
    "evaluation_examples": 1000,
    "sample_every": 0,
}
CADENCE = ("log_every", "checkpoint_every", "sample_every")


def configuration(name, data_dir):
    """The `RunConfig` of one of `RUNS`."""
    return make_run(**SHARED, **RUNS[name], data_dir=os.path.abspath(os.path.expanduser(data_dir)))


def train(options):
    """Trains one run in this process, or all of them in one process each."""
    if options.only is None:
        return train_each([__file__, "train"], RUNS, options, ("workdir", "data_dir", "core"))
    run = configuration(options.only, options.data_dir)
    pin(options.core)
    with flags.quiet_start():
        import tensorflow as tf

        from ms_pixelcnn_tf.training import loop
    tf.config.threading.set_intra_op_parallelism_threads(1)
    loop.train(run, str(pathlib.Path(options.workdir) / options.only))


def report(options):
    """Writes density.md, density.json, density.png and density_samples.png."""
    machine.require_extra("benchmarks", "matplotlib")
    with flags.quiet_start():
        import tensorflow as tf

        from parts import density_report
    tf.get_logger().setLevel("ERROR")  # TensorFlow warns if only part of a checkpoint is read
    folder = pathlib.Path(options.workdir)
    workdirs = {name: folder / name for name in RUNS}
    markdown = density_report.write(
        workdirs,
        BASELINE,
        options.out,
        options.data_dir,
        options.samples,
        notes=options.note
        + [note for name, path in workdirs.items() for note in departures(name, path)],
    )
    print(markdown)


def departures(name, workdir):
    """Lists the fields of a run's configuration that differ from RUNS, one sentence each.

    Fields in CADENCE may differ: how often a run saves, logs and shows samples changes no result.
    """
    from ms_pixelcnn_tf.runs.checkpoint import CONFIG
    from ms_pixelcnn_tf.runs.run import Run

    if not (workdir / CONFIG).is_file():
        return []
    run, meant = Run(workdir).config, configuration(name, "")
    return [
        f"{name} was run with {field} {value!r}, not {getattr(table, field)!r}."
        for found, table in ((run.model, meant.model), (run.train, meant.train))
        for field, value in vars(found).items()
        if value != getattr(table, field) and field not in CADENCE
    ]


def parse(arguments):
    """Flags → an argparse namespace with `mode`, "train" or "report"."""
    mode = arguments[0] if arguments[:1] in (["train"], ["report"]) else None
    parser = flags.Parser("benchmark density", __doc__)
    parser.add_argument("mode", choices=("train", "report"))
    parser.add_argument(
        "--workdir",
        default="runs/density",
        metavar="DIR",
        help="holds one folder a run (runs/density)",
    )
    parser.add_argument(
        "--data_dir",
        metavar="PATH",
        help="tiny-imagenet-200.zip, or its folder; report: default the runs' own",
    )
    if mode != "report":
        parser.add_argument("--only", metavar="NAME", help=f"one of {', '.join(RUNS)}")
        parser.add_argument("--core", type=int, metavar="N", help="the core to run on (the first)")
    if mode != "train":
        add_out(parser)
        parser.add_argument(
            "--samples",
            type=flags.positive,
            default=12,
            metavar="N",
            help="samples of each model (12)",
        )
        parser.add_argument(
            "--note",
            action="append",
            default=[],
            metavar="TEXT",
            help="a sentence for the page: what else ran on the machine, say",
        )
    return parser.parse(arguments)


def main(arguments):
    """Runs `train` or `report`."""
    options = parse(arguments)
    if options.mode == "report":
        return report(options)
    if options.only is not None and options.only not in RUNS:
        raise unknown("run", options.only, RUNS)
    if options.data_dir is None:
        raise UserError("train needs --data_dir: give tiny-imagenet-200.zip, or its folder")
    return train(options)


if __name__ == "__main__":
    flags.run(main)
