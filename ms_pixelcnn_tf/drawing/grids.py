"""Grids of images as PNG: samples, pyramids, super-resolution and surprise.

Images are uint8 0…255 for display (`pixels.dequantise` makes them from levels). One channel is
shown as gray, two as red and green, three as colours; further channels are not shown.
"""

import math
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from ms_pixelcnn_tf.files import replacing

BACKGROUND = 255
HEAT_GAIN, HEAT_FROM = np.array([1.8, 2.2, 3.0]), np.array([0.0, 0.9, 2.2])  # of R, G, B
PADDING = 2  # pixels between neighbours, after enlargement


def to_rgb(images: ArrayLike) -> np.ndarray:
    """uint8 `[B, H, W, C]` → uint8 `[B, H, W, 3]`."""
    images = np.asarray(images, dtype=np.uint8)
    if images.shape[-1] == 1:
        return np.repeat(images, 3, axis=-1)
    missing = max(0, 3 - images.shape[-1])
    return np.pad(images[..., :3], ((0, 0), (0, 0), (0, 0), (0, missing)))


def enlarge(images: np.ndarray, factor: int) -> np.ndarray:
    """Each pixel becomes `factor` × `factor` pixels."""
    return images.repeat(factor, axis=1).repeat(factor, axis=2)


def grid(images: np.ndarray, columns: int | None = None, scale: int = 1) -> np.ndarray:
    """Draws all images in one picture, row by row.

    Args:
        images: uint8 `[B, H, W, C]`.
        columns: images per row; by default the grid is as square as possible.
        scale: integer magnification.

    Returns:
        uint8 `[height, width, 3]`, of `grid_size`.
    """
    images = enlarge(to_rgb(images), scale)
    count, height, width, _ = images.shape
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    cell_height, cell_width = height + PADDING, width + PADDING
    picture = np.full((*grid_size(count, (height, width), columns), 3), BACKGROUND, np.uint8)
    for index, image in enumerate(images):
        top = PADDING + index // columns * cell_height
        left = PADDING + index % columns * cell_width
        picture[top : top + height, left : left + width] = image
    return picture


def grid_size(
    count: int, size: tuple[int, int], columns: int | None = None, scale: int = 1
) -> tuple[int, int]:
    """(height, width) of the picture that `grid` draws for `count` images of `size`."""
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    high, wide = (side * scale + PADDING for side in size)
    return math.ceil(count / columns) * high + PADDING, columns * wide + PADDING


def trajectory(pyramid: Sequence[np.ndarray], scale: int = 1) -> np.ndarray:
    """Draws each image's pyramid as one row, base at the left, all enlarged to the target's size.

    This is the left column of Figure 4 in Reed et al. (2017).

    Args:
        pyramid: list of uint8 `[B, h, w, C]`, from base to target; each size divides the target's.
        scale: integer magnification of the target.

    Returns:
        uint8 `[height, width, 3]`.
    """
    height = pyramid[-1].shape[1]
    steps = [enlarge(to_rgb(images), height // images.shape[1]) for images in pyramid]
    cells = np.stack(steps, axis=1)  # [B, scales, H, W, 3]
    return grid(cells.reshape(-1, *cells.shape[2:]), columns=len(pyramid), scale=scale)


def upscaled(
    low: Sequence[np.ndarray],
    real: Sequence[np.ndarray | None],
    samples: np.ndarray,
    scale: int = 1,
) -> np.ndarray:
    """Draws one row per input: its pixels, the real image if known, and its samples, at one size.

    This is Figure 7 in Reed et al. (2017).

    Args:
        low: list of uint8 `[h, w, C]`, whose sides divide the samples'.
        real: list of uint8 `[H, W, C]`; None, for an unknown image, leaves a gap. If all are
            unknown, the column is left out.
        samples: uint8 `[inputs, num, H, W, C]`.
        scale: integer magnification of the samples.

    Returns:
        uint8 `[height, width, 3]`.
    """
    shape, cells = samples.shape[2:], []
    for given, known, own in zip(low, real, samples, strict=True):
        cells.append(enlarge(given[None], shape[0] // given.shape[0])[0])
        if any(image is not None for image in real):
            cells.append(np.full(shape, BACKGROUND, np.uint8) if known is None else known)
        cells.extend(own)
    return grid(np.stack(cells), columns=len(cells) // len(samples), scale=scale)


def heat(values: ArrayLike) -> np.ndarray:
    """Numbers as colours, uint8 `[..., 3]`: from black (0 and below) through red to yellow (1 and
    above)."""
    values = np.clip(np.asarray(values, "float64"), 0, 1)[..., None]
    return np.round(255 * np.clip(HEAT_GAIN * values - HEAT_FROM, 0, 1)).astype(np.uint8)


def heat_map(image: np.ndarray, bits: np.ndarray, highest: float, scale: int) -> np.ndarray:
    """Draws an image next to its surprise: uint8 `[height, width, 3]`.

    Args:
        image: uint8 `[H, W, C]`.
        bits: its surprise `[H, W, C]`; a pixel shows the mean of its channels.
        highest: bits shown in the brightest colour; 0 bits are black.
        scale: integer magnification.
    """
    pair = np.stack([to_rgb(image[None])[0], heat(bits.mean(axis=-1) / highest)])
    return grid(pair, 2, scale)


def write_png(path: str | os.PathLike[str], picture: np.ndarray) -> None:
    """Writes uint8 `[H, W, 3]` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
