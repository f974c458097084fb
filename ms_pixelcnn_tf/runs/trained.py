"""What has been trained, read back: the configuration and the model of a run's folder.

An export's folder, and a ready-made model's, are read as a run's: they hold the same config.json
and data.json, and weights of the same names.
"""

import collections
import dataclasses
import itertools
import json
import pathlib
from typing import TypeVar

import tensorflow as tf

from ms_pixelcnn_tf.configs import ModelConfig, RunConfig, VideoConfig, unknown
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.models import MultiscalePixelCNN, VideoPixelCNN, make_model
from ms_pixelcnn_tf.runs import card, datasheet, scales, snapshots
from ms_pixelcnn_tf.runs.scales import BEST, CHECKPOINTS, CONFIG, latest_checkpoint
from ms_pixelcnn_tf.runs.snapshots import by_name
from ms_pixelcnn_tf.types import AnyPath

CHOICES = {"last": CHECKPOINTS, "best": BEST}  # of the checkpoint whose weights a model is given
Config = TypeVar("Config", bound=ModelConfig | VideoConfig)
VARIABLES = "variables/variables"  # the checkpoint of a SavedModel


def read_run(workdir: AnyPath) -> RunConfig:
    """The `RunConfig` of a run's folder; of scales trained apart, one that holds those that have a
    checkpoint. Raises UserError if there is none."""
    return scales.assembled(_folders(workdir))


def _folders(workdir):
    """Folders that hold a run's checkpoints → `RunConfig`: itself, or those of its parts."""
    path = pathlib.Path(workdir) / CONFIG
    if path.is_file():
        return {workdir: scales.read_config(path)}
    there = trained_parts(workdir)
    if not there:
        raise UserError(f"{workdir} is not a run's folder: it has no {CONFIG}")
    _check_same_data(there)
    return there


def trained_parts(workdir: AnyPath) -> dict[pathlib.Path, RunConfig]:
    """The scales trained apart that have a checkpoint: folder → `RunConfig`."""
    there = scales.parts(workdir).items()
    return {folder: run for folder, run in there if latest_checkpoint(folder)}


def _check_same_data(folders):
    """Raises UserError, naming the part that differs from most, unless all are of the same data."""
    sheets = {folder: datasheet.read(folder) for folder in folders}
    for field in ("class_names", "examples", "fingerprint"):
        values = {folder: json.dumps(sheet[field]) for folder, sheet in sheets.items() if sheet}
        counted = collections.Counter(values.values()).most_common()
        if len(counted) > 1:
            (most, _), *_, (odd, _) = counted
            folder, other = (
                next(f for f, value in values.items() if value == wanted) for wanted in (odd, most)
            )
            raise UserError(
                f"{folder} was trained on other data than {other}: {field} {odd[:80]}, not "
                f"{most[:80]}; train that scale anew, or take its folder away"
            )


def load_model(
    workdir: AnyPath, to_sample: bool = False, checkpoint: str = "last"
) -> MultiscalePixelCNN | VideoPixelCNN:
    """Builds the model of a run and gives it the averaged weights of a checkpoint.

    Args:
        workdir: folder of the run, or of scales trained apart: then the model holds those that have
            a checkpoint.
        to_sample: where scales are missing, give the model of the largest images that those from
            the base upwards make.
        checkpoint: "last", the newest, or "best", that of the best validation. A damaged one is
            warned of, and the one before it used. An export, and a ready-made model, have one.

    Raises:
        UserError: if there is no run, no checkpoint, or one that does not fit; if a file is not the
            one that its card tells of.
    """
    if checkpoint not in CHOICES:
        raise unknown("checkpoint", checkpoint, CHOICES)
    folders = _folders(workdir)
    first = next(iter(folders))  # parts without a checkpoint are left out
    if latest_checkpoint(first) is None and not _is_export(first):
        raise UserError(f"{workdir} has no checkpoint yet; train it first")
    config = scales.assembled(folders).model
    model = make_model(sampled_config(config) if to_sample else config)
    for folder, part in folders.items():
        own = part.model
        held = own.held_scales if isinstance(own, ModelConfig) and own.scale != "all" else ()
        variables = model.variables_of(held) if held else model.trainable_variables
        weights = tf.train.Checkpoint(averaged=by_name(variables))
        if _is_export(folder):
            card.check(folder, f"{VARIABLES}.*")
            snapshots.read(weights, str(pathlib.Path(folder) / VARIABLES))
            continue
        choice = CHOICES[checkpoint]
        if card.read(folder) is not None:
            choice = CHECKPOINTS
            card.check(folder, f"{choice}/step-*")
        if snapshots.read_newest(weights, pathlib.Path(folder) / choice) is None:
            raise UserError(f"{folder} has no {checkpoint} checkpoint: it was not validated yet")
    return model


def _is_export(folder):
    return (pathlib.Path(folder) / f"{VARIABLES}.index").is_file()


def sampled_config(config: Config) -> Config:
    """The configuration of the largest images that the held scales make, from the base upwards.

    Raises:
        UserError: if the base is missing.
    """
    if isinstance(config, VideoConfig) or config.scale == "all":
        return config
    whole = list(itertools.takewhile(lambda name: name in config.held_scales, config.scale_names))
    if not whole:
        raise UserError(
            f"no image can be sampled without the scale base; trained are: {config.scale}"
        )
    size = config.sizes[len(whole) - 1]
    if len(whole) == 1:  # the base alone is a PixelCNN at its own size
        return dataclasses.replace(config, variant="ON", image_size=size, scale="all")
    kept = [",".join(name for name in part if name in whole) for part in config.scale_parts]
    return dataclasses.replace(config, image_size=size, scale=";".join(filter(None, kept)))


def sampled_run(run: RunConfig) -> RunConfig:
    """The `RunConfig` of what `sampled_config` gives: its smaller images are sub-sampled."""
    model, data = sampled_config(run.model), run.data
    if model.image_size != run.model.image_size and not data.source_size:
        data = dataclasses.replace(data, source_size=max(run.model.image_size))
    return dataclasses.replace(run, model=model, data=data)
