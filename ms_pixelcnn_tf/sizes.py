"""Image sizes, `(height, width)` in pixels, as text and back, and a few shared constants."""

import operator
from collections.abc import Sequence
from typing import Any

from ms_pixelcnn_tf.errors import UserError

TRAIN_EXAMPLES = 50_000  # default of the procedural data sets
MAP_SIZE = 32  # side of keypoint and segmentation maps, at every image size


def format_size(size: Sequence[int]) -> str:
    """`(32, 48)` → "32x48"; a square → "32"."""
    height, width = size
    return str(height) if height == width else f"{height}x{width}"


def parse_size(value: Any, name: str = "size") -> tuple[int, int]:
    """32, "32", "32x48" or (32, 48) → `(height, width)`."""
    try:
        if isinstance(value, str):
            value = [int(part) for part in value.lower().split("x")]
        sides = tuple(map(operator.index, value if hasattr(value, "__len__") else (value,)))
        if len(sides) == 1:
            sides *= 2
        if len(sides) == 2 and min(sides) >= 1:
            return sides
    except (TypeError, ValueError, OverflowError):
        pass
    raise UserError(f"{name} is {value!r}; valid: a side such as 32, or height x width as 32x48")
