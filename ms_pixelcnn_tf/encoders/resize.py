"""Bilinear resizing as two small matrices: exact in any dtype, the same on every backend."""

from collections.abc import Sequence

import numpy as np
from keras import ops

from ms_pixelcnn_tf.types import Tensor


def resize(
    maps: Tensor, size: Sequence[int], places: Sequence[Tensor | None] = (None, None)
) -> Tensor:
    """Bilinear, and averaging where it shrinks (a triangle as wide as the step between outputs).

    Args:
        maps: `[B, h, w, F]`.
        size: `(height, width)` wanted, pixels.
        places: the rows and the columns of it that are wanted of each image, each `[B, n]`
            integers; None: all. The cost is of those alone.

    Returns:
        `[B, height, width, F]`, or as many rows and columns as there are places.
    """
    for axis, length, own in ((1, size[0], places[0]), (2, size[1], places[1])):
        if own is None and maps.shape[axis] == length:
            continue
        weights = ops.convert_to_tensor(bilinear_weights(maps.shape[axis], length), maps.dtype)
        if own is not None:
            weights = ops.take(weights, own, axis=0)  # [B, n, h]: an image's own
            weights = weights if axis == 1 else weights[:, None]
        maps = _weighted_rows(weights, maps) if axis == 1 else ops.matmul(weights, maps)
    return maps


def _weighted_rows(weights, maps):
    """`[(B,) n, h]`, `[B, h, w, F]` → `[B, n, w, F]`, whole rows at a time."""
    _, height, width, features = maps.shape
    rows = ops.matmul(weights, ops.reshape(maps, (-1, height, width * features)))
    return ops.reshape(rows, (-1, rows.shape[1], width, features))


def bilinear_weights(length: int, new_length: int) -> np.ndarray:
    """float64 `[new_length, length]`, rows adding up to 1; pixel i covers i to i + 1."""
    step = length / new_length
    centres = (np.arange(new_length) + 0.5) * step - 0.5
    distance = np.abs(centres[:, None] - np.arange(length))
    weights = np.maximum(1 - distance / max(step, 1), 0)
    return weights / weights.sum(axis=1, keepdims=True)
