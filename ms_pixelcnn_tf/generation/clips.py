"""Choosing and reading the real clips that videos are sampled from, with their conditions."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ms_pixelcnn_tf.configs import RunConfig, VideoConfig
from ms_pixelcnn_tf.data.source import Source
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import format_size

UPSCALER = "OT_upscaler"
SPLIT = "test_seen"  # the default, if the data has it


def check_chain(first: Any, upscalers: Sequence[Any]) -> None:
    """Raises UserError unless each upscaler fits the frames of the model before it.

    Args:
        first: the `runs.run.Run` of a video model.
        upscalers: `Run`s of OT_upscaler, in order.
    """
    config, size = first.config.model, first.config.model.image_size
    for run in upscalers:
        model = run.config.model
        if model.variant != UPSCALER:
            raise UserError(
                f"--upscaler {run.workdir} is a run of {model.variant}; valid: of {UPSCALER}"
            )
        if model.sizes[0] != size:
            raise UserError(
                f"--upscaler {run.workdir} makes frames of {format_size(model.image_size)} of "
                f"{format_size(model.sizes[0])}, but is given {format_size(size)}; give runs each "
                "of which doubles the size before it"
            )
        for name in ("channels", "num_levels"):
            own, wanted = getattr(model, name), getattr(config, name)
            if own != wanted:
                raise UserError(
                    f"--upscaler {run.workdir} has {name} {own}; {first.workdir} {wanted}"
                )
        size = model.image_size


def of_size(run: RunConfig, upscalers: Sequence[RunConfig], size: tuple[int, int]) -> RunConfig:
    """`run` with another frame size, but the same data and number of frames.

    The frames are read at the largest `source_size` of `run` and the upscalers if that is above
    `size`, else at `size`.
    """
    read = max(one.data.source_size for one in (run, *upscalers))
    where = dataclasses.replace(run.data, source_size=read if read > max(size) else 0)
    model = dataclasses.replace(run.model, image_size=size)
    return dataclasses.replace(run, model=model, data=where)


def chosen_clips(source: Source, split: str | None, first: int, num: int) -> tuple[str, np.ndarray]:
    """The split (None: `SPLIT`, or the last without it), and the clips' numbers, int64 `[num]`."""
    if split is None:
        split = SPLIT if SPLIT in source.splits else source.splits[-1]
    size, last = source.size(split), first + num - 1
    if not 0 <= first <= last < size:
        raise UserError(
            f"clips {first} to {last} asked for; split {split} of {source.name} has 0 to "
            f"{size - 1}; give another --first or --num"
        )
    return split, np.arange(first, last + 1)


def read_clips(
    source: Source, split: str, indices: np.ndarray, config: VideoConfig
) -> dict[str, np.ndarray]:
    """Reads clips in the form that the model takes.

    Returns:
        dict: "frames", uint8 levels `[n, T, H, W, C]`, and its conditions, float32 `[n, T, ·]`.
    """
    from ms_pixelcnn_tf import pixels  # imports Keras, which takes seconds

    found = source.examples(split, indices, ("frames", *config.conditions))
    clips = {"frames": pixels.quantise(found["frames"], config.num_levels)}
    for field, width in (("actions", config.action_size), ("states", config.state_size)):
        if field not in config.conditions:
            continue
        clips[field] = np.asarray(found[field], "float32")
        if (held := clips[field].shape[2]) != width:
            raise UserError(
                f"the model takes {field} of {width} numbers; those of {source.name} have {held}"
            )
    return clips


def every_nth_pixel(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Frames `[n, T, H, W, C]` sub-sampled to `size`, which must divide their own size."""
    step = frames.shape[2] // size[0]
    return frames[:, :, ::step, ::step]
