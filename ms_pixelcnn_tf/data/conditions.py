"""Conditions as arrays: keypoints and segmentations as maps, single captions, random changes."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import MAP_SIZE

POINT_NOISE = 2  # in cells of a map


def keypoint_maps(keypoints: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Keypoints as one map per part.

    Args:
        keypoints: `[n, P, 3]`, (x, y, visible), in pixels from the upper left corner of the image,
            so that the first pixel's centre is at (0.5, 0.5).
        image_size: `(height, width)` in pixels.

    Returns:
        uint8 `[n, MAP_SIZE, MAP_SIZE, P]`: 1 in the cell of each visible part, else 0. A part
        outside the image is put in the nearest cell at the border.

    Reference: Reed et al. (2017), section 3.2.
    """
    count, parts, _ = keypoints.shape
    scale = MAP_SIZE / np.array(image_size[::-1], "float64")  # of x, y
    cells = np.floor(keypoints[..., :2] * scale).clip(0, MAP_SIZE - 1).astype("int64")
    maps = np.zeros((count, MAP_SIZE, MAP_SIZE, parts), "uint8")
    examples, numbers = np.nonzero(keypoints[..., 2] > 0)
    column, row = cells[examples, numbers].T
    maps[examples, row, column, numbers] = 1
    return maps


def segmentation_maps(values: np.ndarray, num_segments: int) -> np.ndarray:
    """A segmentation as one map per class, sampled at the centre of each cell.

    A centre between two pixels takes the right or lower one.

    Args:
        values: `[n, H, W]`, 0 for the ground and 1 + k for class k, or `[n, H, W, num_segments]`,
            1 where the class is.
        num_segments: S, the number of classes, the ground not counted.

    Returns:
        uint8 `[n, MAP_SIZE, MAP_SIZE, S]`: 1 where the class is; the ground is all 0.
    """
    rows, columns = (
        (2 * np.arange(MAP_SIZE) + 1) * side // (2 * MAP_SIZE) for side in values.shape[1:3]
    )
    values = values[:, rows[:, None], columns]
    if values.ndim == 3:
        values = values[..., None] == np.arange(1, num_segments + 1)
    return values.astype("uint8")


def mirrored(
    examples: Mapping[str, np.ndarray], coins: np.ndarray, keypoint_mirror: Sequence[int]
) -> dict[str, np.ndarray]:
    """Mirrors the examples whose coin is true, left to right.

    Args:
        examples: dict field → array whose first axis is n: "image" `[n, H, W, C]`, "keypoints"
            `[n, P, 3]` in pixels of the image, "segmentation" `[n, h, w(, S)]`. Other fields stay
            unchanged.
        coins: bool `[n]`.
        keypoint_mirror: for each part, the index of the part that it becomes (left ↔ right); empty
            if parts have no sides.
    """
    flipped = dict(examples)
    for field in ("image", "segmentation"):
        if field in examples:
            values = examples[field]
            chosen = coins.reshape((-1,) + (1,) * (values.ndim - 1))
            flipped[field] = np.where(chosen, values[:, :, ::-1], values)
    if "keypoints" in examples:
        points = examples["keypoints"]
        other = points[:, list(keypoint_mirror)] if len(keypoint_mirror) else points.copy()
        width = examples["image"].shape[2]
        other[..., 0] = np.where(other[..., 2] > 0, width - other[..., 0], 0)
        flipped["keypoints"] = np.where(coins[:, None, None], other, points)
    return flipped


def chosen_captions(text: Iterable[Sequence[str]], uniforms: np.ndarray) -> np.ndarray:
    """Chooses one caption per example: object `[n]` of str.

    Args:
        text: `[n]` sequences of captions, or `[n, k]`.
        uniforms: `[n]` in [0, 1), which choose the captions.

    Raises:
        UserError: if an example has no captions.
    """
    return np.array(
        [
            _caption(captions, int(u * len(captions)))
            for captions, u in zip(text, uniforms, strict=True)
        ],
        object,
    )


def numbered_captions(text: Iterable[Sequence[str]], numbers: Iterable[int]) -> np.ndarray:
    """Caption `numbers[i]` of example i, modulo the number of its captions.

    Returns:
        object `[n]` of str.

    Raises:
        UserError: if an example has no captions.
    """
    return np.array(
        [_caption(captions, number) for captions, number in zip(text, numbers, strict=True)], object
    )


def _caption(captions, number):
    if not len(captions):
        raise UserError("an example has no caption; build the data with its captions")
    return captions[number % len(captions)]


def with_other_classes(
    examples: dict[str, np.ndarray], uniforms: np.ndarray, part: float
) -> dict[str, np.ndarray]:
    """Gives wrong classes to the segmentations of a part of the examples.

    All classes of an example shift cyclically by the same number, so its regions stay distinct.

    Args:
        examples: dict field → array whose first axis is n. Only "segmentation", maps
            `[n, M, M, S]`, changes.
        uniforms: `[n]` in [0, 1). Examples with uniforms below `part` change; their uniforms also
            determine the shift, 1…S-1.
        part: fraction of the examples, 0 to 1.
    """
    if "segmentation" not in examples:
        return examples
    maps = examples["segmentation"].copy()
    for row in np.flatnonzero(uniforms < part):
        shift = 1 + int(uniforms[row] / part * (maps.shape[-1] - 1))
        maps[row] = np.roll(maps[row], shift, axis=-1)
    return examples | {"segmentation": maps}


def with_moved_points(
    examples: dict[str, np.ndarray], uniforms: np.ndarray, part: float, image_size: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Moves the visible keypoints of a part of the examples by up to POINT_NOISE cells of a map.

    Args:
        examples: dict field → array whose first axis is n. Only "keypoints" `[n, P, 3]`, (x, y,
            visible), changes.
        uniforms: `[n, 1 + 2P]` in [0, 1). Examples whose first one is below `part` change; the
            others determine the moves.
        part: fraction of the examples, 0 to 1.
        image_size: `(height, width)`, in pixels.
    """
    points = examples["keypoints"]
    cells = np.array(image_size[::-1]) / MAP_SIZE  # of x, y, in pixels
    moves = POINT_NOISE * (2 * uniforms[:, 1:].reshape(len(points), -1, 2) - 1) * cells
    moved = points + np.pad(moves, ((0, 0), (0, 0), (0, 1)))
    chosen = (uniforms[:, 0] < part)[:, None, None] & (points[..., 2:] > 0)
    return examples | {"keypoints": np.where(chosen, moved, points).astype(points.dtype)}


def without_maps(examples: Mapping[str, np.ndarray], chosen: np.ndarray) -> dict[str, np.ndarray]:
    """Empties the maps of the chosen examples.

    Args:
        examples: dict field → array whose first axis is n. Only the maps change: "keypoints"
            `[n, M, M, P]` and "segmentation" `[n, M, M, S]`.
        chosen: bool `[n]`: the examples whose maps become all 0, as if nothing were known.
    """
    changed = dict(examples)
    for field in ("keypoints", "segmentation"):
        if field in examples:
            changed[field] = np.where(chosen[:, None, None, None], 0, examples[field])
    return changed
