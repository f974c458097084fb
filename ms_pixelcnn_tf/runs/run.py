"""Reads a trained run from its folder: configuration, data, validation curve and model.

The folder of an export or of a shipped model is read like a run folder: it holds the same
config.json and data.json, and weights with the same names.
"""

import dataclasses
import itertools
import pathlib
from typing import Any, TypeVar

import tensorflow as tf

from ms_pixelcnn_tf.configs import ModelConfig, RunConfig, VideoConfig, unknown
from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.models import MultiscalePixelCNN, VideoPixelCNN, make_model
from ms_pixelcnn_tf.runs import card, datasheet, scales, snapshots
from ms_pixelcnn_tf.runs.folder import BEST, CHECKPOINTS, latest_checkpoint
from ms_pixelcnn_tf.runs.metrics import read_metrics
from ms_pixelcnn_tf.runs.snapshots import by_name
from ms_pixelcnn_tf.runs.source import load_source
from ms_pixelcnn_tf.types import AnyPath

CHOICES = {"last": CHECKPOINTS, "best": BEST}  # name of a checkpoint → its folder
Config = TypeVar("Config", bound=ModelConfig | VideoConfig)
VARIABLES = "variables/variables"  # the checkpoint of a SavedModel


class Run:
    """A run folder, of one run or of scales trained apart; or an export.

    Args:
        workdir: the folder.

    Attributes:
        workdir: `pathlib.Path`.
        config: the `RunConfig`; for scales trained apart, one with the scales that have a
            checkpoint.
        parts: `{folder: RunConfig}`: the run folder itself, or those of the scales trained apart
            that have a checkpoint.

    Raises:
        UserError: if there is no run; if its parts do not belong together.
    """

    def __init__(self, workdir: AnyPath) -> None:
        self.workdir = pathlib.Path(workdir)
        self.parts = scales.trained_parts(workdir)
        self.config = scales.assembled(self.parts)

    @property
    def sampled(self) -> RunConfig:
        """The configuration of the largest images that the held scales make, from the base up. If
        they are smaller than the model's, the data is sub-sampled from the model's size. Raises
        UserError if the base is missing."""
        model, data = sampled_config(self.config.model), self.config.data
        if model.image_size != self.config.model.image_size and not data.source_size:
            data = dataclasses.replace(data, source_size=max(self.config.model.image_size))
        return dataclasses.replace(self.config, model=model, data=data)

    @property
    def datasheet(self) -> dict[str, Any] | None:
        """The description of its data (`datasheet.read`); None if the folder has none."""
        return datasheet.read(self.workdir)

    @property
    def curve(self) -> list[dict[str, Any]]:
        """The validation curve (`metrics.read_metrics`); empty for scales trained apart, because
        each part has its own."""
        return read_metrics(self.workdir)

    def names(self, kind: str) -> tuple[str, ...]:
        """Names of its classes, keypoints or segments, in the order of their numbers; empty if
        they are not known. `kind` is one of `datasheet.NAMES`."""
        return datasheet.read_names(self.workdir, kind)

    def source(self, data_dir: str | None = None) -> Source:
        """Loads its data set, from `data_dir` if given.

        Raises:
            UserError: as `source.load_source` and `datasheet.check_same_classes`.
        """
        found = load_source(self.config, data_dir)
        datasheet.check_same_classes(self.workdir, found)
        return found

    def model(
        self, to_sample: bool = False, checkpoint: str = "last"
    ) -> MultiscalePixelCNN | VideoPixelCNN:
        """The model with the averaged weights of a checkpoint; for scales trained apart, it holds
        those that have a checkpoint.

        Args:
            to_sample: if scales are missing, return the model of `sampled`.
            checkpoint: "last" (the newest) or "best" (of the best validation). If it is damaged,
                the one before it is used, with a warning. Exports and shipped models have only one.

        Raises:
            UserError: if there is no sound checkpoint, or it does not fit the model; if a file is
                not the one that its card lists.
        """
        if checkpoint not in CHOICES:
            raise unknown("checkpoint", checkpoint, CHOICES)
        first = next(iter(self.parts))  # every part has a checkpoint; a run may not
        if latest_checkpoint(first) is None and not _is_export(first):
            raise UserError(f"{self.workdir} has no checkpoint yet; train it first")
        config = self.config.model
        model = make_model(sampled_config(config) if to_sample else config)
        for folder, part in self.parts.items():
            own = part.model
            variables = model.trainable_variables
            if own.scale != "all":
                variables = model.variables_of(own.held_scales)
            _read_weights(folder, variables, checkpoint)
        return model


def _read_weights(folder, variables, checkpoint):
    """Reads a folder's averaged weights into `variables`."""
    weights = tf.train.Checkpoint(averaged=by_name(variables))
    if _is_export(folder):
        card.check(folder, f"{VARIABLES}.*")
        snapshots.read(weights, str(folder / VARIABLES))
        return
    choice = CHOICES[checkpoint]
    if card.read(folder) is not None:
        choice = CHECKPOINTS
        card.check(folder, f"{choice}/step-*")
    if snapshots.read_newest(weights, folder / choice) is None:
        raise UserError(f"{folder} has no {checkpoint} checkpoint: it was not validated yet")


def _is_export(folder):
    return (folder / f"{VARIABLES}.index").is_file()


def sampled_config(config: Config) -> Config:
    """The configuration of the largest images that the held scales make, from the base up. A video
    model reads previous frames at full size, so its configuration is returned unchanged.

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
