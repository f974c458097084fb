"""The console scripts `ms-pixelcnn-train`, …: what `bin/train`, … run, for an installed package."""

import functools
import importlib
import os

from ms_pixelcnn_tf.cli import flags


def _run(module):
    """Runs a module's `main`, and exits."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up log
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
