"""Writes results as Markdown for people and as JSON for programs."""

import argparse
import json
import os
import pathlib

from ms_pixelcnn_tf.files import write_text

RESULTS = pathlib.Path(__file__).resolve().parents[1] / "results"


def markdown_table(header, rows):
    """A Markdown table, its first column aligned left and the others right."""
    rule = [":--", *["--:"] * (len(header) - 1)]
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in (header, rule, *rows))


def yes(met):
    """Whether a goal is met, as a cell: "yes" or "no"."""
    return "yes" if met else "no"


def add_out(parser):
    """Adds `--out`, the folder of the results, which is checked before anything is measured."""
    parser.add_argument(
        "--out", type=_writable, default=str(RESULTS), metavar="DIR", help="for the results"
    )


def _writable(name):
    """Makes a folder that can be written, and returns its name."""
    try:
        pathlib.Path(name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{name}: {error.strerror}; give a folder") from error
    if not os.access(name, os.W_OK):
        raise argparse.ArgumentTypeError(f"{name} cannot be written; give another folder")
    return name


def write_results(folder, name, markdown, results):
    """Writes `name`.md and `name`.json into `folder`."""
    folder = pathlib.Path(folder)
    write_text(folder / f"{name}.md", markdown)
    write_text(folder / f"{name}.json", json.dumps(results, indent=2) + "\n")


def shown_command(name, arguments, paths=("--out", "--workdir", "--data_dir")):
    """The command as typed, without its folders, which mean nothing on another machine."""
    kept = []
    arguments = iter(arguments)
    for argument in arguments:
        if argument in paths:
            next(arguments, None)  # its value
        elif argument.split("=")[0] not in paths:
            kept.append(argument)
    return " ".join([f"bin/benchmark {name}", *kept])
