"""Loads the data set that a run's configuration names."""

from ms_pixelcnn_tf import data
from ms_pixelcnn_tf.configs import VARIANTS, VIDEO_VARIANTS, RunConfig
from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.errors import UserError


def load_source(run: RunConfig, data_dir: str | None = None) -> Source:
    """Loads the data set of a `RunConfig`, from `data_dir` if given.

    Raises:
        UserError: as `data.load`; if one of data and model is of videos and the other of images.
    """
    name = run.data.dataset
    if name in data.names():
        check_kind(run, name, name in data.video_names())
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
        captions=name == "folder" and _takes_captions(run),
        background=run.data.background,
        split_by=run.data.split_by,
    )


def _takes_captions(run):
    return "text" in run.data.condition_names or getattr(run.model, "text", False)


def _is_of_videos(run):
    return run.model.variant in VIDEO_VARIANTS


def check_kind(run: RunConfig, name: str, is_video: bool) -> None:
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
