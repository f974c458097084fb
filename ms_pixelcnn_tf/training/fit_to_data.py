"""A run and its data: what the data tells is filled in, the rest checked against it."""

import dataclasses

import numpy as np

from ms_pixelcnn_tf import data, pixels
from ms_pixelcnn_tf.configs import VARIANTS, VIDEO_VARIANTS, ModelConfig, RunConfig, VideoConfig
from ms_pixelcnn_tf.data.batches.pipeline import check_changes
from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import format_size

HISTOGRAM_EXAMPLES = 1000
HISTOGRAM_CLIPS = 100


def load_source(run: RunConfig, data_dir: str | None = None) -> Source:
    """The data set of a `RunConfig`, from `data_dir` if that is given.

    Raises:
        UserError: as `data.load`; if it is of videos and the model of images, or the other way.
    """
    name = run.data.dataset
    if name in data.names():
        _check_kind(run, name, name in data.video_names())
    return data.load(
        name,
        image_size=run.model.image_size,
        channels=run.model.channels,
        data_dir=data_dir or run.data.data_dir or None,
        seed=run.data.data_seed,
        labels=run.data.labels,
        validation_fraction=run.data.validation_fraction,
        num_frames=getattr(run.model, "num_frames", None),
        source_size=run.data.source_size,
        train_examples=run.data.train_examples,
    )


def fit_to_source(run: RunConfig, source: Source) -> RunConfig:
    """`run` with what conditions an image model filled in from the data, checked against it.

    Raises:
        UserError: if the model's images, videos or conditions are not the data's.
    """
    _check_kind(run, source.name, source.is_video)
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
    """int64 `[C, L]`: how often each level stands in each channel, over examples evenly spaced in
    the training split."""
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


def _is_of_videos(run):
    return run.model.variant in VIDEO_VARIANTS


def _check_kind(run, name, is_video):
    """Raises UserError unless model and data are both of images, or both of videos."""
    variant = run.model.variant
    if is_video and not _is_of_videos(run):
        raise UserError(
            f"{name} is a data set of videos, variant {variant} a model of images; give a variant "
            f"of videos: {', '.join(VIDEO_VARIANTS)}"
        )
    if _is_of_videos(run) and not is_video:
        raise UserError(
            f"{name} is a data set of images, variant {variant} a model of videos; give a data set "
            f"of videos: {', '.join(data.video_names())}, or a variant of images: "
            f"{', '.join(VARIANTS)}"
        )


def _check_video(model, source):
    """Raises UserError unless the model's clips, actions and states are the data's."""
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
    """The model's configuration, conditioned on what `run.data.conditions` names."""
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
                f"build it anew with its {condition}, or give --{field}={nothing}"
            )
        if getattr(model, field) not in (0, value):
            raise UserError(
                f"{field} is {getattr(model, field)}, but {source.name} has {value}; "
                f"valid: 0 (unconditional){f' or {value}' * bool(value)}"
            )
    return model
