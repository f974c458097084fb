"""Trains the runs of a benchmark, each on one core."""

import os
import pathlib
import subprocess
import sys

from ms_pixelcnn_tf.cli import flags
from ms_pixelcnn_tf.configs import unknown
from ms_pixelcnn_tf.errors import UserError
from parts.parser import Parser


class RunsParser(Parser):
    """The parser of a benchmark that trains runs, whose names are `runs`: has a mode, `--workdir`,
    `--only` and `--core`."""

    def __init__(self, name, description, runs, modes=("train", "report")):
        super().__init__(name, description)
        self._runs = runs
        self.add_argument("mode", choices=modes)
        folder = f"runs/{name}"
        self.add_argument(
            "--workdir", default=folder, metavar="DIR", help=f"holds a folder per run ({folder})"
        )
        self.add_argument(
            "--only",
            type=lambda text: text.split(","),
            metavar="NAMES",
            help="runs to train, separated by commas (all)",
        )
        self.add_argument("--core", type=int, metavar="N", help="the core to train on (the first)")

    def parse(self, arguments):
        options = super().parse(arguments)
        for name in options.only or ():
            if name not in self._runs:
                raise unknown("run", name, self._runs)
        return options


def train(script, options, names, configurations):
    """Trains runs, or resumes them: one run in this process, several in processes of their own.

    Args:
        script: the benchmark's file.
        options: those of a `RunsParser`.
        names: of the runs.
        configurations: a function of a run's name that returns the `RunConfig`s to train into its
            folder, one after the other.
    """
    if len(names) > 1:
        return train_each(script, options, names)
    use_one_core(options.core)
    for run in configurations(*names):
        train_into(pathlib.Path(options.workdir) / names[0], run)


def train_each(script, options, names):
    """Trains runs one after the other, each in a process of its own. Exits with the status of the
    first that fails, which has printed the reason."""
    own = ("mode", "only", "command")
    given = {k: v for k, v in vars(options).items() if k not in own and v is not None}
    for name in names:
        print(f"run: {name}", flush=True)
        command = [sys.executable, script, options.mode, f"--only={name}"]
        process = subprocess.Popen([*command, *(f"--{k}={v}" for k, v in given.items())])
        try:
            status = process.wait()
        except KeyboardInterrupt:  # the process saves before it ends
            status = process.wait()
        if status:
            sys.exit(status)


def use_one_core(core):
    """Restricts this process and TensorFlow to one core; None: the first that is usable."""
    if hasattr(os, "sched_setaffinity"):
        usable = sorted(os.sched_getaffinity(0))
        if core is not None and core not in usable:
            raise UserError(f"core is {core}; valid: {', '.join(map(str, usable))}")
        os.sched_setaffinity(0, {usable[0] if core is None else core})
    with flags.quiet_start():
        import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(1)


def train_into(workdir, run):
    """Trains a `RunConfig`, of all scales or of some, into the folder of a run."""
    from ms_pixelcnn_tf.runs import scales
    from ms_pixelcnn_tf.runs.source import load_source
    from ms_pixelcnn_tf.training import loop

    source = load_source(run)
    run = loop.fit_to_source(run, source)
    print(f"{workdir}, scale {run.model.scale}", flush=True)
    loop.train(run, scales.folder_of(workdir, run), source)
