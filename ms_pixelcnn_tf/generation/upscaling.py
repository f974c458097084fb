"""Super-resolution of image files: reads the given pixels and samples the rest.

The model's small images are its large ones sub-sampled, never averaged. So an input keeps its own
pixels (every n-th of them) if its size is a whole multiple of one of the model's sizes, from the
given size up. Any other input is resampled first: the largest central crop with the model's
proportions is averaged down to the largest of the model's sizes that the crop fills.
"""

import collections
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.data import decode
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import format_size

ORIENTATION = 0x0112  # EXIF tag; its values from 5 on swap height and width
LYING = range(5, 9)


class Input(NamedTuple):
    """One input image.

    Attributes:
        path: path of its file.
        low: uint8 levels `[h, w, C]`, the given pixels.
        real: uint8 levels `[H, W, C]`, the image at the wanted size, from which `low` was
            sub-sampled; None if the file was read at a smaller size.
    """

    path: str
    low: np.ndarray
    real: np.ndarray | None


def largest_size(config: Any, low: tuple[int, int]) -> tuple[int, int]:
    """The largest (height, width) that the held scales reach from `low`; if they reach none, the
    model's largest."""
    reached = None
    for name, size in zip(config.scale_names, config.sizes, strict=True):
        if size[0] > low[0]:
            if name not in config.held_scales:
                break
            reached = size
    return reached or config.image_size


def check_sizes(config: Any, low: tuple[int, int], high: tuple[int, int]) -> None:
    """Raises UserError unless the model has both sizes, `low` is the smaller one, and the model
    holds all scales from `low` to `high`."""
    sizes = ", ".join(format_size(size) for size in config.sizes)
    for name, size in (("from", low), ("to", high)):
        if size not in config.sizes:
            raise UserError(f"--{name} is {format_size(size)}; the model's sizes: {sizes}")
    start, end = config.sizes.index(low), config.sizes.index(high)
    if start >= end:
        raise UserError(
            f"--from {format_size(low)} is not below --to {format_size(high)}; the model's sizes: "
            f"{sizes}"
        )
    needed = config.scale_names[start + 1 : end + 1]
    missing = [name for name in needed if name not in config.held_scales]
    if missing:
        raise UserError(
            f"the run has no scale {', '.join(missing)} to go from {format_size(low)} to "
            f"{format_size(high)}; it has: {', '.join(config.held_scales)}"
        )


def read_inputs(
    path: str, config: Any, low: tuple[int, int], high: tuple[int, int]
) -> tuple[list[Input], list[tuple[str, str]]]:
    """Reads an image file, or the images of a folder sorted by name, without hidden files.

    Args:
        path: path of a file or a folder.
        config: the model's `ModelConfig`.
        low, high: `(height, width)` given and wanted, both sizes of the model.

    Returns:
        A list of `Input`, and a list of (path, reason) of the files that were skipped.

    Raises:
        UserError: if no image can be read, or the model's images are neither gray nor RGB.
    """
    if config.channels not in (1, 3):
        raise UserError(
            f"the model is of {config.channels} channels; valid, to read image files: 1 or 3"
        )
    if not os.path.isdir(path):
        try:
            return [read_input(path, config, low, high)], []
        except decode.Unusable as error:
            raise UserError(f"{path}: {error}; give an image or a folder of images") from error
    names = sorted((name for name in os.listdir(path) if name[0] != "."), key=os.fsencode)
    paths = [os.path.join(path, name) for name in names]
    inputs, skipped = [], []
    for file in paths:
        if os.path.isdir(file):
            continue
        try:
            inputs.append(read_input(file, config, low, high))
        except decode.Unusable as error:
            skipped.append((file, str(error)))
    if not inputs:
        first = f" (the first: {skipped[0][0]}: {skipped[0][1]})" if skipped else ""
        raise UserError(
            f"folder {path} holds no image that can be read; {len(skipped)} files were skipped"
            f"{first}"
        )
    return inputs, skipped


def read_input(path: str, config: Any, low: tuple[int, int], high: tuple[int, int]) -> Input:
    """Reads one `Input`. Raises `decode.Unusable` for a file that gives none."""
    target, channels = config.image_size, config.channels
    image = decode.decode_file(path, target, channels).pixels
    size = _upright_size(path)
    kept = [s for s in config.sizes if s[0] >= low[0] and _multiple(size, s)]
    if kept:  # the image's own pixels, every n-th
        best, step = kept[-1], _multiple(size, kept[-1])
        image = decode.decode_file(path, size, channels).pixels[::step, ::step]
    else:
        left, top, right, bottom = decode.crop_box((size[1], size[0]), target)
        filled = [s for s in config.sizes if s[0] <= bottom - top and s[1] <= right - left]
        if low not in filled:
            raise decode.Unusable(
                f"its {format_size(size)} pixels are less than {format_size(low)}"
            )
        best = filled[-1]
        if best != target:
            image = decode.decode_file(path, best, channels).pixels
    image = pixels.quantise(image, config.num_levels)

    def every_nth_pixel(size):
        return image[:: best[0] // size[0], :: best[0] // size[0]]

    real = every_nth_pixel(high) if best[0] >= high[0] else None
    return Input(path, every_nth_pixel(low), real)


def sample(
    model: Any,
    inputs: Sequence[Input],
    high: tuple[int, int],
    num: int,
    seed: int,
    conditions: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Samples larger images of each input; a pure function of the seed.

    Args:
        model: an image model.
        inputs: list of `Input`.
        high: `(height, width)` wanted.
        num: number of samples per input.
        seed: seed of the uniforms, which are drawn for all samples in order.
        conditions: dict of arrays whose first axis is 1, used for all samples; or None.

    Returns:
        uint8 levels `[inputs, num, H, W, C]`.
    """
    low = np.repeat(np.stack([one.low for one in inputs]), num, axis=0)
    if conditions is not None:
        conditions = {name: np.repeat(v, len(low), axis=0) for name, v in conditions.items()}
    samples = model.upscale(low, high, conditions=conditions, seed=seed)
    return samples.reshape(len(inputs), num, *samples.shape[1:])


def output_names(paths: Sequence[str]) -> list[str]:
    """One name per path: the file's without its suffix, or with it if two would be the same."""
    names = [os.path.basename(path) for path in paths]
    stems = [os.path.splitext(name)[0] for name in names]
    return stems if max(collections.Counter(stems).values()) == 1 else names


def _multiple(size, of):
    """How many times `of` goes into `size`, both (height, width); 0 unless it is a whole number and
    the same for height and width."""
    times, rest = divmod(size[0], of[0])
    return 0 if rest or size[1] != times * of[1] else times


def _upright_size(path):
    """(height, width) of an image file, turned upright as `decode` turns it."""
    with Image.open(path, formats=decode.FORMATS) as image:
        try:
            turned = image.getexif().get(ORIENTATION) in LYING
        except Exception:  # damaged EXIF data, which `decode` ignores as well
            turned = False
        width, height = image.size
        return (width, height) if turned else (height, width)
