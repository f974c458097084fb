"""Decodes one image file to pixels of the wanted size, or gives one reason why it cannot.

These rules make the same file always give the same pixels:
- The formats are PNG, JPEG (in an MPO, the first picture), WebP, GIF and BMP, recognised by
  content, not by name.
- Of an animation, the first frame is read. EXIF turns the image upright.
- Transparency is laid over white; palettes and CMYK become RGB (no colour profile is applied).
- Of 16 bits per channel, the upper 8 are kept.
- Gray becomes RGB with equal channels; for one channel, RGB becomes ITU-R 601 luma.
- The largest central crop with the target's aspect ratio is averaged over the area of each target
  pixel (across, then down, rounded to uint8 after each), or interpolated (bicubic) if it is smaller
  than the target.

A JPEG that is damaged in the middle but not cut short decodes to whatever libjpeg makes of it: the
format has no checksum that would reveal the damage.
"""

import contextlib
import hashlib
import os
import stat
import threading
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
Image.init()  # now, not later from several threads at once
# 8192 × 8192. Larger images are refused before decoding: a small file can claim any size.
MAX_PIXELS = 2**26
# Larger images are decoded one at a time, however many threads there are: each needs several
# copies, up to a gigabyte.
LARGE_PIXELS = 2**24
WHITE = (255, 255, 255)
SPARE = 2

_one_large_image = threading.Lock()


class Decoded(NamedTuple):
    """A decoded image.

    Attributes:
        pixels: uint8 `[height, width, channels]`, of the target size.
        digest: SHA-256 (bytes) of the whole upright RGB image before crop and resize. So a picture
            saved in two lossless files has one digest, at every target size.
    """

    pixels: np.ndarray
    digest: bytes


class Unusable(Exception):
    """The reason why a file cannot be decoded, in one line."""


def decode_file(
    path: str | bytes,
    image_size: tuple[int, int],
    channels: int,
    background: tuple[int, int, int] = WHITE,
) -> Decoded:
    """Reads an image file.

    Args:
        path: its path, str or bytes.
        image_size: `(height, width)` wanted, in pixels.
        channels: 1 (gray) or 3 (RGB).
        background: (red, green, blue), each 0…255, that transparent pixels are laid over. The
            digest is that of the image over white, whatever the background.

    Returns:
        A `Decoded`.

    Raises:
        Unusable: for anything that keeps the file from being decoded. Nothing else is raised.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise Unusable("not a regular file")  # opening a pipe would wait forever
        if status.st_size == 0:
            raise Unusable("empty file")
        with Image.open(path, formats=FORMATS) as image:
            large = image.width * image.height > LARGE_PIXELS
            with _one_large_image if large else contextlib.nullcontext():
                return _decode(image, image_size, channels, background)
    except Unusable:
        raise
    except UnidentifiedImageError as error:
        raise Unusable("not a PNG, JPEG, WebP, GIF or BMP image") from error
    except Image.DecompressionBombError as error:
        raise Unusable(f"more than {MAX_PIXELS} pixels") from error
    except OSError as error:
        raise Unusable(_one_line(error.strerror or error)) from error
    except Exception as error:  # the decoders raise many types for damaged bytes
        raise Unusable(f"{type(error).__name__}: {_one_line(error)}") from error


def _decode(image, image_size, channels, background):
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise Unusable(f"{width}x{height} is more than {MAX_PIXELS} pixels")
    image.load()
    upright = _upright(image)
    image = to_rgb(upright)
    digest = hashlib.sha256(repr(image.size).encode() + image.tobytes()).digest()
    if background != WHITE:
        image = to_rgb(upright, background)
    image = crop_and_resize(image, image_size)
    pixels = np.asarray(image.convert("L") if channels == 1 else image)
    return Decoded(pixels.reshape(tuple(image_size) + (channels,)), digest)


def _upright(image):
    """The image turned as EXIF says, or as stored if the EXIF data is damaged."""
    with contextlib.suppress(Exception):
        return ImageOps.exif_transpose(image)
    return image


def to_rgb(image: Image.Image, background: tuple[int, int, int] = WHITE) -> Image.Image:
    """Any mode → RGB, 8 bits per channel, transparency over a colour."""
    if image.mode == "RGB" and "transparency" not in image.info:
        image.load()
        return image  # a conversion would copy
    if image.mode.startswith("I"):  # 16-bit gray; a plain conversion would clip at 255
        image = Image.fromarray((np.clip(np.asarray(image), 0, 65535) >> 8).astype("uint8"))
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (*background, 255)), image)
    return image.convert("RGB")


def crop_and_resize(image: Image.Image, image_size: tuple[int, int]) -> Image.Image:
    """The largest central crop with the target's aspect ratio, resized to (height, width).

    Crop edges are whole pixels; an odd margin is one pixel wider at the right or bottom. An image
    of the target's size stays unchanged.
    """
    return resize(image.crop(crop_box(image.size, image_size)), image_size)


def crop_box(
    size: tuple[int, int], image_size: tuple[int, int], place: Iterable[float] | None = None
) -> tuple[int, int, int, int]:
    """The largest part of an image that has the target's aspect ratio.

    Args:
        size: (width, height) of the image, in pixels.
        image_size: (height, width) of the target.
        place: `[2]` in [0, 1), where the crop lies, across and down; None: the centre.

    Returns:
        (left, top, right, bottom), in whole pixels.
    """
    (width, height), (target_height, target_width) = size, image_size
    crop_width, crop_height = width, height
    if width * target_height > height * target_width:
        crop_width = max(1, round(height * target_width / target_height))
    else:
        crop_height = max(1, round(width * target_height / target_width))
    spare = width - crop_width, height - crop_height
    if place is None:
        left, top = (rest // 2 for rest in spare)
    else:
        left, top = (int(u * (rest + 1)) for u, rest in zip(place, spare, strict=True))
    return left, top, left + crop_width, top + crop_height


def shrink_while_decoding(
    image: Image.Image, box: tuple[float, float, float, float], image_size: tuple[int, int]
) -> int:
    """Makes a JPEG decode at 1/2, 1/4 or 1/8 of its size if possible, which saves most of the work.

    `box` keeps at least `SPARE` pixels per target pixel along both sides. libjpeg averages blocks
    of 2, 4 or 8 pixels, and `resize` averages the rest of the area. Pixel n covers block n, so a
    coordinate x of the whole image becomes x / ratio.

    Args:
        image: a Pillow image, opened but not decoded; changed in place. Other formats stay
            unchanged.
        box: (left, top, right, bottom) of the part to take, in pixels of the whole image.
        image_size: (height, width) that it will be resized to.

    Returns:
        The ratio by which coordinates must be divided: 1, 2, 4 or 8.
    """
    if image.format != "JPEG":
        return 1
    (left, top, right, bottom), (height, width) = box, image_size
    room = min((right - left) / width, (bottom - top) / height) / SPARE
    ratio = next((ratio for ratio in (8, 4, 2) if ratio <= min(room, *image.size)), 1)
    if ratio > 1:
        # Pillow takes the largest ratio that leaves at least the given size.
        image.draft(None, (image.width // ratio, image.height // ratio))
    return ratio


def resize(
    image: Image.Image,
    image_size: tuple[int, int],
    box: tuple[float, float, float, float] | None = None,
) -> Image.Image:
    """Averages over the area of each target pixel, or interpolates if a side would grow.

    Args:
        image: a Pillow image.
        image_size: (height, width) wanted; an image of that size stays unchanged.
        box: (left, top, right, bottom) of the part to take, in pixels; None: all.
    """
    height, width = image_size
    if image.size == (width, height):
        return image
    left, top, right, bottom = box or (0, 0, *image.size)
    shrinks = right - left >= width and bottom - top >= height
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    return image.resize((width, height), method, box=box)


def average(
    image: Image.Image, image_size: tuple[int, int], box: tuple[float, float, float, float]
) -> Image.Image:
    """Like `resize`, but rounds only once if whole blocks of pixels fall on each target pixel.

    This takes less than half the time.
    """
    left, top, right, bottom = box
    height, width = image_size
    (across, spare), (down, rest) = divmod(right - left, width), divmod(bottom - top, height)
    whole = all(float(edge).is_integer() for edge in box)
    if spare or rest or not whole or max(across, down) == 1:
        return resize(image, image_size, box)
    whole_box = (int(left), int(top), int(right), int(bottom))
    return image.reduce((int(across), int(down)), whole_box)


def _one_line(text):
    return " ".join(str(text).encode("utf-8", "backslashreplace").decode("utf-8").split())
