"""The flags that benchmarks share, and how a command is shown on its page."""

import argparse
import os
import pathlib

from ms_pixelcnn_tf.cli import flags

RESULTS = pathlib.Path(__file__).resolve().parents[1] / "results"
FOLDERS = ("out", "workdir", "data_dir")  # flags that mean nothing on another machine


class Parser(flags.Parser):
    """A parser with `--out`, the folder of the results, which is checked before anything is
    measured. The options that it returns also have `command`, the command as typed."""

    def __init__(self, name, description):
        super().__init__(f"benchmark {name}", description)
        self.add_argument(
            "--out", type=_writable, default=str(RESULTS), metavar="DIR", help="for the results"
        )

    def number(self, flag, default, what):
        """Adds a flag that takes an integer above 0."""
        self.add_argument(
            flag, type=flags.positive, default=default, metavar="N", help=f"{what} ({default})"
        )

    def name(self, flag, default, what):
        """Adds a flag that takes a name."""
        self.add_argument(flag, default=default, metavar="NAME", help=f"{what} ({default})")

    def parse(self, arguments):
        options = super().parse(arguments)
        options.command = shown_command(self.prog, arguments)
        return options


def settings(options):
    """The options that decide the results, as a dict for JSON."""
    return {k: v for k, v in vars(options).items() if k not in ("command", *FOLDERS)}


def shown_command(program, arguments):
    """The command as typed, without its folders."""
    kept, paths = [], [f"--{name}" for name in FOLDERS]
    arguments = iter(arguments)
    for argument in arguments:
        if argument in paths:
            next(arguments, None)  # its value
        elif argument.split("=")[0] not in paths:
            kept.append(argument)
    return " ".join([program, *kept])


def _writable(name):
    """Makes a folder that can be written, and returns its name."""
    try:
        pathlib.Path(name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{name}: {error.strerror}; give a folder") from error
    if not os.access(name, os.W_OK):
        raise argparse.ArgumentTypeError(f"{name} cannot be written; give another folder")
    return name
