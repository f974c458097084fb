"""Futures of the first frames of clips, as video models sample them, and their enlargement.

A future is a pure function of the seed, the clip's number and its own, whatever else is asked for.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ms_pixelcnn_tf.generation.clips import UPSCALER, every_nth_pixel


class Asked(NamedTuple):
    """What is asked for.

    Attributes:
        clips: the clips' numbers in their split, `[n]`.
        futures: samples of each.
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
    """Futures of the first frames of real clips, by a run and the upscalers that follow it.

    What the first model is given is every n-th pixel of the clips' first frames, which each
    upscaler keeps: so the frames that are enlarged are of one kind, given and sampled alike, and no
    model sees averaged ones. A model that was trained with `source_size` knows this kind.

    Args:
        trained: the `runs.run.Run` of a video model; of OT_upscaler: it enlarges the real clips.
        upscalers: `Run`s of OT_upscaler, each of which doubles the size.
        real: uint8 levels `[n, T, H, W, C]`, as large as the last of them makes.
        conditions: as for `roll_out`.
        asked: an `Asked`.
        checkpoint: of every run, "last" or "best".

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
    """Samples what follows on the given frames.

    Args:
        model: a `VideoPixelCNN`.
        given: uint8 levels `[n, G, H, W, C]`.
        conditions: dict of float32 `[n, T, ·]`, with just the fields that the model takes.
        asked: an `Asked`.

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
        given: uint8 levels `[n, G, H, W, C]`, the first frames at full size, of which the videos'
            are every second pixel.
        asked: an `Asked`.
        stage: number of the upscaler, from 1; each draws other uniforms.

    Returns:
        uint8 levels `[n, futures, T, H, W, C]`, the given frames first.
    """
    given, low = _for_each(given, asked), videos.reshape(-1, *videos.shape[2:])
    uniforms = _uniforms((low.shape[1] - given.shape[1], *given.shape[2:]), asked, stage)
    return _by_clip(model.upscale(low, given, uniforms), asked)


def _uniforms(shape, asked, stage):
    """float32 `[n · futures, *shape]`, future by future of each clip; `shape` is a video's."""
    seeds = [
        (asked.seed, int(clip), future, stage)
        for clip in asked.clips
        for future in range(asked.futures)
    ]
    return np.stack([np.random.default_rng(seed).random(shape, dtype="float32") for seed in seeds])


def _for_each(values, asked):
    """`[n, …]` → `[n · futures, …]`: a clip's, for each of its futures."""
    return np.repeat(values, asked.futures, axis=0)


def _by_clip(videos, asked):
    """`[n · futures, …]` → `[n, futures, …]`."""
    return videos.reshape(len(asked.clips), asked.futures, *videos.shape[1:])
