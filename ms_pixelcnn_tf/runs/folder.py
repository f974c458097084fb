"""A run folder: the names of its files, its configuration, its newest checkpoint."""

import pathlib

from ms_pixelcnn_tf.configs import RunConfig
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.runs import snapshots
from ms_pixelcnn_tf.types import AnyPath

CONFIG = "config.json"
CHECKPOINTS = "checkpoints"
BEST = "best"
SCALES = "scales"  # holds a run folder for each part of a run whose scales are trained apart


def latest_checkpoint(workdir: AnyPath) -> str | None:
    """Path of the newest checkpoint; None without one."""
    folder = pathlib.Path(workdir) / CHECKPOINTS
    there = snapshots.steps(folder)
    return snapshots.path_of(folder, there[-1]) if there else None


def read_config(path: pathlib.Path) -> RunConfig:
    """The `RunConfig` in a file. Raises UserError, naming the file, if it holds none."""
    try:
        return RunConfig.from_json(path.read_text(encoding="utf-8"))
    except (UserError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {error}") from error
