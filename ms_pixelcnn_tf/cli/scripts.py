"""The console scripts of an installed package: `ms-pixelcnn-train`, … for `bin/train`, …"""

import functools
import importlib
import os

from ms_pixelcnn_tf.cli import flags


def _run(module):
    """Runs a module's `main` as a command."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hides TensorFlow's start-up log
    flags.run(importlib.import_module(module).main)


demo, evaluate, export, inspect_data, report, sample, score, train, upscale = (
    functools.partial(_run, f"ms_pixelcnn_tf.cli.{name}")
    for name in (
        "demo",
        "evaluate",
        "export",
        "inspect_data",
        "report",
        "sample",
        "score",
        "train",
        "upscale",
    )
)
make_tfrecords = functools.partial(_run, "tfrecords_tools.cli")
