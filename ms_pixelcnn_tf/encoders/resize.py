"""Bilinear resizing as two small matrices: exact in any dtype, the same on every backend."""

import numpy as np
from keras import ops


def resize(maps, size):
    """Bilinear, and averaging where it shrinks (a triangle as wide as the step between outputs).

    Args:
        maps: `[B, h, w, F]`.
        size: `(height, width)` wanted.

    Returns:
        `[B, height, width, F]`.
    """
    for axis, length in ((1, size[0]), (2, size[1])):
        if maps.shape[axis] != length:
            weights = ops.convert_to_tensor(bilinear_weights(maps.shape[axis], length), maps.dtype)
            maps = ops.moveaxis(ops.tensordot(maps, weights, axes=[[axis], [1]]), -1, axis)
    return maps


def bilinear_weights(length, new_length):
    """float64 `[new_length, length]`, rows adding up to 1; pixel i covers i to i + 1."""
    step = length / new_length
    centres = (np.arange(new_length) + 0.5) * step - 0.5
    distance = np.abs(centres[:, None] - np.arange(length))
    weights = np.maximum(1 - distance / max(step, 1), 0)
    return weights / weights.sum(axis=1, keepdims=True)
