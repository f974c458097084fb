"""Compares OlogN with ON on photographs: the same data, at equal time and at equal examples.

    bin/benchmark density train --data_dir=tiny-imagenet-200.zip     # hours; resumes
    bin/benchmark density report                                     # minutes

`train` trains the runs in RUNS one after the other, each in a process on one core. With `--only`
and `--core`, two runs can train at the same time. A run takes about half an hour of a core.

ON has about as many parameters as OlogN of type A with a DMOL. At equal parameters a full-size
PixelCNN does several times the work per image, so it takes fewer steps in the same time. Each run's
learning-rate schedule ends at the run's own last step.
"""

import os

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import make_run
from ms_pixelcnn_tf.errors import UserError
from parts import machine, runs

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
SHARED = {"dataset": "tiny-imagenet-32", "preset": "small", "sample_every": 0}


def configuration(name, data_dir):
    """The `RunConfig` of one of `RUNS`."""
    return make_run(**SHARED, **RUNS[name], data_dir=os.path.abspath(os.path.expanduser(data_dir)))


def parse(arguments):
    """Flags → an argparse namespace with `mode`, "train" or "report"."""
    parser = runs.RunsParser("density", __doc__, RUNS)
    parser.add_argument(
        "--data_dir",
        metavar="PATH",
        help="tiny-imagenet-200.zip, or its folder; report: default the runs' own",
    )
    return parser.parse(arguments)


def main(arguments):
    """Runs `train` or `report`."""
    options = parse(arguments)
    if options.mode == "report":
        machine.require_extra("benchmarks", "matplotlib")
        machine.start_tensorflow()
        from parts import density_report

        return density_report.write(options, RUNS, BASELINE)
    if options.data_dir is None:
        raise UserError("train needs --data_dir: give tiny-imagenet-200.zip, or its folder")
    names = options.only or list(RUNS)
    runs.train(__file__, options, names, lambda name: [configuration(name, options.data_dir)])


if __name__ == "__main__":
    flags.run(main)
