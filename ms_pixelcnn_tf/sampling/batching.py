"""Decodes many images or videos in several batches, within a limit on memory."""

from collections.abc import Callable, Sequence

import numpy as np

from ms_pixelcnn_tf.configs import ModelConfig, VideoConfig
from ms_pixelcnn_tf.sampling.uniforms import draw
from ms_pixelcnn_tf.types import Levels, Tensor

NUMBERS_AT_ONCE = 2**26  # in the largest tensor: 256 MiB in float32; several exist at a time


def images_at_once(config: ModelConfig, num_params: int, size: Sequence[int]) -> int:
    """How many images of a size to decode at once, at least one.

    Args:
        config: a `ModelConfig`.
        num_params: parameters per pixel of the output distribution.
        size: `(height, width)` of the images, in pixels.
    """
    pixels = size[0] * size[1]
    together = size[1] if config.variant == "ON" else pixels // 4  # a row, or one of four groups
    widest = max(num_params, config.features, config.base_features)
    return _at_once(pixels * config.channels, together * widest)


def videos_at_once(config: VideoConfig, num_params: int, num_frames: int) -> int:
    """How many videos to decode at once, frame by frame; at least one.

    Args:
        config: a `VideoConfig`.
        num_params: parameters per pixel of the decoder's distribution (OT_baseline: per sub-pixel).
        num_frames: frames to decode.
    """
    height, width = config.image_size
    pixels = height * width
    laws = {"OT_baseline": pixels * config.channels, "OTN": width}.get(config.variant, pixels // 4)
    numbers = [num_frames * pixels * config.channels, laws * num_params]
    if config.variant != "OT_upscaler":  # four gates in the ConvLSTM and in multiplicative units
        encoded = pixels // config.frame_stride**2
        numbers.append(encoded * 4 * max(config.lstm_features, config.frame_features))
    if config.variant in ("OT", "OTlogN", "OT_upscaler"):
        numbers.append(pixels // 4 * config.features)
    return _at_once(*numbers)


def _at_once(*numbers):
    """How many examples fit, if each needs tensors of these many numbers."""
    return max(1, NUMBERS_AT_ONCE // max(numbers))


def decode_in_parts(
    decode: Callable,
    num: int,
    shape: Sequence[int],
    at_once: int,
    seed: int,
    uniforms: Tensor | None = None,
) -> Levels:
    """Decodes images or videos in parts; the result does not depend on `at_once`.

    Args:
        decode: `(part, uniforms) → uint8 [n, *shape]`; `part` is a slice of the range of `num`.
        num: number of images or videos.
        shape: shape of one, `(H, W, C)` or `(T - G, H, W, C)`.
        at_once: the largest n.
        seed: seed of the uniforms (`uniforms.draw`).
        uniforms: `[num, *shape]`, used instead of the seed; None: drawn.

    Returns:
        uint8 levels `[num, *shape]`.
    """
    levels = np.empty((num, *shape), "uint8")
    for start in range(0, num, at_once):
        part = slice(start, min(start + at_once, num))
        if uniforms is None:
            own = draw(seed, start, part.stop - start, shape)
        else:
            own = uniforms[part]
        levels[part] = decode(part, own)
    return levels
