"""Looping animations of videos, GIF or WebP, with clips side by side."""

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from ms_pixelcnn_tf.drawing import film
from ms_pixelcnn_tf.drawing.film import BORDER, GAP, GIVEN, INK, LINE, MARGIN
from ms_pixelcnn_tf.drawing.grids import write_png
from ms_pixelcnn_tf.files import replacing

FORMATS = {".gif": "GIF", ".webp": "WEBP"}
MAX_SIDES = {".gif": 2**16 - 1, ".webp": 2**14 - 1}  # pixels
BAND = 8  # clips side by side
LAST = 6  # times as long as the others that the last picture is shown
PALETTE_PIXELS = 2**18  # largest number sampled to choose a GIF's colours


def animate(clips: np.ndarray, names: Sequence[str], given: int, scale: int = 1) -> np.ndarray:
    """Draws the pictures of an animation: one column per clip, `BAND` of them side by side.

    Each column has one row per video.

    Args:
        clips, names, given, scale: as for `film.strip`.

    Returns:
        uint8 `[T, height, width, 3]`, all of `animation_size`.
    """
    count, rows, steps = clips.shape[:3]
    high, wide = film.cell_size(clips.shape[3:5], scale)
    left = film.label_width(names)
    height, width = animation_size(clips.shape[:5], names, scale)
    page = Image.new("RGB", (width, height), film.PAPER)
    draw = ImageDraw.Draw(page)
    places = {}
    for clip in range(count):
        top = LINE + clip // BAND * (rows * high + GAP)
        for row in range(rows):
            places[clip, row] = left + clip % BAND * (wide + GAP), top + row * high
            if clip % BAND == 0:
                middle = top + row * high + high / 2
                film.write(draw, (left - MARGIN, middle), names[row], INK, "rm")
    films = {
        place: film.framed(clips[clip, row], given, scale) for (clip, row), place in places.items()
    }
    pictures = []
    for t in range(steps):
        picture = page.copy()
        colour, what = (GIVEN, "given") if t < given else (INK, "")
        place = left + BORDER, LINE / 2
        film.write(ImageDraw.Draw(picture), place, f"{t} {what}", colour, "lm")
        for place, frames in films.items():
            picture.paste(Image.fromarray(frames[t]), place)
        pictures.append(np.asarray(picture))
    return np.stack(pictures)


def animation_size(shape: Sequence[int], names: Sequence[str], scale: int = 1) -> tuple[int, int]:
    """(height, width) of the pictures that `animate` draws for clips `(n, R, T, H, W)`."""
    count, rows = shape[:2]
    high, wide = film.cell_size(shape[3:5], scale)
    bands, columns = -(-count // BAND), min(count, BAND)
    return (
        LINE + bands * (rows * high + GAP) - GAP + MARGIN,
        film.label_width(names) + columns * (wide + GAP) - GAP + MARGIN,
    )


def write(path: str | os.PathLike[str], pictures: np.ndarray, fps: int) -> None:
    """Writes an animation that loops without end and pauses at its last picture.

    Args:
        path: path with a suffix in `FORMATS`. A GIF has 256 colours, chosen for all pictures
            together; WebP keeps every colour.
        pictures: uint8 `[T, height, width, 3]`.
        fps: pictures per second.
    """
    kind = FORMATS[os.path.splitext(path)[1].lower()]
    images = [Image.fromarray(picture) for picture in pictures]
    options = {"lossless": True}
    if kind == "GIF":
        options = {"disposal": 1}
        palette = _palette(pictures)
        images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    durations = [round(1000 / fps)] * len(images)
    durations[-1] *= LAST
    with replacing(path) as temporary:
        images[0].save(
            temporary,
            format=kind,
            save_all=True,
            append_images=images[1:],
            duration=durations,
            loop=0,
            **options,
        )


def write_videos(
    path: str, clips: np.ndarray, names: Sequence[str], given: int, scale: int, fps: int
) -> list[str]:
    """Writes an animation and, next to it, a film strip (.png); for a .png path, only the strip.

    Args:
        path: path with the suffix .png or one in `FORMATS`.
        clips, names, given, scale: as for `film.strip`.
        fps: pictures per second.

    Returns:
        The paths of the files written.
    """
    stem, suffix = os.path.splitext(path)
    written = [path]
    if suffix.lower() in FORMATS:
        write(path, animate(clips, names, given, scale), fps)
        written.append(f"{stem}.png")
    write_png(written[-1], film.strip(clips, names, given, scale))
    return written


def _palette(pictures):
    """An image whose palette has 256 colours, chosen for all pictures together."""
    pixels = pictures.reshape(-1, 3)
    pixels = pixels[:: -(-len(pixels) // PALETTE_PIXELS)]
    return Image.fromarray(pixels[None]).quantize(256, Image.Quantize.FASTOCTREE)
