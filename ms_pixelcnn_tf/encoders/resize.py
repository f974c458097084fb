"""Bilinear resizing as two matrix products, the same on every backend."""

from collections.abc import Sequence

import numpy as np
from keras import ops

from ms_pixelcnn_tf.types import Tensor


def resize(
    maps: Tensor,
    size: Sequence[int],
    places: Sequence[Tensor | None] = (None, None),
    method: str = "centres",
    image_size: Sequence[int | None] = (None, None),
) -> Tensor:
    """Resizes maps bilinearly.

    Args:
        maps: `[B, h, w, F]`.
        size: `(height, width)` of the result, in pixels.
        places: the rows and the columns of the result to compute for each image, each `[B, n]`
            integers; None: all.
        method: positions of the pixels; see `bilinear_weights`.
        image_size: `(height, width)` of the full image that the maps cover; for "corners" only.

    Returns:
        `[B, height, width, F]`, or only the rows and columns in `places`.
    """
    for axis, length, own, full in zip((1, 2), size, places, image_size, strict=True):
        weights = bilinear_weights(maps.shape[axis], length, method, full)
        if own is None and np.array_equal(weights, np.eye(length)):
            continue
        weights = ops.convert_to_tensor(weights, maps.dtype)
        if own is not None:
            weights = ops.take(weights, own, axis=0)  # [B, n, h]: differs from image to image
            weights = weights if axis == 1 else weights[:, None]
        maps = _weighted_rows(weights, maps) if axis == 1 else ops.matmul(weights, maps)
    return maps


def _weighted_rows(weights, maps):
    """`[(B,) n, h]`, `[B, h, w, F]` → `[B, n, w, F]`, in one product over whole rows."""
    _, height, width, features = maps.shape
    rows = ops.matmul(weights, ops.reshape(maps, (-1, height, width * features)))
    return ops.reshape(rows, (-1, rows.shape[1], width, features))


def bilinear_weights(
    length: int, new_length: int, method: str = "centres", full_length: int | None = None
) -> np.ndarray:
    """The matrix that resizes one axis.

    Args:
        length: cells of the map.
        new_length: pixels of the result.
        method: "centres": a pixel is at the centre of the image block that it covers. "corners": at
            the block's upper-left pixel, as in a pyramid, with the cells' values at their centres.
            If the pixels are more than a cell apart, both average with a triangle as wide as that
            distance, so that every cell counts. "tf1": pixel i is at cell i · length / new_length,
            as in TensorFlow 1's `resize_bilinear`, without averaging.
        full_length: pixels of the full image along the axis, for "corners"; None: `new_length`.

    Returns:
        float64 `[new_length, length]`; each row sums to 1.
    """
    step = length / new_length
    position = np.arange(new_length) * step  # of each pixel, in cells
    if method == "centres":
        position = (np.arange(new_length) + 0.5) * step - 0.5
    elif method == "corners":
        position = position + 0.5 * length / (full_length or new_length) - 0.5
    distance = np.abs(position[:, None] - np.arange(length))
    width = 1 if method == "tf1" else max(step, 1)
    weights = np.maximum(1 - distance / width, 0)
    return weights / weights.sum(axis=1, keepdims=True)  # beyond the ends: the end's value
