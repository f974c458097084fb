"""Images of few pixels, from files, and their samples of more pixels.

The model's small images are its large ones sub-sampled, never averaged, so a larger input becomes
one in the same way: the largest central crop of the model's proportions, averaged over the area of
each pixel of the model's largest image, then every so many-th pixel of it. An input with too few
pixels for that is averaged to the largest of the model's sizes that it fills, and one that does not
fill the size wanted is interpolated to that.
"""

import collections
import os
from typing import NamedTuple

import numpy as np
from PIL import Image

from ms_pixelcnn_tf import pixels
from ms_pixelcnn_tf.data import decode
from ms_pixelcnn_tf.errors import UserError
from ms_pixelcnn_tf.sizes import format_size

SAMPLES_AT_ONCE = 256
PIXELS_AT_ONCE = 2**20
ORIENTATION = 0x0112  # in EXIF; from 5 on, height and width change places
LYING = range(5, 9)


class Input(NamedTuple):
    """One input.

    Attributes:
        path: of its file.
        low: uint8 levels `[h, w, C]`, what the model is given.
        real: uint8 levels `[H, W, C]`, what `low` was sub-sampled of; None where the file has no
            more pixels than that takes.
    """

    path: str
    low: np.ndarray
    real: np.ndarray | None


def check_sizes(config, low, high):
    """Raises UserError unless the model has both sizes, `low` the smaller one."""
    sizes = ", ".join(format_size(size) for size in config.sizes)
    for name, size in (("from", low), ("to", high)):
        if size not in config.sizes:
            raise UserError(f"--{name} is {format_size(size)}; the model's sizes: {sizes}")
    if low[0] >= high[0]:
        raise UserError(
            f"--from {format_size(low)} is not below --to {format_size(high)}; the model's sizes: "
            f"{sizes}"
        )


def read_inputs(path, config, low, high):
    """The image of a file, or those of a folder, sorted by name; hidden files are passed over.

    Args:
        path: of a file or a folder.
        config: the model's `ModelConfig`.
        low, high: `(height, width)` given and wanted, of the model's sizes.

    Returns:
        A list of `Input`, and one of (path, reason) of the folder's files that gave none.

    Raises:
        UserError: where there is no image at all.
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


def read_input(path, config, low, high):
    """One `Input`. Raises `decode.Unusable` for a file that gives none."""
    target, channels = config.image_size, config.channels
    image = decode.decode_file(path, target, channels).pixels
    size = _upright_size(path)
    if size == low:
        given = decode.decode_file(path, low, channels).pixels
        return Input(path, pixels.quantise(given, config.num_levels), None)
    left, top, right, bottom = decode.crop_box(size[::-1], target)
    filled = [s for s in config.sizes if s[0] <= bottom - top and s[1] <= right - left]
    if low not in filled:
        raise decode.Unusable(f"its {format_size(size)} pixels are less than {format_size(low)}")
    best = max(filled[-1], high)
    if best != target:
        image = decode.decode_file(path, best, channels).pixels
    image = pixels.quantise(image, config.num_levels)
    image = image[:: best[0] // high[0], :: best[0] // high[0]]
    factor = high[0] // low[0]
    return Input(path, image[::factor, ::factor], image if high in filled else None)


def sample(model, inputs, high, num, seed, conditions=None):
    """Samples of each input, a pure function of the seed, however many are made at once.

    Args:
        model: an image model.
        inputs: list of `Input`.
        high: `(height, width)` wanted.
        num: samples an input.
        seed: of the uniforms, which are drawn for all samples in order.
        conditions: dict of arrays whose first axis is 1, which hold for all; or None.

    Returns:
        uint8 levels `[inputs, num, H, W, C]`.
    """
    low = np.stack([one.low for one in inputs])
    shape, total = (*high, low.shape[-1]), len(low) * num
    at_once = max(1, min(SAMPLES_AT_ONCE, PIXELS_AT_ONCE // (high[0] * high[1])))
    generator, samples = np.random.default_rng(seed), np.empty((total, *shape), "uint8")
    for start in range(0, total, at_once):
        which = np.arange(start, min(start + at_once, total))
        uniforms = generator.random((len(which), *shape), dtype="float32")
        own = None
        if conditions is not None:
            own = {name: np.repeat(value, len(which), axis=0) for name, value in conditions.items()}
        samples[which] = model.upscale(low[which // num], high, conditions=own, uniforms=uniforms)
    return samples.reshape(len(low), num, *shape)


def output_names(paths):
    """A name a path, none twice: the file's without its suffix, or with it if two would be one."""
    names = [os.path.basename(path) for path in paths]
    stems = [os.path.splitext(name)[0] for name in names]
    return stems if max(collections.Counter(stems).values()) == 1 else names


def _upright_size(path):
    """(height, width) of an image file, turned as `decode` turns it."""
    with Image.open(path, formats=decode.FORMATS) as image:
        try:
            turned = image.getexif().get(ORIENTATION) in LYING
        except Exception:  # damaged EXIF data, which `decode` passes over as well
            turned = False
        return image.size if turned else image.size[::-1]
