"""Samples futures of clips from their first frames, and enlarges them with upscalers.

A future is a pure function of the seed, the clip's number and the future's own number, whatever
other futures are sampled with it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ms_pixelcnn_tf.generation.clips import UPSCALER, every_nth_pixel


class Asked(NamedTuple):
    """The futures to sample.

    Attributes:
        clips: the clips' numbers in their split, `[n]`.
        futures: number of samples per clip.
        seed: 0 or more.
    """

    clips: np.ndarray
    futures: int
    seed: int


def sample(
    trained: Any,
    upscalers: Sequence[Any],
    real: np.ndarray,
    conditions: Mapping[str, np.ndarray],
    asked: Asked,
    checkpoint: str = "last",
) -> np.ndarray:
    """Samples futures of real clips from their first frames, by a run and its upscalers in turn.

    The first model is given every n-th pixel of the clips' first frames, and each upscaler keeps
    the pixels that it is given. So given and sampled frames are of one kind, and no model sees
    averaged frames. A model trained with `source_size` has learned from frames of this kind.

    Args:
        trained: the `runs.run.Run` of a video model. An OT_upscaler enlarges the real clips.
        upscalers: `Run`s of OT_upscaler, each of which doubles the size.
        real: uint8 levels `[n, T, H, W, C]`, of the size that the last model makes.
        conditions: as for `roll_out`.
        asked: the futures to sample.
        checkpoint: "last" or "best", for every run.

    Returns:
        uint8 levels `[n, futures, T, H, W, C]`, the given frames first.
    """
    config = trained.config.model
    given = real[:, : config.given_frames]
    if config.variant == UPSCALER:
        upscalers = [trained, *upscalers]
        videos = np.repeat(every_nth_pixel(real, config.sizes[0])[:, None], asked.futures, axis=1)
    else:
        first = every_nth_pixel(given, config.image_size)
        videos = roll_out(trained.model(checkpoint=checkpoint), first, conditions, asked)
    for stage, upscaler in enumerate(upscalers, 1):
        first = every_nth_pixel(given, upscaler.config.model.image_size)
        videos = upscale(upscaler.model(checkpoint=checkpoint), videos, first, asked, stage)
    return videos


def roll_out(
    model: Any, given: np.ndarray, conditions: Mapping[str, np.ndarray], asked: Asked
) -> np.ndarray:
    """Samples the frames that follow the given ones.

    Args:
        model: a `VideoPixelCNN`.
        given: uint8 levels `[n, G, H, W, C]`.
        conditions: dict of float32 `[n, T, ·]`, with exactly the fields that the model takes.
        asked: the futures to sample.

    Returns:
        uint8 levels `[n, futures, T, H, W, C]`, the given frames first.
    """
    given, *own = (_for_each(values, asked) for values in (given, *conditions.values()))
    uniforms = _uniforms((model.config.predicted_frames, *given.shape[2:]), asked, stage=0)
    sampled = model.decode(uniforms, given, dict(zip(conditions, own, strict=True)) or None)
    return _by_clip(np.concatenate([given, sampled], axis=1), asked)


def upscale(
    model: Any, videos: np.ndarray, given: np.ndarray, asked: Asked, stage: int
) -> np.ndarray:
    """Doubles the size of videos.

    Args:
        model: a `VideoPixelCNN` of variant OT_upscaler.
        videos: uint8 levels `[n, futures, T, H/2, W/2, C]`.
        given: uint8 levels `[n, G, H, W, C]`, the first frames at full size; every second pixel of
            them must equal the videos' first frames.
        asked: the futures to sample.
        stage: number of the upscaler, from 1; each draws its own uniforms.

    Returns:
        uint8 levels `[n, futures, T, H, W, C]`, the given frames first.
    """
    given, low = _for_each(given, asked), videos.reshape(-1, *videos.shape[2:])
    uniforms = _uniforms((low.shape[1] - given.shape[1], *given.shape[2:]), asked, stage)
    return _by_clip(model.upscale(low, given, uniforms), asked)


def _uniforms(shape, asked, stage):
    """Uniforms, float32 `[n · futures, *shape]`: clip by clip, the futures of each in turn."""
    seeds = [
        (asked.seed, int(clip), future, stage)
        for clip in asked.clips
        for future in range(asked.futures)
    ]
    return np.stack([np.random.default_rng(seed).random(shape, dtype="float32") for seed in seeds])


def _for_each(values, asked):
    """`[n, …]` → `[n · futures, …]`: repeats each clip's values for each of its futures."""
    return np.repeat(values, asked.futures, axis=0)


def _by_clip(videos, asked):
    """`[n · futures, …]` → `[n, futures, …]`."""
    return videos.reshape(len(asked.clips), asked.futures, *videos.shape[1:])
