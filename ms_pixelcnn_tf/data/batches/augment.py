"""Clips changed at random: mirrored, and jittered. Pure functions of clips and uniforms.

A model that has seen one camera may learn its view by heart; both make more views of it.
Reed et al. (2017), section 4.3, propose them for what is seen from a new angle.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ms_pixelcnn_tf.types import Levels

SHIFT = 16  # a clip is shifted by up to this part of its side
GAIN = 0.1  # a colour becomes up to so much brighter or darker


def mirror(
    examples: Mapping[str, np.ndarray], coins: np.ndarray, lateral: Mapping[str, Sequence[int]]
) -> dict[str, np.ndarray]:
    """The clips, those whose coin is true mirrored left to right.

    Args:
        examples: dict field → array whose first axis is n: "frames" `[n, T, H, W, C]`, "actions"
            `[n, T, A]`, "states" `[n, T, S]`; other fields stay.
        coins: bool `[n]`.
        lateral: dict field → numbers of the components of it that tell left from right, each 0 at
            the middle of the picture: a mirror negates them.
    """
    mirrored = dict(examples)
    if "frames" in examples:
        frames, chosen = examples["frames"], coins[:, None, None, None, None]
        mirrored["frames"] = np.where(chosen, frames[:, :, :, ::-1], frames)
    for field, components in lateral.items():
        if field in examples:
            signs = np.ones(examples[field].shape[-1], examples[field].dtype)
            signs[list(components)] = -1
            values = examples[field]
            mirrored[field] = np.where(coins[:, None, None], values * signs, values)
    return mirrored


def jitter(frames: Levels, uniforms: np.ndarray) -> Levels:
    """Each clip shifted as a whole, its edges repeated, and each of its colours scaled.

    All frames of a clip are changed alike. The shift is by a whole number of pixels, up to
    1/`SHIFT` of the side; the gain is within `GAIN` of 1. States and actions are not shifted along:
    at 32 pixels a shift of 2 is about what `shapes_push`'s gripper moves in a frame.

    Args:
        frames: uint8 `[n, T, H, W, C]`.
        uniforms: `[n, 2 + C]` in [0, 1): the shift down and to the right, and the gains.

    Returns:
        uint8 `[n, T, H, W, C]`.
    """
    height, width = frames.shape[2:4]
    most = np.array([height // SHIFT, width // SHIFT])
    shifts = np.floor(uniforms[:, :2] * (2 * most + 1)).astype("int64") - most
    gains = (1 - GAIN + 2 * GAIN * uniforms[:, 2:]).astype("float32")
    jittered = np.empty_like(frames)
    for clip, (down, right), gain, out in zip(frames, shifts, gains, jittered, strict=True):
        rows = (np.arange(height) - down).clip(0, height - 1)
        columns = (np.arange(width) - right).clip(0, width - 1)
        levels = np.arange(256, dtype="float32")[:, None] * gain
        table = np.rint(levels).clip(0, 255).astype("uint8")  # [256, C]
        out[:] = table[clip[:, rows[:, None], columns], np.arange(len(gain))]
    return jittered
