"""Fits a run to its data: fills in the fields that the data determines and checks the rest."""

import dataclasses

import numpy as np

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.configs import ModelConfig, RunConfig, VideoConfig
from ms_pixelcnn_tf.data.batches.pipeline import check_changes
from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.runs.source import check_kind
from ms_pixelcnn_tf.sizes import format_size

HISTOGRAM_EXAMPLES = 1000
HISTOGRAM_CLIPS = 100


def fit_to_source(run: RunConfig, source: Source) -> RunConfig:
    """`run`, checked against the data, with the conditions of an image model filled in from it.

    Raises:
        UserError: if the split train or validation is missing or empty; if the model's images,
            videos or conditions are not the data's; if the data does not allow a change to
            examples that training would make.
    """
    check_kind(run, source.name, source.is_video)
    for split in ("train", "validation"):
        if split not in source.splits or not source.size(split):
            what = "videos" if source.is_video else "images"
            raise UserError(f"{source.name} has no {split} {what}; add more {what}")
    model = run.model if source.is_video else _with_conditions(run, source)
    if (*model.image_size, model.channels) != (*source.image_size, source.channels):
        raise UserError(
            f"the model is of {format_size(model.image_size)} with {model.channels} "
            f"channels, {source.name} of {format_size(source.image_size)} with "
            f"{source.channels}"
        )
    if source.is_video:
        _check_video(model, source)
    for name in ("map_dropout", "maps_from", "map_noise"):
        if getattr(run.train, name) and not {"keypoints", "segmentation"} & {*model.conditions}:
            raise UserError(
                f"{name} is {getattr(run.train, name)}, but no keypoints or segmentation condition "
                "the model; leave it out, or give such --conditions"
            )
    one_segment = isinstance(model, ModelConfig) and model.num_segments == 1
    if run.train.map_noise and one_segment and "keypoints" not in model.conditions:
        raise UserError(
            f"map_noise is {run.train.map_noise}, but the segmentation has one class, which no "
            "other can be taken for; leave it out"
        )
    fields = (source.example_field, *model.conditions)
    check_changes(source, fields, run.train.flip, run.train.random_crop, run.train.augmentations)
    return dataclasses.replace(run, model=model)


def level_histogram(source: Source, config: ModelConfig | VideoConfig) -> np.ndarray:
    """int64 `[C, L]`: how often each level occurs in each channel, in examples evenly spaced over
    the split train."""
    field, count = source.example_field, HISTOGRAM_CLIPS if source.is_video else HISTOGRAM_EXAMPLES
    indices = np.linspace(0, source.size("train") - 1, count).astype("int64")
    examples = source.examples("train", np.unique(indices), (field,))[field]
    levels = pixels.quantise(examples, config.num_levels)
    return np.stack(
        [
            np.bincount(levels[..., c].ravel(), minlength=config.num_levels)
            for c in range(config.channels)
        ]
    )


def _check_video(model, source):
    """Raises UserError unless clips, actions and states of the model match the data's."""
    if model.num_frames != source.num_frames:
        raise UserError(
            f"the model is of {model.num_frames} frames, {source.name} of {source.num_frames}"
        )
    for field in ("action_size", "state_size"):
        own, held = getattr(model, field), getattr(source, field)
        if own not in (0, held):
            raise UserError(
                f"{field} is {own}, but {source.name} has {held}; valid: 0 (without)"
                f"{f' or {held}' * bool(held)}"
            )


def _with_conditions(run, source):
    """The model's configuration, with the conditions that `run.data.conditions` names."""
    held = {
        "num_classes": ("label", source.num_classes),
        "text": ("text", bool(source.num_captions)),
        "num_keypoints": ("keypoints", source.num_keypoints),
        "num_segments": ("segmentation", source.num_segments),
    }
    model = run.model
    for field, (condition, value) in held.items():
        if condition in run.data.condition_names and not getattr(model, field):
            if not value:
                raise UserError(f"conditions name {condition}, which {source.name} does not have")
            model = dataclasses.replace(model, **{field: value})
        if getattr(model, field) and not value:
            nothing = "false" if field == "text" else 0
            raise UserError(
                f"the model is conditioned on {condition}, which {source.name} does not have here; "
                f"build it again with its {condition}, or give --{field}={nothing}"
            )
        if getattr(model, field) not in (0, value):
            raise UserError(
                f"{field} is {getattr(model, field)}, but {source.name} has {value}; "
                f"valid: 0 (unconditional){f' or {value}' * bool(value)}"
            )
    return model
