"""Film strips of videos, with one row per video and time from left to right.

Clips are uint8 `[n, R, T, H, W, C]` for display (`pixels.dequantise` makes them from levels): for
each of n clips, R videos with the same given frames, such as the real one and its samples. The G
given frames have a coloured border. This is Figure 12 in Reed et al. (2017).
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ms_pixelcnn_tf.drawing.grids import enlarge, to_rgb

PAPER, INK, GIVEN = (255, 255, 255), (70, 70, 70), (240, 150, 20)
BORDER = 2  # pixels around each frame
GAP = 8  # between given and sampled frames, and between clips
LINE = 14  # height of a line of text
MARGIN = 4


def strip(
    clips: np.ndarray, names: Sequence[str], given: int, scale: int = 1, every: int = 1
) -> np.ndarray:
    """Draws a film strip, with a gap after the given frames.

    Args:
        clips: uint8 `[n, R, T, H, W, C]`.
        names: R names of the rows.
        given: number G of given frames.
        scale: integer magnification.
        every: show only frames 0, `every`, 2·`every`, …

    Returns:
        uint8 `[height, width, 3]`, of `strip_size`.
    """
    count, rows, steps = clips.shape[:3]
    high, wide = cell_size(clips.shape[3:5], scale)
    left = label_width(names)
    height, width = strip_size(clips.shape[:5], names, given, scale, every)
    picture = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(picture)
    columns = {
        t: left + index * wide + (GAP if t >= given else 0)
        for index, t in enumerate(range(0, steps, every))
    }
    readable = -(-LINE * 2 // wide)  # leave out numbers that would overlap
    for t in list(columns)[::readable]:
        write(draw, (columns[t] + wide / 2, LINE / 2), str(t), GIVEN if t < given else INK, "mm")
    for clip in range(count):
        for row in range(rows):
            top = LINE + clip * (rows * high + GAP) + row * high
            write(draw, (left - MARGIN, top + high / 2), names[row], INK, "rm")
            frames = framed(clips[clip, row], given, scale)
            for t, column in columns.items():
                picture.paste(Image.fromarray(frames[t]), (column, top))
    return np.asarray(picture)


def strip_size(
    shape: Sequence[int], names: Sequence[str], given: int, scale: int = 1, every: int = 1
) -> tuple[int, int]:
    """(height, width) of the picture that `strip` draws for clips `(n, R, T, H, W)`."""
    count, rows, steps = shape[:3]
    high, wide = cell_size(shape[3:5], scale)
    shown = range(0, steps, every)
    gap = GAP if given <= shown[-1] else 0
    return (
        LINE + count * (rows * high + GAP) - GAP + MARGIN,
        label_width(names) + len(shown) * wide + gap + MARGIN,
    )


# -- shared with animations -----------------------------------------------------------------------


def framed(frames: np.ndarray, given: int, scale: int) -> np.ndarray:
    """uint8 `[T, H, W, C]` → `[T, ·, ·, 3]` of `cell_size`: enlarged, with a border."""
    frames = enlarge(to_rgb(frames), scale)
    high, wide = frames.shape[1] + 2 * BORDER, frames.shape[2] + 2 * BORDER
    cells = np.empty((len(frames), high, wide, 3), np.uint8)
    cells[:given], cells[given:] = GIVEN, PAPER
    cells[:, BORDER:-BORDER, BORDER:-BORDER] = frames
    return cells


def cell_size(size: Sequence[int], scale: int) -> tuple[int, int]:
    """(height, width) of a frame of `size` with its border."""
    return size[0] * scale + 2 * BORDER, size[1] * scale + 2 * BORDER


def label_width(names: Sequence[str]) -> int:
    """Width of the row names at the left, with margins, in pixels."""
    font = ImageFont.load_default()
    return 2 * MARGIN + round(max(font.getlength(name) for name in names))


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    colour: tuple[int, int, int],
    anchor: str,
) -> None:
    """Writes text at (x, y); Pillow's `anchor` says which point of the text lies there."""
    draw.text(place, text, colour, ImageFont.load_default(), anchor)
