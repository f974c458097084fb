"""Reads and checks the keypoints and the segmentation of a prompt.

The docstring of `prompts` describes their forms.
"""

import json
import os
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from ms_pixelcnn_tf.configs import ModelConfig, unknown
from ms_pixelcnn_tf.errors import UserError

MAX_MASK_PIXELS = 2**26
NOTHING_KNOWN = 255
LARGEST = 1e9  # coordinates must be below
MAX_PATH = 4096  # bytes, as on Linux
MAX_SHOWN = 60  # characters of a value in a message
PNG_HEADER = struct.Struct(">8s8xIIBB")  # signature, width, height, bits, colour type
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, INDEXED = 0, 3
COLOUR_TYPES = {2: "RGB", 4: "gray with alpha", 6: "RGB with alpha"}


def read_mask(path: str | os.PathLike[str], num_segments: int) -> np.ndarray:
    """Reads a segmentation PNG as uint8 `[H, W]`: 0 for ground and unknown, 1 + k for class k.

    Raises:
        UserError: for a file that is not such a PNG, or a class that the model does not have.
    """
    wanted = f"valid: an indexed or 8-bit gray PNG of values 0 to {num_segments}, or 255"
    check_path("segmentation", path)
    try:
        with open(path, "rb") as file:
            header = file.read(PNG_HEADER.size)
            if len(header) < PNG_HEADER.size or header[:8] != PNG_SIGNATURE:
                raise UserError(f"segmentation {path} is no PNG; {wanted}")
            _, width, height, bits, colour_type = PNG_HEADER.unpack(header)
            if width * height > MAX_MASK_PIXELS:
                raise UserError(
                    f"segmentation {path} is {width}x{height}; valid: up to {MAX_MASK_PIXELS:,} "
                    "pixels"
                )
            if colour_type != INDEXED and (colour_type, bits) != (GRAY, 8):
                kind = COLOUR_TYPES.get(colour_type, f"{bits}-bit gray")
                raise UserError(f"segmentation {path} is {kind}; {wanted}")
            file.seek(0)
            with Image.open(file, formats=("PNG",)) as image:
                values = np.array(image)
    except OSError as error:
        raise UserError(f"segmentation {path}: {error.strerror or error}") from error
    except (SyntaxError, ValueError) as error:  # Pillow raises these for damaged chunks
        if isinstance(error, UserError):
            raise
        raise UserError(f"segmentation {path} is damaged: {error}") from error
    values[values == NOTHING_KNOWN] = 0
    if values.max() > num_segments:
        raise UserError(f"segmentation {path} holds value {values.max()}; {wanted}")
    return values


def read_keypoints(
    given: Any, config: ModelConfig, names: Sequence[str], folder: str
) -> np.ndarray:
    """Reads the keypoints of a prompt.

    Args:
        given: the value, or the path of a JSON file that holds it.
        config: the model's `ModelConfig`.
        names: names of the parts, or empty.
        folder: folder that the path is relative to.

    Returns:
        float64 `[P, 3]`, (x, y, visible), in pixels of the model's images; (0, 0, 0) for parts that
        are not visible.

    Raises:
        UserError: for a file that cannot be read, and for keypoints that do not match the model's
            parts or lie outside the image.
    """
    if isinstance(given, str):
        path = os.path.join(folder, given)
        check_path("keypoints", path)
        try:
            with open(path, encoding="utf-8-sig") as file:
                return _points(parse_json(file.read()), config, names)
        except OSError as error:
            raise UserError(f"keypoints {path}: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise UserError(f"keypoints {path}: not UTF-8; save it as such") from error
        except UserError as error:
            raise UserError(f"keypoints {path}: {error}") from error
    return _points(given, config, names)


def check_path(field: str, path: str | os.PathLike[str]) -> None:
    """Raises UserError for text that cannot be a path; `open` would report it less clearly."""
    text = os.fspath(path)
    try:
        if "\0" not in text and len(os.fsencode(text)) < MAX_PATH:
            return
    except UnicodeEncodeError:  # half of a surrogate pair
        pass
    raise UserError(f"{field} is {shown(text)}; valid: the path of a file")


def _points(given, config, names):
    size, points = config.image_size, given
    if isinstance(given, dict):
        for field in given:
            if field not in ("size", "points"):
                raise unknown("field of keypoints", clipped(field), ("size", "points"))
        if "points" not in given:
            raise UserError("points are missing; valid: [[x, y, visible], …] or {name: [x, y], …}")
        size, points = given.get("size", size), given["points"]
        if not _are_numbers(size, 2) or min(size) <= 0:
            raise UserError(f"size is {shown(size)}; valid: [height, width] in pixels")
    count = config.num_keypoints
    if isinstance(points, dict):
        points = _by_name(points, count, names)
    if not isinstance(points, list) or len(points) != count:
        what = f"{len(points)} points" if isinstance(points, list) else shown(points)
        raise UserError(f"keypoints are {what}; valid: a list of {count}, [x, y, visible] a part")
    for number, point in enumerate(points):
        name = names[number] if number < len(names) else f"number {number}"
        _check_point(name, point, size)
    found = np.array(points, "float64").reshape(count, 3)
    scale = np.divide(config.image_size[::-1], size[::-1], dtype="float64")
    found[:, :2] *= scale * (found[:, 2:] > 0)
    return found


def _by_name(points, count, names):
    """`{name: [x, y]}` → a list of [x, y, visible], one per part."""
    if not names:
        raise UserError(
            f"the run does not know its parts by name; give a list of {count} [x, y, visible]"
        )
    for name, point in points.items():
        if name not in names:
            raise unknown("keypoint", clipped(name), names)
        if not isinstance(point, list) or len(point) != 2:
            raise UserError(f"keypoint {name} is {shown(point)}; valid: [x, y]")
    return [[*points[name], 1] if name in points else [0, 0, 0] for name in names]


def _check_point(name, point, size):
    if not _are_numbers(point[:2] if isinstance(point, list) else point, 2) or len(point) != 3:
        raise UserError(f"keypoint {name} is {shown(point)}; valid: finite [x, y, visible]")
    x, y, visible = point
    if visible not in (0, 1):  # True and False pass too
        raise UserError(f"keypoint {name} has visible {shown(visible)}; valid: 0 or 1")
    height, width = size
    if visible and not (0 <= x <= width and 0 <= y <= height):
        raise UserError(
            f"keypoint {name} is at {shown([x, y])}, outside the image; valid: x 0 to {width:g} "
            f"and y 0 to {height:g}"
        )


def _are_numbers(values, count):
    """Whether `values` are `count` finite numbers."""
    return (
        isinstance(values, (list, tuple))
        and len(values) == count
        and all(
            isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < LARGEST
            for v in values  # NaN fails the comparison
        )
    )


def parse_json(text: str) -> Any:
    """`json.loads`, but raises UserError, also for a name that is given twice."""

    def unique(pairs):
        names = [name for name, _ in pairs]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise UserError(f"{clipped(twice[0])!r} is given twice; give it once")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=unique)
    except UserError:
        raise
    except json.JSONDecodeError as error:
        raise UserError(f"not JSON: {error}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON that can be read: {error}") from error


def shown(value: Any) -> str:
    """A value as JSON, shortened for a message."""
    try:
        return clipped(json.dumps(value, ensure_ascii=False, default=str))
    except ValueError:
        return "a number of too many digits"


def clipped(text: str) -> str:
    """A text, cut to `MAX_SHOWN` characters with an ellipsis if it is longer."""
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "…"
