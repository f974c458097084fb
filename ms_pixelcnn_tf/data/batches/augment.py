"""Random changes of clips, mirroring and jitter, as pure functions of clips and uniforms.

A model that has seen only one camera may memorise its view; both changes vary the view. Reed et al.
(2017), section 4.3, propose them for new camera angles.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ms_pixelcnn_tf.types import Levels

SHIFT = 16  # a clip shifts by up to 1/SHIFT of its side
GAIN = 0.1  # each channel is scaled by 1 - GAIN to 1 + GAIN


def mirror(
    examples: Mapping[str, np.ndarray], coins: np.ndarray, lateral: Mapping[str, Sequence[int]]
) -> dict[str, np.ndarray]:
    """Mirrors the clips whose coin is true, left to right.

    Args:
        examples: dict field → array whose first axis is n: "frames" `[n, T, H, W, C]`, "actions"
            `[n, T, A]`, "states" `[n, T, S]`. Other fields stay unchanged.
        coins: bool `[n]`.
        lateral: dict field → indices of the components that distinguish left from right. These are
            0 in the middle of the picture, so a mirror negates them.
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
    """Shifts each clip as a whole, repeating its edges, and scales each of its channels.

    All frames of a clip change in the same way. The shift is a whole number of pixels, up to
    1/`SHIFT` of the side; the gain is within `GAIN` of 1. States and actions do not shift: at 32
    pixels, a shift of 2 is about how far the gripper of `shapes_push` moves in one frame.

    Args:
        frames: uint8 `[n, T, H, W, C]`.
        uniforms: `[n, 2 + C]` in [0, 1): the shifts down and to the right, then the gains.

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
